//! Whichever of a begin, a completion, a drop and a cancel comes first: a promised task ends once, and nothing is left of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use heirloom::{CancelOutcome, PoolConfig, Registry, Scope};

use crate::common::bounded;

const ROUNDS: usize = if cfg!(miri) { 10 } else { 3000 };

/// A value that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs the holder's code and the canceller's at one moment, with each way to cancel.
fn race(cancels: fn(&Scope, &heirloom::PoolManager, &heirloom::TaskHandle<Counted>), config: fn() -> PoolConfig) {
    let (drops, values) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..ROUNDS {
        let family = Registry::new();
        let owner = Scope::new_in(&family.root(), "owner");
        let pool = owner.create("work");
        pool.start(config()).expect("starts");
        let request = Scope::new_in(&owner, "request");
        let (promise, task) = request.run(|| pool.promise::<Counted>()).expect("accepted");
        let at = promise.lineage();
        let meet = Arc::new(Barrier::new(2));
        let hooks = Arc::new(AtomicUsize::new(0));
        promise.on_end({
            let hooks = Arc::clone(&hooks);
            move || {
                hooks.fetch_add(1, Ordering::SeqCst);
            }
        });
        let holder = thread::spawn({
            let (meet, drops, values) = (Arc::clone(&meet), Arc::clone(&drops), Arc::clone(&values));
            move || {
                meet.wait();
                let begun = round % 2 == 0 && promise.begin();
                match round % 3 {
                    0 => drop(promise),
                    _ => {
                        values.fetch_add(1, Ordering::SeqCst);
                        promise.complete(Counted(drops));
                    }
                }
                begun
            }
        });
        meet.wait();
        cancels(&request, &pool, &task);
        let begun = holder.join().expect("ends");
        // It has ended now: by the holder, or before it began.
        assert!(task.is_finished());
        let evicted = task.join().is_err_and(|error| error.is_cancelled());
        assert!(!(begun && evicted), "a task that has begun is not evicted");
        let stats = pool.stats();
        let ends = stats.completed + stats.interrupted + stats.panicked + stats.cancelled;
        assert_eq!((ends, stats.queued, stats.running, stats.waiting), (1, 0, 0, 0), "{stats:?}");
        assert!(hooks.load(Ordering::SeqCst) <= usize::from(evicted));
        drop(at);
        assert_eq!(family.snapshot().nodes.len(), 3, "the task's node is gone");
        request.cancel();
        assert!(pool.stop().expect("stops").is_complete());
    }
    assert_eq!(drops.load(Ordering::SeqCst), values.load(Ordering::SeqCst), "each value is dropped once");
}

#[test]
fn with_a_cancel_by_its_handle() {
    bounded(|| race(|_, _, task| assert_ne!(task.cancel(), CancelOutcome::NotCancellable), || PoolConfig::leased(1)));
}

#[test]
fn with_a_cancel_of_its_scope() {
    bounded(|| race(|scope, _, _| scope.cancel(), || PoolConfig::leased(1)));
}

#[test]
fn with_a_cancel_of_its_pool() {
    bounded(|| race(|_, pool, _| pool.cancel(), || PoolConfig::leased(1)));
}

#[test]
fn with_a_close_of_its_daemon_pool() {
    bounded(|| race(|_, pool, _| pool.close(), || PoolConfig::leased(1).daemon()));
}

#[test]
fn with_a_cancel_in_a_bounded_pool_with_tenants() {
    bounded(|| {
        race(|scope, _, _| scope.cancel(), || PoolConfig::leased(1).fair().queue_limit(1).queue_limit_each(1));
    });
}

#[test]
fn a_task_is_promised_before_a_close_or_refused_after_it() {
    bounded(|| {
        for daemon in [false, true] {
            for _ in 0..ROUNDS {
                let owner = Scope::new("owner");
                let pool = owner.create("work");
                let config = PoolConfig::leased(1);
                pool.start(if daemon { config.daemon() } else { config }).expect("starts");
                let meet = Arc::new(Barrier::new(2));
                let submitter = thread::spawn({
                    let (meet, pool) = (Arc::clone(&meet), pool.clone());
                    move || {
                        meet.wait();
                        pool.promise::<u8>().ok()
                    }
                });
                meet.wait();
                if daemon {
                    pool.close();
                } else {
                    pool.cancel();
                }
                if let Some((promise, task)) = submitter.join().expect("ends") {
                    assert!(task.join().expect_err("never begins").is_cancelled());
                    assert!(!promise.begin());
                }
                assert!(pool.stop().expect("stops").is_complete());
            }
        }
    });
}

#[test]
fn several_threads_begin_it_and_one_does() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        for _ in 0..ROUNDS / 10 {
            let (promise, task) = pool.promise::<u8>().expect("accepted");
            let meet = Barrier::new(3);
            let begin = || {
                meet.wait();
                usize::from(promise.begin())
            };
            let begun: usize = thread::scope(|scope| {
                let threads = [(); 3].map(|()| scope.spawn(begin));
                threads.into_iter().map(|thread| thread.join().expect("ends")).sum()
            });
            assert_eq!((begun, pool.stats().running), (1, 1));
            promise.complete(7);
            assert_eq!(task.join().expect("completed"), 7);
        }
    });
}
