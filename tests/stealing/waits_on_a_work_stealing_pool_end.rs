//! A wait on a work-stealing pool's thread ends: what nobody has started runs in place, what else it needs gets threads
//! of its own, and what would wait for itself is refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, StopError};
use rayon::prelude::*;

use crate::common::{alone, bounded, eventually};

fn started(scope: &Scope, n: usize) -> PoolManager {
    let pool = scope.create("math");
    pool.start(PoolConfig::work_stealing(n)).expect("starts");
    pool
}

fn fib(pool: &PoolManager, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (own, other) = (pool.clone(), pool.clone());
    let a = pool.submit(move || fib(&own, n - 1)).expect("accepted");
    let b = pool.submit(move || fib(&other, n - 2)).expect("accepted");
    a.join().expect("runs") + b.join().expect("runs")
}

#[test]
fn tasks_that_join_their_own_end_in_a_pool_of_one() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 1);
        assert_eq!(pool.install(|| fib(&pool, 12)).expect("runs"), 144);
        // Deeper than other pools run in place.
        fn nest(pool: &PoolManager, depth: u32) -> u32 {
            let own = pool.clone();
            if depth == 0 {
                0
            } else {
                1 + pool.submit(move || nest(&own, depth - 1)).expect("accepted").join().expect("runs")
            }
        }
        assert_eq!(pool.install(|| nest(&pool, 100)).expect("runs"), 100);
    });
}

#[test]
fn a_join_in_a_stolen_piece_runs_its_task_too() {
    bounded(|| {
        let scope = Scope::new("test");
        for n in [1, 2, 3] {
            let pool = started(&scope, n);
            for _ in 0..20 {
                let sum: u64 = pool
                    .install(|| {
                        let tasks: Vec<_> = (0..40u64).map(|n| pool.submit(move || n).expect("accepted")).collect();
                        tasks.into_par_iter().map(|task| task.join().expect("runs")).sum()
                    })
                    .expect("runs");
                assert_eq!(sum, 780);
            }
            assert!(pool.stop().expect("not from within").is_complete());
        }
    });
}

#[test]
fn a_join_runs_its_task_on_any_of_the_pools_threads() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 2);
        let meet = Barrier::new(2);
        pool.install(|| {
            // All threads are in here, so nobody else could; on one of them no task was begun.
            rayon::broadcast(|_| {
                meet.wait();
                for _ in 0..20 {
                    assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
                }
                meet.wait();
            });
        })
        .expect("runs");
    });
}

#[test]
fn an_install_within_the_pool_runs_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(1).queue_limit(1)).expect("starts");
        let (outer, inner) = pool
            .install(|| {
                // Queued for the only place, which is not free, and the queue is full: an install does not need either.
                let _later = pool.submit(|| ()).expect("accepted");
                (std::thread::current().id(), pool.install(|| std::thread::current().id()).expect("runs"))
            })
            .expect("runs");
        assert_eq!(outer, inner);
        assert_eq!(pool.stop().expect("not from within").completed, 3);
    });
}

#[test]
fn two_pools_that_install_in_each_other_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let (a, b) = (scope.create("a"), scope.create("b"));
        a.start(PoolConfig::work_stealing(2)).expect("starts");
        b.start(PoolConfig::work_stealing(2)).expect("starts");
        let sum: u64 = a
            .install(|| {
                (0..20u64)
                    .into_par_iter()
                    .map(|n| b.install(|| (0..n).into_par_iter().sum::<u64>()).expect("runs"))
                    .sum()
            })
            .expect("runs");
        assert_eq!(sum, (0..20u64).map(|n| n * n.saturating_sub(1) / 2).sum::<u64>());
    });
}

/// Each install within the one before, in the other pool.
fn back_and_forth(a: &PoolManager, b: &PoolManager, depth: u32) -> u32 {
    if depth == 0 { 0 } else { 1 + a.install(|| back_and_forth(b, a, depth - 1)).expect("runs") }
}

#[test]
fn pools_of_one_that_install_in_each_other_end_at_any_depth() {
    alone(|| {
        let scope = Scope::new("test");
        let [a, b] = ["a", "b"].map(|name| {
            let pool = scope.create(name);
            pool.start(PoolConfig::work_stealing(1)).expect("starts");
            pool
        });
        assert_eq!(back_and_forth(&a, &b, 30), 30);
        for pool in [a, b] {
            assert!(pool.stop().expect("not from within").is_complete());
        }
        eventually("the threads are back", || heirloom::threads::stats().waiting == 0);
    });
}

#[test]
fn leased_tasks_that_its_pieces_join_may_install_in_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let io = scope.create("io");
        io.start(PoolConfig::leased(1)).expect("starts");
        for n in [1, 2, 3] {
            let pool = started(&scope, n);
            let by_way_of_io = |n: u64| {
                let pool = pool.clone();
                let task = io.submit(move || pool.install(|| n).expect("runs")).expect("accepted");
                task.join().expect("runs")
            };
            for _ in 0..20 {
                let sum: u64 = pool.install(|| (0..40u64).into_par_iter().map(by_way_of_io).sum()).expect("runs");
                assert_eq!(sum, 780);
            }
        }
    });
}

