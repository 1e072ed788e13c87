//! `try_map` yields values in order; the first error to happen ends it and cancels the rest.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{Error, ErrorKind, PoolConfig, Scope};

use crate::common::pools::{slow_for_zero, started};
use crate::common::{bounded, eventually};

#[derive(Debug)]
enum Failure {
    Pools(Error),
    At(u32),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Pools(error)
    }
}

#[test]
fn values_keep_the_order_however_tasks_overtake_each_other() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (second_ran, wait_for_second) = mpsc::channel();
        let (second_ran, wait_for_second) = (Mutex::new(second_ran), Mutex::new(wait_for_second));
        let work = move |n: u32| {
            match n {
                0 => wait_for_second.lock().expect("one user").recv().expect("the second runs first"),
                1 => second_ran.lock().expect("one user").send(()).expect("the first waits"),
                _ => {}
            }
            Ok::<_, Failure>(n)
        };
        let values: Vec<u32> = pool.try_map(0..100, work).collect::<Result<_, _>>().expect("all end");
        assert_eq!(values, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn unordered_values_come_as_their_tasks_finish() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (go, slow) = slow_for_zero();
        let work = move |n| if slow(n) == 300 { Err(Failure::At(n)) } else { Ok(n) };
        let mut values = pool.try_map(0.., work).unordered();
        let mut early: Vec<u32> = values.by_ref().take(20).map(|value| value.expect("ends")).collect();
        early.sort_unstable();
        assert_eq!(early, (1..=20).collect::<Vec<_>>());
        drop(go);
        // The item that fails is submitted when more of the values are taken.
        eventually("the slow one has ended", || pool.stats().running + pool.stats().queued == 0);
        let rest: Vec<_> = values.by_ref().collect();
        assert!(matches!(rest.last(), Some(Err(Failure::At(300)))), "{rest:?}");
        assert_eq!((rest.iter().filter(|value| value.is_err()).count(), values.failed_at()), (1, Some(300)));
        assert!(rest.iter().flatten().any(|n| *n == 0));
    });
}

#[test]
fn kept_values_come_at_once_when_the_order_is_given_up() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (go, slow) = slow_for_zero();
        let work = move |n| Ok::<_, Failure>(slow(n));
        let mut values = pool.try_map(0..3, work);
        assert!(values.next_timeout(Duration::from_millis(20)).is_err(), "the first one is slow");
        let mut values = values.unordered();
        let mut early: Vec<u32> = values.by_ref().take(2).map(|value| value.expect("ends")).collect();
        early.sort_unstable();
        assert_eq!(early, [1, 2]);
        drop(go);
        assert_eq!(values.map(|value| value.expect("ends")).collect::<Vec<_>>(), [0]);
    });
}

#[test]
fn the_first_error_to_happen_is_yielded_before_slower_values() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let work = |n: u32| match n {
            1 => Err(Failure::At(1)),
            n => heirloom::sleep(Duration::MAX).map(|()| n).map_err(Failure::from),
        };
        let mut values = pool.try_map(0.., work);
        assert!(matches!(values.next(), Some(Err(Failure::At(1)))));
        assert_eq!(values.failed_at(), Some(1));
        assert!(values.next().is_none());
        pool.wait_idle().expect("the first one was cancelled, and ends");
    });
}

#[test]
fn it_submits_nothing_more_after_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let ran = Arc::new(Mutex::new(Vec::new()));
        let runs = Arc::clone(&ran);
        let work = move |n: u32| {
            runs.lock().expect("no panic").push(n);
            if n < 2 { Ok(n) } else { Err(Failure::At(n)) }
        };
        let values = pool.try_map(0.., work).collect::<Result<Vec<_>, _>>();
        assert!(matches!(values, Err(Failure::At(2))));
        pool.wait_idle().expect("not from an own task");
        let ran = ran.lock().expect("no panic");
        assert!(ran.len() < 12, "the window and no more: {ran:?}");
    });
}

#[test]
fn a_panic_is_an_error_of_the_callers_type() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).log_panics(false));
        let mut values = pool.try_map(0..9, |n: u32| if n == 3 { panic!("no") } else { Ok::<_, Failure>(n) });
        let error = values.find_map(Result::err).expect("it panics");
        assert!(matches!(error, Failure::Pools(error) if error.is_panic()));
        assert_eq!(values.failed_at(), Some(3));
    });
}

#[test]
fn a_refusal_of_the_first_task_is_the_first_item() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let mut values = pool.try_map(0..9, Ok::<u32, Failure>);
        assert!(matches!(values.next(), Some(Err(Failure::Pools(error))) if error.kind() == ErrorKind::NotStarted));
        assert!(values.next().is_none());
        let mut values = pool.try_map(0..9, Ok::<u32, Failure>);
        let awaited = futures::executor::block_on(values.next_async());
        assert!(matches!(awaited, Some(Err(Failure::Pools(_)))));
        assert_eq!(values.failed_at(), Some(0));
    });
}

#[test]
fn a_pool_that_closes_midway_is_the_error() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut values = pool.try_map(0.., Ok::<u32, Failure>);
        assert!(values.next().is_some_and(|value| value.is_ok()));
        pool.close();
        let error = values.find_map(Result::err).expect("it ends");
        assert!(matches!(error, Failure::Pools(error) if error.kind() == ErrorKind::Closed));
    });
}

#[test]
fn values_that_wait_for_their_turn_count_as_under_way() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (go, gate) = mpsc::channel::<()>();
        let (gate, most) = (Mutex::new(gate), Arc::new(Mutex::new(0)));
        let drawn = Arc::clone(&most);
        let work = move |n: u32| {
            if n == 0 {
                let _ = gate.lock().expect("one user").recv();
            }
            Ok::<_, Failure>(n)
        };
        let inputs = (0..).inspect(move |n| *drawn.lock().expect("no panic") = *n);
        let mut values = pool.try_map(inputs, work);
        let first = std::thread::scope(|threads| {
            let first = threads.spawn(|| values.next());
            crate::common::eventually("the window is full", || pool.stats().queued == 0 && pool.stats().completed == 7);
            assert_eq!(*most.lock().expect("no panic"), 7, "four for each permit");
            drop(go);
            first.join().expect("no panic")
        });
        assert!(matches!(first, Some(Ok(0))));
    });
}

#[test]
fn a_time_limit_leaves_it_as_it_is() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let mut values = pool.try_map(0..2, move |n: u32| {
            let _ = gate.lock().expect("one user").recv();
            Ok::<_, Failure>(n)
        });
        let none = values.next_timeout(Duration::from_millis(1)).expect_err("it waits");
        assert_eq!(none.kind(), ErrorKind::TimedOut);
        drop(go);
        assert!(matches!(values.next_timeout(Duration::MAX), Ok(Some(Ok(0)))));
        assert!(matches!(values.next_timeout(Duration::MAX), Ok(Some(Ok(1)))));
        assert!(matches!(values.next_timeout(Duration::MAX), Ok(None)));
    });
}

#[test]
fn a_try_map_in_a_task_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in
            [PoolConfig::leased(1).queue_limit(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()]
        {
            let pool = started(&scope, "work", config);
            let this = pool.clone();
            let sum = move || this.try_map(0..20, Ok::<i32, Error>).sum::<Result<i32, Error>>();
            assert_eq!(pool.call(sum).join().expect("ends"), 190);
            pool.wait_idle().expect("not from an own task");
        }
    });
}
