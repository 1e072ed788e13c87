//! What anybody expects of an executor: it uses no more threads than it needs, reuses them, runs many short tasks
//! without losing one, lets a program shut it down at any moment, and keeps nothing of what it ran.

use std::collections::HashSet;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::ThreadId;

use heirloom::{PoolConfig, Scope, StartErrorKind, TaskSet};

use crate::common::{BOUND, bounded, eventually};

#[test]
fn as_many_run_at_once_as_there_are_places() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(8), PoolConfig::dedicated(8)] {
            let pool = scope.create("work");
            pool.start(config).expect("starts");
            let all = Arc::new(Barrier::new(8));
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let all = Arc::clone(&all);
                    pool.submit(move || all.wait().is_leader()).expect("accepted")
                })
                .collect();
            let leaders = tasks.into_iter().map(|task| task.join().expect("ends")).filter(|l| *l).count();
            assert_eq!(leaders, 1);
        }
    });
}

#[test]
fn never_more_than_the_places_run_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::dedicated(3)).expect("starts");
        let threads: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
        let tasks: TaskSet<()> = (0..200)
            .map(|_| {
                let threads = Arc::clone(&threads);
                let note = move || {
                    threads.lock().expect("nobody panics with it").insert(std::thread::current().id());
                    std::thread::yield_now();
                };
                pool.submit(note).expect("accepted")
            })
            .collect();
        let mut tasks = tasks;
        while tasks.join_next().is_some() {}
        assert!(threads.lock().expect("nobody panics with it").len() <= 3);
    });
}

#[test]
fn an_idle_thread_is_used_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::dedicated(100)).expect("starts");
        let mut threads = HashSet::new();
        for _ in 0..50 {
            threads.insert(pool.submit(|| std::thread::current().id()).expect("accepted").join().expect("ends"));
            // The thread that ran it is nearly back before the next comes; on a busy machine not always.
            eventually("the pool is at rest", || pool.stats().running == 0);
        }
        assert!(threads.len() <= 25, "{} threads for one task at a time", threads.len());
    });
}

#[test]
fn threads_are_named_by_prefix_and_number() {
    bounded(|| {
        let scope = Scope::new("test");
        let name = || std::thread::current().name().map(String::from);
        let pool = scope.create("own");
        pool.start(PoolConfig::dedicated(1).thread_name_prefix("special")).expect("starts");
        assert_eq!(pool.submit(name).expect("accepted").join().expect("ends").as_deref(), Some("special-0"));
        assert!(pool.stop().expect("not from an own task").is_complete());
        pool.start(PoolConfig::dedicated(1)).expect("starts");
        assert_eq!(pool.submit(name).expect("accepted").join().expect("ends").as_deref(), Some("own-0"));
    });
}

#[test]
fn no_places_is_a_mistake_that_is_told() {
    bounded(|| {
        let pool = Scope::new("test").create("work");
        for config in [PoolConfig::leased(0), PoolConfig::dedicated(0)] {
            assert!(
                matches!(pool.start(config), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Invalid { setting: "n", .. })))
            );
        }
    });
}

#[test]
fn many_pools_shut_down_while_busy_hang_nobody() {
    bounded(|| {
        let scope = Scope::new("test");
        for n in 0..50 {
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(5)).expect("starts");
            let tasks: Vec<_> = (0..50).map(|k| pool.submit(move || n * k).expect("accepted")).collect();
            pool.close();
            for (k, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join().expect("it was accepted"), n * k);
            }
        }
    });
}

#[test]
fn a_task_that_goes_on_submitting_notices_the_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let this = pool.clone();
        let (first, began) = mpsc::channel();
        let task = pool.submit(move || {
            let mut accepted = 0;
            while this.submit(|| ()).is_ok() {
                accepted += 1;
                let _ = first.send(());
            }
            accepted
        });
        began.recv().expect("it submits");
        assert!(pool.stop().expect("not from an own task").is_complete());
        let accepted: u64 = task.expect("accepted").join().expect("ends");
        assert_eq!(pool.stats().completed, accepted + 1);
    });
}

#[test]
fn cancelling_with_a_wait_lets_what_runs_finish() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let both = Arc::new(Barrier::new(3));
        let running: Vec<_> = (0..2)
            .map(|n| {
                let both = Arc::clone(&both);
                pool.submit(move || {
                    both.wait();
                    both.wait();
                    n
                })
                .expect("accepted")
            })
            .collect();
        both.wait();
        let queued: Vec<_> = (0..50).map(|_| pool.submit(|| 0).expect("accepted")).collect();
        pool.cancel();
        let stopper = std::thread::spawn({
            let pool = pool.clone();
            move || pool.stop()
        });
        assert!(queued.iter().all(heirloom::TaskHandle::is_finished), "cancelled at once");
        both.wait();
        let report = stopper.join().expect("stops").expect("not from an own task");
        assert_eq!((report.completed, report.cancelled, report.is_complete()), (2, 50, true), "{report}");
        for (n, task) in running.into_iter().enumerate() {
            assert_eq!(task.join().expect("it ran"), n);
        }
    });
}

#[test]
fn nothing_of_a_finished_task_is_kept() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let witness = Arc::new(());
        for _ in 0..10 {
            let held = Arc::clone(&witness);
            let task = pool.submit(move || Arc::clone(&held)).expect("accepted");
            let back = task.join().expect("ends");
            assert_eq!(Arc::strong_count(&witness), 2, "the closure is gone when its result is there");
            drop(back);
            assert_eq!(Arc::strong_count(&witness), 1);
        }
    });
}

#[test]
fn waiting_for_many_that_end_all_the_time_misses_none() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(4)).expect("starts");
        for _ in 0..200 {
            let mut set: TaskSet<()> = (0..50).map(|_| pool.submit(|| ()).expect("accepted")).collect();
            let mut ended = 0;
            while set.join_next_timeout(BOUND).expect("in time").is_some() {
                ended += 1;
            }
            assert_eq!(ended, 50);
        }
    });
}

#[test]
fn pools_whose_tasks_wait_for_each_other_do_not_hang() {
    bounded(|| {
        let scope = Scope::new("test");
        let (left, right) = (scope.create("left"), scope.create("right"));
        left.start(PoolConfig::leased(1)).expect("starts");
        right.start(PoolConfig::leased(1)).expect("starts");
        fn bounce(from: &heirloom::PoolManager, to: &heirloom::PoolManager, n: u32) -> u32 {
            if n == 0 {
                return 0;
            }
            let (next, back) = (to.clone(), from.clone());
            to.submit(move || bounce(&next, &back, n - 1)).expect("accepted").join().expect("ends") + 1
        }
        assert_eq!(bounce(&left, &right, 100), 100);
    });
}
