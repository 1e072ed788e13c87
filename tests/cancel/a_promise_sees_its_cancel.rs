//! A cancel ends a promised task that has not begun, and is a request to one that has. Its holder sees both.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use heirloom::{CancelReason, ErrorKind, Lineage, PoolConfig, PoolManager, Promise, Scope, TaskHandle};

use crate::common::bounded;

/// A way to cancel the task of a handle, which it gives back.
type Way = fn(Scope, &PoolManager, TaskHandle<u8>) -> TaskHandle<u8>;

/// The ways by which a cancel reaches a task of the pool below the scope, and their reasons.
const WAYS: [(&str, CancelReason, Way); 8] = [
    ("its handle", CancelReason::Request, |scope, _, task| {
        task.cancel();
        scope.finish_later(task)
    }),
    ("its scope", CancelReason::Request, |scope, _, task| {
        scope.cancel();
        scope.finish_later(task)
    }),
    ("the drop of its scope", CancelReason::OwnerEnd, |scope, _, task| {
        drop(scope);
        task
    }),
    ("its pool", CancelReason::Request, |scope, pool, task| {
        pool.cancel();
        scope.finish_later(task)
    }),
    ("a deadline of its handle", CancelReason::Deadline, |scope, _, task| {
        scope.finish_later(task.timeout(Duration::from_millis(1)))
    }),
    ("a deadline that has passed", CancelReason::Deadline, |scope, _, task| {
        scope.finish_later(task.timeout(Duration::ZERO))
    }),
    ("a deadline of its scope", CancelReason::Deadline, |scope, _, task| {
        scope.deadline(Instant::now() + Duration::from_millis(1));
        scope.finish_later(task)
    }),
    ("a node above", CancelReason::Request, |scope, _, task| {
        scope.lineage().cancel();
        scope.finish_later(task)
    }),
];

trait Later {
    fn finish_later(self, task: TaskHandle<u8>) -> TaskHandle<u8>;
}

impl Later for Scope {
    /// Leaves the scope open: its drop would be another cancel.
    fn finish_later(self, task: TaskHandle<u8>) -> TaskHandle<u8> {
        std::mem::forget(self);
        task
    }
}

fn promised(config: PoolConfig) -> (Scope, PoolManager, Promise<u8>, TaskHandle<u8>) {
    let owner = Scope::new("owner");
    let pool = owner.create("work");
    pool.start(config).expect("starts");
    let request = Scope::new_in(&owner, "request 7");
    std::mem::forget(owner);
    let (promise, task) = request.run(|| pool.promise()).expect("accepted");
    (request, pool, promise, task)
}

#[test]
fn a_cancel_before_it_begins_ends_it_at_once() {
    bounded(|| {
        for (way, reason, cancel) in WAYS {
            let (request, pool, promise, task) = promised(PoolConfig::leased(1));
            let (ends, ended) = mpsc::channel();
            let (hears, heard) = mpsc::channel();
            promise.on_end(move || ends.send(()).expect("awaited"));
            let _hook = promise.lineage().on_cancel(move || hears.send(()).expect("awaited"));
            let error = cancel(request, &pool, task).join().expect_err(way);
            let cause = error.as_cancelled().unwrap_or_else(|| panic!("{way}: {error}"));
            assert_eq!(cause.reason(), reason, "{way}");
            ended.recv().unwrap_or_else(|_| panic!("{way}: the hook did not run"));
            heard.recv().unwrap_or_else(|_| panic!("{way}: the node was not told"));
            assert!(promise.lineage().is_cancelled() && promise.is_ended(), "{way}");
            assert!(!promise.begin(), "{way}");
            promise.complete(7);
            let stats = pool.stats();
            assert_eq!((stats.cancelled, stats.completed, stats.queued, stats.running), (1, 0, 0, 0), "{way}");
        }
    });
}

#[test]
fn a_cancel_after_it_began_is_a_request_to_its_holder() {
    bounded(|| {
        for (way, reason, cancel) in WAYS {
            for ends_as_cancelled in [false, true] {
                let (request, pool, promise, task) = promised(PoolConfig::leased(1));
                assert!(promise.begin());
                let (hears, heard) = mpsc::channel();
                promise.on_end(|| panic!("its holder ends it"));
                let hook = promise.lineage().on_cancel(move || hears.send(()).expect("awaited"));
                let task = cancel(request, &pool, task);
                heard.recv().unwrap_or_else(|_| panic!("{way}: the node was not told"));
                drop(hook);
                assert!(promise.lineage().is_cancelled() && !task.is_finished(), "{way}");
                if ends_as_cancelled {
                    promise.cancel();
                    let error = task.join().expect_err(way);
                    let cause = error.as_cancelled().unwrap_or_else(|| panic!("{way}: {error}"));
                    assert_eq!(cause.reason(), reason, "{way}");
                } else {
                    promise.complete(7);
                    assert_eq!(task.join().expect(way), 7);
                }
                let stats = pool.stats();
                assert_eq!((stats.interrupted, stats.completed, stats.running), (1, 0, 0), "{way}");
            }
        }
    });
}

