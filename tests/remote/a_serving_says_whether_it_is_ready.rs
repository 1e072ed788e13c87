//! The state of a serving, and the wait until it takes jobs.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use heirloom::remote::ServingState;
use heirloom::remote::engine::Fault;
use heirloom::{ErrorKind, PoolConfig};

use crate::a_worker_keeps_its_protocol::worker_of;
use crate::common::{bounded, eventually};
use crate::puppet::{LEASE, Puppet};
use crate::world::{Double, Key, World};

#[test]
fn a_serving_is_ready_with_a_connection_and_a_queue() {
    bounded(|| {
        let puppet = Puppet::default();
        puppet.change(|state| state.holds_declarations = true);
        let (_apart, serving) = worker_of(&puppet, PoolConfig::leased(1));
        assert_eq!(serving.state(), ServingState::Connecting);
        assert!(!serving.wait_ready_timeout(Duration::from_millis(1)).expect("no refusal"));
        std::thread::scope(|threads| {
            let waits = threads.spawn(|| serving.wait_ready());
            puppet.wait(|state| state.declarations.pop()).give(Ok(()));
            assert!(waits.join().expect("no panic").expect("no refusal"));
        });
        assert_eq!((serving.state(), serving.state().to_string().as_str()), (ServingState::Serving, "serving"));
        assert_eq!(serving.wait_ready_async().now_or_never().map(Result::ok), Some(Some(true)));
    });
}

#[test]
fn a_lost_connection_is_told_until_the_queue_is_there_again() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        assert!(worker.serving.wait_ready().expect("no refusal"));
        let task = key.begun(&pool);
        worker.end.disconnect();
        eventually("the loss is known", || worker.serving.state() == ServingState::Disconnected);
        assert!(!worker.serving.wait_ready_timeout(Duration::ZERO).expect("no refusal"));
        worker.end.reconnect();
        assert!(worker.serving.wait_ready().expect("no refusal"));
        key.open();
        assert!(task.join().expect("it ran on"));
    });
}

#[test]
fn a_queue_that_is_taken_away_within_a_connection_is_waited_for() {
    bounded(|| {
        let puppet = Puppet::default();
        let (_apart, serving) = worker_of(&puppet, PoolConfig::leased(1));
        assert!(serving.wait_ready().expect("no refusal"));
        puppet.change(|state| state.holds_declarations = true);
        let inbox = puppet.wait(|state| state.inbox.clone());
        inbox.absent("another queue");
        assert_eq!(serving.state(), ServingState::Serving);
        inbox.absent("work");
        assert_eq!(serving.state(), ServingState::Disconnected);
        assert!(!serving.wait_ready_timeout(Duration::from_millis(1)).expect("no refusal"));
        puppet.wait(|state| state.declarations.pop()).give(Ok(()));
        assert_eq!(serving.state(), ServingState::Serving);
    });
}

#[test]
fn a_refused_queue_is_an_error_of_the_wait_and_asked_for_again() {
    bounded(|| {
        let puppet = Puppet::default();
        puppet.change(|state| state.holds_declarations = true);
        let (_apart, serving) = worker_of(&puppet, PoolConfig::leased(1));
        let mut waits = pin!(serving.wait_ready_async());
        assert!(waits.as_mut().now_or_never().is_none());
        puppet.wait(|state| state.declarations.pop()).give(Err(Fault::NotAllowed("subscribe to `x`".into())));
        let refused = futures::executor::block_on(waits).expect_err("no right");
        assert_eq!(refused.kind(), ErrorKind::NotAllowed);
        assert!(refused.to_string().contains("work") && refused.to_string().contains("operator"), "{refused}");
        assert_eq!(serving.state(), ServingState::Connecting);
        // The operator gives the right.
        puppet.wait(|state| state.declarations.pop()).give(Ok(()));
        assert!(serving.wait_ready_timeout(LEASE).expect("no refusal"));
    });
}

#[test]
fn a_closed_serving_stops_and_is_never_ready() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let task = key.begun(&pool);
        worker.serving.close();
        assert_eq!(worker.serving.state(), ServingState::Stopping);
        assert!(!worker.serving.wait_ready().expect("no refusal"));
        key.open();
        assert!(task.join().expect("it ran on"));
        eventually("its end is told", || worker.serving.state() == ServingState::Stopped);
    });
}

#[test]
fn a_close_ends_the_wait() {
    bounded(|| {
        let puppet = Puppet::default();
        puppet.change(|state| state.holds_declarations = true);
        let (_apart, serving) = worker_of(&puppet, PoolConfig::leased(1));
        std::thread::scope(|threads| {
            let waits = threads.spawn(|| serving.wait_ready());
            puppet.wait(|state| (!state.declarations.is_empty()).then_some(()));
            serving.close();
            assert!(!waits.join().expect("no panic").expect("no refusal"));
        });
    });
}

#[test]
fn a_task_that_waits_for_a_serving_releases_its_permit() {
    bounded(|| {
        let puppet = Puppet::default();
        puppet.change(|state| state.holds_declarations = true);
        let (apart, serving) = worker_of(&puppet, PoolConfig::leased(1));
        let serving = std::sync::Arc::new(serving);
        let pool = apart.create("starts");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let of = serving.clone();
        let waits = pool.submit(move || of.wait_ready()).expect("accepted");
        assert_eq!(pool.submit(|| 1).expect("accepted").join().expect("runs"), 1);
        puppet.wait(|state| state.declarations.pop()).give(Ok(()));
        assert!(waits.join().expect("runs").expect("no refusal"));
    });
}

#[test]
fn a_worker_is_ready_before_the_first_origin_on_the_loopback() {
    bounded(|| {
        let world = World::new();
        let worker = world.worker(1);
        assert!(worker.serving.wait_ready().expect("no refusal"));
        assert_eq!(world.pool(1).send(Double(1)).expect("accepted").join().expect("runs"), 2);
    });
}
