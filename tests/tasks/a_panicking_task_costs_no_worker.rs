//! A task that panics, in whatever way, ends alone: the pool keeps all its places, and its other tasks run.

use std::sync::{Arc, Barrier, mpsc};

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::{self, started, thread_name};

fn kinds(n: usize) -> [PoolConfig; 2] {
    [PoolConfig::leased(n).log_panics(false), PoolConfig::dedicated(n).log_panics(false)]
}

/// A payload whose own drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the payload's drop panics");
        }
    }
}

#[test]
fn all_places_are_there_after_as_many_panics() {
    bounded(|| {
        for config in kinds(4) {
            let scope = Scope::new("test");
            let pool = started(&scope, "four", config);
            for _ in 0..8 {
                drop(pool.submit(|| panic!("one of many")).expect("accepted"));
            }
            let together = Arc::new(Barrier::new(4));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let together = together.clone();
                    pool.submit(move || _ = together.wait()).expect("accepted")
                })
                .collect();
            for task in tasks {
                task.join().expect("all four meet");
            }
            assert_eq!(pool.stats().panicked, 8);
        }
    });
}

#[test]
fn all_running_tasks_may_panic_at_the_same_moment() {
    bounded(|| {
        for config in kinds(4) {
            let scope = Scope::new("test");
            let pool = started(&scope, "four", config);
            let together = Arc::new(Barrier::new(4));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let together = together.clone();
                    pool.submit(move || {
                        together.wait();
                        panic!("together");
                    })
                    .expect("accepted")
                })
                .collect();
            for task in tasks {
                assert!(task.join().is_err_and(|error: heirloom::Error| error.is_panic()));
            }
            assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        }
    });
}

#[test]
fn a_panic_in_a_wait_gives_the_place_back_once() {
    bounded(|| {
        for config in kinds(1) {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            for _ in 0..50 {
                let inner = pool.clone();
                let task = pool.submit(move || inner.scope(|_| heirloom::blocking(|| panic!("in a wait"))));
                assert!(task.expect("accepted").join().is_err_and(|error: heirloom::Error| error.is_panic()));
            }
            let stats = pool.stats();
            assert_eq!((stats.waiting, stats.queued), (0, 0));
            pools::Busy::on(&pool).end();
        }
    });
}

#[test]
fn a_drop_that_panics_costs_no_worker() {
    bounded(|| {
        for config in kinds(1) {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            // The result's drop, because nobody takes it; the payload's drop; a captured value's drop.
            drop(pool.submit(|| Bomb).expect("accepted"));
            drop(pool.submit(|| std::panic::panic_any(Bomb)).expect("accepted"));
            let bomb = Bomb;
            drop(pool.submit(move || drop(bomb)).expect("accepted"));
            let bomb = Bomb;
            drop(pool.submit(move || {
                let _held = &bomb;
            }));
            pool.wait_idle().expect("from outside");
            assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

#[test]
fn a_queued_task_whose_drop_panics_can_be_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let busy = pools::Busy::on(&pool);
        let bomb = Bomb;
        let task = pool.submit(move || drop(bomb)).expect("accepted");
        task.cancel();
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
        busy.end();
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn a_task_that_outlives_its_manager_may_panic() {
    bounded(|| {
        for config in kinds(2) {
            let scope = Scope::new("test");
            let pool = started(&scope, "gone", config);
            let (tx, rx) = mpsc::channel();
            for _ in 0..4 {
                let tx = tx.clone();
                drop(
                    pool.submit(move || {
                        tx.send(thread_name()).expect("the test listens");
                        panic!("after all handles are gone");
                    })
                    .expect("accepted"),
                );
            }
            drop((scope.remove("gone"), pool));
            assert_eq!(rx.iter().take(4).count(), 4, "a joining pool runs what it accepted");
        }
    });
}