#[test]
fn the_time_of_a_task_starts_when_it_begins() {
    bounded(|| {
        let (_request, _pool, promise, task) = promised(PoolConfig::leased(1).task_timeout(Duration::from_millis(1)));
        thread::sleep(Duration::from_millis(5));
        assert!(promise.begin(), "no time runs while it is queued");
        futures::executor::block_on(promise.lineage().cancelled());
        promise.cancel();
        assert_eq!(task.join().expect_err("its time is over").kind(), ErrorKind::DeadlineExceeded);
    });
}

#[test]
fn a_closed_daemon_pool_ends_it() {
    bounded(|| {
        let (_request, pool, promise, task) = promised(PoolConfig::leased(1).daemon());
        let (begun, running) = pool.promise::<u8>().expect("accepted");
        assert!(begun.begin());
        pool.close();
        assert!(task.join().expect_err("never begins").is_cancelled());
        assert!(promise.is_ended());
        // The one that has begun ends by its holder.
        begun.complete(7);
        assert_eq!(running.join().expect("completed"), 7);
    });
}

#[test]
fn the_end_of_a_scope_ends_those_of_daemon_pools_below() {
    bounded(|| {
        let (request, _pool, promise, task) = promised(PoolConfig::leased(1).daemon());
        request.finish();
        assert!(task.join().expect_err("never begins").is_cancelled());
        assert!(!promise.begin());
    });
}

#[test]
fn a_joining_pool_that_is_closed_lets_it_begin_and_end() {
    bounded(|| {
        let (_request, pool, promise, task) = promised(PoolConfig::leased(1));
        pool.close();
        assert!(promise.begin());
        promise.complete(7);
        assert_eq!(task.join().expect("completed"), 7);
        assert!(pool.stop().expect("stops").is_complete());
    });
}

#[test]
fn a_task_that_is_promised_to_a_cancelled_pool_or_node_never_begins() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (running, cancelled) = pool.promise::<u8>().expect("accepted");
        assert!(running.begin());
        cancelled.cancel();
        let at: Lineage = running.lineage();
        let (promise, task) = at.run(|| pool.promise::<u8>()).expect("accepted");
        assert!(task.join().expect_err("its node was cancelled").is_cancelled());
        let (ran, runs) = mpsc::channel();
        promise.on_end(move || ran.send(()).expect("awaited"));
        assert_eq!(runs.try_recv(), Ok(()), "it had ended before");
        assert!(!promise.begin());
    });
}

#[test]
fn tasks_below_its_node_are_cancelled_with_it() {
    bounded(|| {
        for begins in [false, true] {
            let (_request, pool, promise, task) = promised(PoolConfig::leased(1));
            let (open, gate) = mpsc::channel::<()>();
            let (starts, started) = mpsc::channel();
            let busy = pool.submit(move || {
                starts.send(()).expect("awaited");
                gate.recv()
            });
            started.recv().expect("starts");
            let below = promise.lineage().run(|| pool.submit(|| ())).expect("accepted");
            assert!(!begins || promise.begin());
            task.cancel();
            assert!(below.join().expect_err("never starts").is_cancelled());
            drop((open, promise));
            busy.expect("accepted").join().expect("ends").expect_err("the gate is dropped");
        }
    });
}

#[test]
fn a_hook_may_complete_the_promise_and_others() {
    bounded(|| {
        let (_request, pool, promise, task) = promised(PoolConfig::leased(1));
        let (other, awaited) = pool.promise::<u8>().expect("accepted");
        promise.on_end(move || other.complete(7));
        task.cancel();
        assert_eq!(awaited.join().expect("completed by the hook"), 7);

        let (promise, task) = pool.promise::<u8>().expect("accepted");
        assert!(promise.begin());
        let at = promise.lineage();
        let hook = at.on_cancel(move || promise.cancel());
        task.cancel();
        assert!(task.join().expect_err("ended by the hook").is_cancelled());
        drop(hook);
    });
}

#[test]
fn a_value_that_comes_too_late_is_dropped_outside_of_locks() {
    struct Submits(PoolManager, mpsc::Sender<bool>);
    impl Drop for Submits {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.promise::<u8>().is_ok());
        }
    }
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (promise, task) = pool.promise::<Submits>().expect("accepted");
        task.cancel();
        let (tells, told) = mpsc::channel();
        promise.complete(Submits(pool.clone(), tells));
        assert_eq!(told.try_recv(), Ok(true));
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
    });
}