#[test]
fn a_wait_that_heirloom_does_not_see_gives_its_place_away_when_it_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        for n in [1, 2] {
            let pool = started(&scope, n);
            let (tells, told) = mpsc::channel();
            let own = pool.clone();
            let task = pool.submit(move || {
                let tells = own.submit(move || tells.send(7)).expect("accepted");
                (heirloom::blocking(|| told.recv()).expect("it is sent"), tells.is_finished())
            });
            assert_eq!(task.expect("accepted").join().expect("runs").0, 7);
        }
    });
}

#[test]
fn a_join_for_some_time_ends_when_its_task_does() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 1);
        let long = Duration::from_secs(3600);
        let joined =
            pool.install(|| pool.submit(|| 7).expect("accepted").join_timeout(long).is_ok_and(|out| out.is_ok()));
        assert!(joined.expect("runs"));
    });
}

#[test]
fn a_job_of_no_task_that_waits_holds_up_nobody() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 1);
        let own = pool.clone();
        let (done, is_done) = mpsc::channel();
        pool.install(move || {
            rayon::spawn(move || {
                let (tells, told) = mpsc::channel();
                let task = own.submit(move || tells.send(7).expect("somebody listens")).expect("accepted");
                let out = heirloom::blocking(|| told.recv());
                task.join().expect("runs");
                done.send(out).expect("somebody listens");
            });
        })
        .expect("runs");
        assert_eq!(is_done.recv().expect("it ended"), Ok(7));
    });
}

#[test]
fn its_waits_start_no_more_threads_than_they_may() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(1).max_blocked(3)).expect("starts");
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (pool, most) = (pool.clone(), Arc::clone(&most));
                pool.clone().submit(move || {
                    heirloom::sleep(Duration::from_millis(2)).expect("nobody asks");
                    most.fetch_max(pool.stats().waiting, Ordering::Relaxed);
                })
            })
            .collect();
        for task in tasks {
            task.expect("accepted").join().expect("runs");
        }
        assert!(most.load(Ordering::Relaxed) <= 3);
    });
}

#[test]
fn a_borrowing_scope_on_its_thread_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 1);
        let count = AtomicUsize::new(0);
        pool.install(|| {
            pool.scope(|s| {
                for _ in 0..50 {
                    let _ = s.submit(|| count.fetch_add(1, Ordering::Relaxed)).expect("accepted");
                }
            });
        })
        .expect("runs");
        assert_eq!(count.load(Ordering::Relaxed), 50);
    });
}

#[test]
fn an_end_from_any_of_its_threads_is_refused() {
    bounded(|| {
        let scope = Arc::new(Scope::new("test"));
        let pool = started(&scope, 3);
        let refused = |result: Result<heirloom::StopReport, heirloom::Error>| matches!(result, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. })));
        // Also in a piece on a thread where no task was begun.
        let all = pool.install(|| rayon::broadcast(|_| refused(pool.stop()) && refused(scope.stop()))).expect("runs");
        assert_eq!(all, [true; 3]);
        assert!(pool.is_running());
        assert!(pool.stop().expect("not from within").is_complete());
    });
}

#[test]
fn a_sleeper_in_a_piece_hears_that_its_pool_is_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, 2);
        let (sleeps, asleep) = mpsc::channel();
        let task = pool
            .submit(move || {
                rayon::broadcast(|_| {
                    sleeps.send(()).expect("somebody listens");
                    let slept = heirloom::sleep(Duration::from_secs(3600));
                    slept.is_err() && heirloom::is_cancelled() && !heirloom::acknowledge_cancel()
                })
            })
            .expect("accepted");
        asleep.recv().expect("the first sleeps");
        asleep.recv().expect("the second sleeps");
        pool.cancel();
        assert_eq!(task.join().expect("runs"), [true; 2]);
    });
}

#[test]
fn the_owners_end_reaches_what_runs() {
    alone(|| {
        let request = Scope::new("request");
        let pool = started(&request, 2);
        let (sleeps, asleep) = mpsc::channel();
        let task = pool
            .submit(move || {
                rayon::broadcast(|_| {
                    sleeps.send(()).expect("somebody listens");
                    heirloom::sleep(Duration::from_secs(3600)).is_err()
                })
            })
            .expect("accepted");
        asleep.recv().expect("the first sleeps");
        asleep.recv().expect("the second sleeps");
        let queued: Vec<_> = (0..10).map(|_| pool.submit(|| ())).collect();
        drop(request);
        assert_eq!(task.join().expect("runs"), [true; 2]);
        // One place was free, so some may have run.
        for task in queued.into_iter().flatten() {
            assert!(task.join().is_ok_and(|()| true) || !pool.is_running());
        }
        eventually("the threads are back", || heirloom::threads::stats().wanted == 0);
    });
}
