//! `map_unordered` yields the results as the tasks finish, with the positions of their inputs on request; it goes through
//! endless iterators and bounded queues, and after a refusal it ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{ErrorKind, PoolConfig, Scope};

use crate::common::pools::{Busy, slow_for_zero, started};
use crate::common::{bounded, eventually};

#[test]
fn a_slow_item_holds_up_no_other() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (go, work) = slow_for_zero();
        let mut results = pool.map_unordered(0..20, work).expect("accepted");
        let mut first: Vec<u32> = results.by_ref().take(19).map(|r| r.expect("ends")).collect();
        first.sort_unstable();
        assert_eq!(first, (1..20).collect::<Vec<_>>());
        drop(go);
        assert_eq!(results.next().expect("the slow one").expect("ends"), 0);
        assert!(results.next().is_none());
    });
}

#[test]
fn every_input_has_its_position() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3).log_panics(false));
        let work = |n: usize| if n == 107 { panic!("not {n}") } else { n };
        let mut seen = 0;
        for (at, result) in pool.map_unordered(100..150, work).expect("accepted").indexed() {
            match result {
                Ok(n) => assert_eq!(n, 100 + at),
                Err(error) => assert_eq!((at, error.is_panic()), (7, true)),
            }
            seen += 1;
        }
        assert_eq!(seen, 50);
    });
}

#[test]
fn an_endless_iterator_is_drawn_from_as_results_are_taken() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3));
        let drawn = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drawn);
        let endless = (0_u64..).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let results = pool.map_unordered(endless, |n| n * 2).expect("accepted");
        assert!(results.take(1000).all(|result| result.is_ok()));
        assert!(drawn.load(Ordering::Relaxed) <= 1000 + 64 * 3, "drew {}", drawn.load(Ordering::Relaxed));
    });
}

#[test]
fn a_bounded_queue_is_not_overrun() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2).queue_limit(1));
        let results: Result<Vec<u32>, _> = pool.map_unordered(0..500, |n| n).expect("accepted").collect();
        assert_eq!(results.expect("none is refused").len(), 500);
        assert_eq!(pool.stats().refused, 0, "no submission of the user's was refused");
    });
}

#[test]
fn a_queue_that_others_fill_is_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("the queue has capacity");
        let mut results = pool.map_unordered(0..5, |n| n).expect("not refused for want of capacity");
        let none = results.next_timeout(Duration::from_millis(1)).expect_err("the queue is full");
        assert_eq!(none.kind(), ErrorKind::TimedOut);
        let reader = std::thread::spawn(move || {
            futures::executor::block_on(async { results.next_async().await.map(|r| r.is_ok()) })
        });
        busy.end();
        assert_eq!(reader.join().expect("the reader ends"), Some(true));
        queued.join().expect("it ran");
    });
}

#[test]
fn after_a_refusal_it_yields_those_under_way_and_one_error() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut results = pool.map_unordered(0.., |n: usize| n).expect("accepted");
        pool.close();
        let seen = results.by_ref().take_while(Result::is_ok).count();
        assert!(results.next().is_none());
        assert_eq!(results.into_rest().next(), Some(seen), "the first input that no task got");
    });
}

#[test]
fn a_refusal_of_the_first_task_is_returned_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        pool.close();
        let refusal = pool.map_unordered(0..5, |n| n).map(drop).expect_err("the pool was stopped");
        assert_eq!(refusal.kind(), ErrorKind::Closed);
    });
}

#[test]
fn dropping_it_cancels_what_is_under_way() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (ends, ended) = mpsc::channel();
        let (starts, has_started) = mpsc::channel();
        let work = move |n: u32| {
            starts.send(n).expect("the test listens");
            while !heirloom::is_cancelled() {
                std::thread::yield_now(); // unlike a wait it keeps the only permit
            }
            ends.send(()).expect("the test listens");
        };
        let results = pool.map_unordered(0.., work).expect("accepted");
        assert_eq!(has_started.recv(), Ok(0));
        drop(results);
        ended.recv().expect("the running task was cancelled");
        pool.wait_idle().expect("not from an own task");
        assert!(has_started.try_recv().is_err(), "no queued task has started");
    });
}

#[test]
fn a_panic_of_the_iterator_is_the_callers_and_cancels_the_rest() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let inputs = (0..100).map(|n| if n == 50 { panic!("the iterator") } else { n });
        let mut results = pool.map_unordered(inputs, |n| n).expect("accepted");
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| results.by_ref().count()));
        assert_eq!(caught.expect_err("it panics here").downcast_ref(), Some(&"the iterator"));
        drop(results);
        pool.wait_idle().expect("not from an own task");
    });
}

#[test]
fn a_cancel_of_its_scope_ends_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let request = Scope::new_in(scope.lineage(), "request");
        let mut results =
            request.run(|| pool.map_unordered(0.., |_| heirloom::sleep(Duration::MAX))).expect("accepted");
        eventually("its tasks sleep", || pool.stats().waiting > 0);
        request.cancel();
        let last = results.by_ref().last().expect("the refusal");
        assert!(last.expect_err("the request was cancelled").is_cancelled());
    });
}

#[test]
fn a_map_in_a_task_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in
            [PoolConfig::leased(1).queue_limit(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()]
        {
            let pool = started(&scope, "work", config);
            let this = pool.clone();
            let sum =
                move || this.map_unordered(0..20, |n| n).expect("accepted").map(|r| r.expect("ends")).sum::<i32>();
            assert_eq!(pool.submit(sum).expect("accepted").join().expect("ends"), 190);
            pool.wait_idle().expect("not from an own task");
        }
    });
}

#[test]
fn a_local_pools_thread_maps_over_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let manager = scope.create("ui");
        let _local = manager.start_local(PoolConfig::local()).expect("starts");
        let sum: i32 = manager.map_unordered(0..20, |n| n).expect("accepted").map(|r| r.expect("ends")).sum();
        assert_eq!(sum, 190);
    });
}
