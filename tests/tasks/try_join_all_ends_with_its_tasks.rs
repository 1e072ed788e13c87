//! `TaskSet::try_join_all` returns the values in the order of the pushes, or the first error after the rest has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{Error, PoolConfig, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::started;

#[test]
fn values_come_in_the_order_of_the_pushes() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (second, first) = mpsc::channel();
        let mut set = TaskSet::new();
        set.push(pool.submit(move || first.recv().map_err(|_| Error::from(heirloom::TimedOut))).expect("accepted"));
        set.push(
            pool.submit(move || second.send(1).map(|()| 2).map_err(|_| Error::from(heirloom::TimedOut)))
                .expect("accepted"),
        );
        assert_eq!(set.try_join_all().expect("both end"), [1, 2]);
    });
}

#[test]
fn the_first_error_cancels_the_rest_and_waits_for_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let ended = Arc::new(AtomicBool::new(false));
        let (ends, (starts, has_started)) = (Arc::clone(&ended), mpsc::channel());
        let mut set = TaskSet::new();
        set.push(
            pool.submit(move || {
                starts.send(()).expect("the other waits");
                let slept = heirloom::sleep(Duration::MAX);
                ends.store(slept.is_err(), Ordering::SeqCst);
                slept.map_err(|_| "cancelled".to_string().into())
            })
            .expect("accepted"),
        );
        set.push(
            pool.submit(move || {
                has_started.recv().expect("the other starts");
                Err::<(), Box<dyn std::error::Error + Send + Sync>>("the first".into())
            })
            .expect("accepted"),
        );
        assert_eq!(set.try_join_all().expect_err("one fails").to_string(), "the first");
        assert!(ended.load(Ordering::SeqCst), "the cancelled task has ended");
    });
}

#[test]
fn its_future_does_the_same_and_its_drop_cancels() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let squares: TaskSet<_> =
            (0..9_u32).map(|n| pool.submit(move || Ok::<_, Error>(n * n)).expect("accepted")).collect();
        let squares = futures::executor::block_on(squares.try_join_all_async()).expect("all end");
        assert_eq!(squares, (0..9).map(|n| n * n).collect::<Vec<_>>());
        let sleeps: TaskSet<_> =
            (0..9).map(|_| pool.submit(|| heirloom::sleep(Duration::MAX)).expect("accepted")).collect();
        drop(sleeps.try_join_all_async());
        pool.wait_idle().expect("all were cancelled");
    });
}

#[test]
fn an_empty_set_has_no_values() {
    let set = TaskSet::<Result<u32, Error>>::new();
    assert!(set.try_join_all().expect("nothing fails").is_empty());
}
