//! `threads::limit` bounds the cache's threads that are not in a heirloom wait, whoever else waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, threads};

use crate::common::alone;

fn with_limit(limit: usize, test: impl FnOnce(&Scope) + Send + 'static) {
    alone(move || {
        // Nothing is idle above the limit: what a test counts is its own.
        threads::set_keep_alive(Duration::ZERO);
        threads::set_limit(limit);
        Scope::run("test", test);
    });
}

fn leased(scope: &Scope, name: &'static str, n: usize) -> PoolManager {
    let pool = scope.create(name);
    pool.start(PoolConfig::leased(n).workers_only()).expect("starts");
    pool
}

/// Counts how many run at once.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn visit(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..100 {
            std::thread::yield_now();
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn busy(pool: &PoolManager) -> (TaskHandle<()>, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (here, started) = mpsc::channel();
    let task = pool
        .submit(move || {
            here.send(()).expect("the test listens");
            let _ = gate.recv();
        })
        .expect("accepted");
    started.recv().expect("it starts");
    (task, go)
}

#[test]
fn never_more_run_at_once_than_the_limit() {
    with_limit(3, |scope| {
        let crowd = Arc::new(Crowd::default());
        let pools: Vec<_> = (0..8).map(|_| leased(scope, "many", 4)).collect();
        let tasks: Vec<_> = (0..400)
            .map(|i| {
                let crowd = crowd.clone();
                pools[i % 8].submit(move || crowd.visit()).expect("accepted")
            })
            .collect();
        for task in tasks {
            task.join().expect("runs");
        }
        let most = crowd.most.load(Ordering::SeqCst);
        assert!(most <= 3, "{most} at once");
    });
}

#[test]
fn who_is_in_line_at_the_limit_runs_when_a_thread_finishes() {
    with_limit(1, |scope| {
        let (one, other) = (leased(scope, "one", 1), leased(scope, "other", 1));
        let (first, go) = busy(&one);
        let second = other.submit(|| 7).expect("accepted");
        assert_eq!(threads::stats().wanted, 1, "it is in line, and no thread was made for it");
        assert_eq!(threads::stats().live, 1);
        go.send(()).expect("the task listens");
        assert_eq!(second.join().expect("runs"), 7);
        first.join().expect("runs");
    });
}

#[test]
fn a_raised_limit_serves_who_is_in_line_at_once() {
    with_limit(1, |scope| {
        let (one, other) = (leased(scope, "one", 1), leased(scope, "other", 1));
        let (first, go) = busy(&one);
        let second = other.submit(|| 7).expect("accepted");
        threads::set_limit(2);
        assert_eq!(second.join().expect("runs although the first one does not end"), 7);
        go.send(()).expect("the task listens");
        first.join().expect("runs");
    });
}

#[test]
fn threads_inside_heirloom_waits_are_not_counted() {
    with_limit(1, |scope| {
        // Ten pools deep, each waiting for the next: with the waiting ones counted, the first would be the only thread.
        fn down(scope: &Scope, left: u32) -> u32 {
            if left == 0 {
                return 0;
            }
            let pool = leased(scope, "level", 1);
            let here = scope.lineage().clone();
            pool.submit(move || {
                let inner = Scope::new_in(&here, "deeper");
                down(&inner, left - 1)
            })
            .expect("accepted")
            .join()
            .expect("runs")
                + 1
        }
        assert_eq!(down(scope, 10), 10);
    });
}

#[test]
fn a_foreign_thread_that_waits_in_a_run_does_not_raise_the_limit() {
    with_limit(1, |scope| {
        let (here, one, other) = (scope.create("here"), leased(scope, "one", 1), leased(scope, "other", 1));
        here.start(PoolConfig::leased(1)).expect("starts");
        let (first, go) = busy(&one);
        // This thread is none of the cache's: its wait frees none of the cache's threads.
        here.run(|| {
            heirloom::blocking(|| {
                assert_eq!(threads::stats().waiting, 0, "none of the cache's threads waits");
                let second = other.submit(|| 7).expect("accepted");
                assert_eq!(threads::stats().live, 1, "the limit is one thread, and that one works");
                go.send(()).expect("the task listens");
                assert_eq!(second.join().expect("runs"), 7);
            });
        })
        .expect("runs");
        first.join().expect("runs");
    });
}

#[test]
fn a_dedicated_thread_that_waits_does_not_raise_the_limit() {
    with_limit(1, |scope| {
        let (one, other) = (leased(scope, "one", 1), leased(scope, "other", 1));
        let own = scope.create("own");
        own.start(PoolConfig::dedicated(1)).expect("starts");
        let (first, go) = busy(&one);
        let done = own
            .submit(move || {
                heirloom::blocking(|| {
                    assert_eq!(threads::stats().waiting, 0, "none of the cache's threads waits");
                    let second = other.submit(|| 7).expect("accepted");
                    go.send(()).expect("the task listens");
                    assert_eq!(second.join().expect("runs"), 7);
                });
            })
            .expect("accepted");
        done.join().expect("runs");
        first.join().expect("runs");
    });
}

#[test]
fn a_thread_with_two_places_counts_once_while_it_waits() {
    with_limit(2, |scope| {
        let (outer, inner) = (leased(scope, "outer", 1), scope.create("inner"));
        inner.start(PoolConfig::leased(1)).expect("starts");
        outer
            .submit(move || {
                // Runs on this very thread, which now has a place in each pool.
                inner.run(|| heirloom::blocking(|| assert_eq!(threads::stats().waiting, 1))).expect("runs");
            })
            .expect("accepted")
            .join()
            .expect("runs");
        assert_eq!(threads::stats().waiting, 0);
    });
}

#[test]
fn zero_counts_as_one() {
    with_limit(0, |scope| {
        assert_eq!(threads::limit(), 1);
        assert_eq!(leased(scope, "one", 1).submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn dedicated_threads_are_not_counted() {
    with_limit(1, |scope| {
        let leased = leased(scope, "leased", 1);
        let own = scope.create("own");
        own.start(PoolConfig::dedicated(2)).expect("starts");
        let (a, go_a) = busy(&own);
        let (b, go_b) = busy(&own);
        let (c, go_c) = busy(&leased);
        for go in [go_a, go_b, go_c] {
            go.send(()).expect("the task listens");
        }
        for task in [a, b, c] {
            task.join().expect("runs");
        }
    });
}

#[test]
fn a_thread_whose_task_waits_and_keeps_its_place_does_not_count() {
    with_limit(1, |scope| {
        let keeps = scope.create("keeps");
        keeps.start(PoolConfig::leased(1).holds_permit()).expect("starts");
        let other = leased(scope, "other", 1);
        let task = keeps.submit(move || other.submit(|| 7).expect("accepted").join().expect("runs"));
        assert_eq!(task.expect("accepted").join().expect("runs"), 7);
    });
}
