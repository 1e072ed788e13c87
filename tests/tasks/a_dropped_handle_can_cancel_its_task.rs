//! A handle made to cancel on its drop ends its task where a plain one detaches it; so does a set, and a portal's
//! handle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::bounded;
use crate::common::pools::{Busy, started};
use futures::executor::block_on;
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

const LONG: Duration = Duration::from_secs(3600);

/// A task that sleeps until it is asked to stop, and then says so.
fn sleeper(
    pool: &PoolManager,
    says: &mpsc::Sender<&'static str>,
    word: &'static str,
) -> TaskHandle<Result<(), heirloom::Error>> {
    let (starts, started) = mpsc::channel();
    let says = says.clone();
    let task = pool.submit(move || {
        starts.send(()).expect("the test listens");
        let slept = heirloom::sleep(LONG);
        if slept.is_err() {
            says.send(word).expect("the test listens");
        }
        slept
    });
    started.recv().expect("it starts");
    task.expect("accepted")
}

#[test]
fn a_running_task_is_asked_to_stop_and_a_queued_one_never_starts() {
    bounded(|| {
        let owner = Scope::new("owner");
        let (wide, serial) =
            (started(&owner, "wide", PoolConfig::leased(2)), started(&owner, "one", PoolConfig::leased(1)));
        let (says, said) = mpsc::channel();
        drop(sleeper(&wide, &says, "asked").cancel_on_drop());
        assert_eq!(said.recv(), Ok("asked"));

        let busy = Busy::on(&serial);
        let (held, gone) = mpsc::channel::<()>();
        let queued = serial.submit(move || drop(held)).expect("accepted").cancel_on_drop();
        drop(queued);
        assert!(gone.recv().is_err(), "its closure is dropped at once");
        busy.end();
        assert_eq!(serial.stop().expect("from outside").cancelled, 1);
    });
}

#[test]
fn a_future_that_gives_it_up_cancels() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(2));
        let (says, said) = mpsc::channel();
        let task = sleeper(&pool, &says, "asked").cancel_on_drop();
        {
            let wait = pin!(async { task.await.map(drop) });
            assert!(wait.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(said.recv(), Ok("asked"));
        let unwinds = sleeper(&pool, &says, "unwound").cancel_on_drop();
        let panics = catch_unwind(AssertUnwindSafe(move || {
            let _held = unwinds;
            std::panic::resume_unwind(Box::new("it was told to"));
        }));
        assert!(panics.is_err());
        assert_eq!(said.recv(), Ok("unwound"));
    });
}

#[test]
fn a_task_that_has_ended_keeps_its_result_and_is_asked_nothing() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        assert_eq!(block_on(pool.submit(|| 7).expect("accepted").cancel_on_drop()).expect("runs"), 7);
        let mut once = Box::pin(pool.submit(|| 8).expect("accepted").cancel_on_drop());
        assert_eq!(block_on(once.as_mut()).expect("runs"), 8);
        assert!(matches!(once.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending), "taken before");
        drop(once);
        assert_eq!((pool.stats().completed, pool.stats().cancelled), (2, 0));
    });
}

#[test]
fn the_wrapper_gives_the_handles_methods_and_the_handle_itself() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| 7).expect("accepted").cancel_on_drop();
        let id = queued.id();
        assert!(!queued.is_finished());
        let plain = queued.into_inner();
        assert_eq!(plain.id(), id);
        busy.end();
        assert_eq!(plain.join().expect("it was not cancelled"), 7);
    });
}

#[test]
fn a_set_cancels_what_has_not_ended() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(3));
        let (says, said) = mpsc::channel();
        let mut set = TaskSet::new().cancel_on_drop();
        set.push(pool.submit(|| Ok(())).expect("accepted"));
        set.push(sleeper(&pool, &says, "one"));
        set.push(sleeper(&pool, &says, "two"));
        let (_, first) = set.join_next().expect("there are three");
        assert!(first.expect("runs").is_ok());
        drop(set);
        let mut asked = [said.recv().unwrap(), said.recv().unwrap()];
        asked.sort_unstable();
        assert_eq!(asked, ["one", "two"]);
    });
}

#[cfg(feature = "tokio")]
#[test]
fn a_portals_future_is_dropped() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime starts");
        let portal = heirloom::Portal::new(runtime.handle());
        let (held, gone) = mpsc::channel::<()>();
        let handle = portal.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(handle.cancel_on_drop());
        assert!(gone.recv().is_err());
    });
}
