//! `wait_idle` returns when nothing is queued or running, for any number of waiters, any number of times, and the pool
//! stays open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, StopError};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

fn kinds(n: usize) -> [PoolConfig; 2] {
    [PoolConfig::leased(n), PoolConfig::dedicated(n)]
}

#[test]
fn an_idle_pool_is_not_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        scope.create("never started").wait_idle().expect("nothing to wait for");
        for config in kinds(1) {
            let pool = started(&scope, "idle", config);
            pool.wait_idle().expect("from outside");
            assert!(pool.wait_idle_timeout(Duration::ZERO).expect("from outside"));
        }
    });
}

#[test]
fn it_can_be_done_again_and_again() {
    bounded(|| {
        for config in kinds(3) {
            let scope = Scope::new("test");
            let pool = started(&scope, "again", config);
            let count = Arc::new(AtomicUsize::new(0));
            for round in 1..=300 {
                for _ in 0..10 {
                    let count = count.clone();
                    drop(pool.submit(move || count.fetch_add(1, Ordering::SeqCst)).expect("still open"));
                }
                pool.wait_idle().expect("from outside");
                assert_eq!(count.load(Ordering::SeqCst), round * 10);
            }
        }
    });
}

#[test]
fn many_may_wait_at_once() {
    bounded(|| {
        for config in kinds(2) {
            let scope = Scope::new("test");
            let pool = started(&scope, "many", config);
            let busy = Busy::on(&pool);
            let together = Barrier::new(9);
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        together.wait();
                        pool.wait_idle().expect("from outside");
                    });
                }
                together.wait();
                busy.end();
            });
        }
    });
}

#[test]
fn tasks_that_tasks_submit_are_waited_for_too() {
    fn spread(pool: &PoolManager, left: u32, count: &Arc<AtomicUsize>) {
        count.fetch_add(1, Ordering::SeqCst);
        if left > 0 {
            for _ in 0..2 {
                let (inner, count) = (pool.clone(), count.clone());
                drop(pool.submit(move || spread(&inner, left - 1, &count)).expect("accepted"));
            }
        }
    }
    bounded(|| {
        for config in kinds(2) {
            let scope = Scope::new("test");
            let pool = started(&scope, "spreads", config);
            let count = Arc::new(AtomicUsize::new(0));
            spread(&pool, 10, &count);
            pool.wait_idle().expect("from outside");
            assert_eq!(count.load(Ordering::SeqCst), 2_047);
        }
    });
}

#[test]
fn waves_of_two_pools_that_wait_for_each_other_pass() {
    // Each task of a wave waits for the other pool to be idle, at the same time as others wait for its own.
    bounded(|| {
        let scope = Scope::new("test");
        let (a, b) = (started(&scope, "a", PoolConfig::leased(2)), started(&scope, "b", PoolConfig::leased(2)));
        for _ in 0..50 {
            let (tx, rx) = mpsc::channel();
            for i in 0..6 {
                let (b, tx) = (b.clone(), tx.clone());
                drop(b.submit(std::thread::yield_now).expect("accepted"));
                drop(
                    a.submit(move || {
                        b.wait_idle().expect("no task of its own");
                        tx.send(i).expect("the test listens");
                    })
                    .expect("accepted"),
                );
            }
            drop(tx);
            a.wait_idle().expect("from outside");
            assert_eq!(rx.into_iter().count(), 6);
        }
    });
}

#[test]
fn a_bounded_wait_says_whether_it_came_true() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "busy", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        assert!(!pool.wait_idle_timeout(Duration::from_millis(10)).expect("from outside"));
        busy.end();
        assert!(pool.wait_idle_timeout(Duration::from_secs(50)).expect("from outside"));
    });
}

#[test]
fn a_wait_from_a_task_of_the_pool_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::leased(1));
        let inner = pool.clone();
        let answer = pool.submit(move || inner.wait_idle()).expect("accepted").join().expect("runs");
        assert!(matches!(answer, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
    });
}

#[test]
fn a_mass_of_tasks_is_waited_for_to_the_last() {
    bounded(|| {
        for config in kinds(4) {
            let scope = Scope::new("test");
            let pool = started(&scope, "mass", config);
            let count = Arc::new(AtomicUsize::new(0));
            std::thread::scope(|threads| {
                for _ in 0..2 {
                    threads.spawn(|| {
                        for _ in 0..50_000 {
                            let count = count.clone();
                            drop(pool.submit(move || count.fetch_add(1, Ordering::Relaxed)).expect("accepted"));
                        }
                    });
                }
            });
            pool.wait_idle().expect("from outside");
            assert_eq!(count.load(Ordering::SeqCst), 100_000);
        }
    });
}
