//! What a task leaves behind (a result nobody claims, a closure that is cancelled) is dropped as part of the task: a
//! wait from that drop does not hold up the pool, and an end of the pool called from there is refused, as from the
//! body.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, StopError, TaskHandle};

use crate::common::{bounded, eventually};

/// Runs a closure when dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Waits for a task when dropped, as guards do.
struct Joins(Option<TaskHandle<i32>>, mpsc::Sender<i32>);

impl Drop for Joins {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            let _ = self.1.send(handle.join().unwrap_or(-1));
        }
    }
}

fn pool_of_one(scope: &Scope) -> PoolManager {
    let pool = scope.create("one");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

#[test]
fn an_unclaimed_result_may_join_another_task_of_a_pool_of_one() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (joined, seen) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let (give, get) = mpsc::channel();
        // The result is unclaimed before the body ends, so the worker itself drops it.
        drop(pool.submit(move || {
            let _ = gate.recv();
            let next: TaskHandle<i32> = get.recv().expect("a handle comes");
            Joins(Some(next), joined)
        }));
        let next = pool.submit(|| 7).expect("accepted");
        give.send(next).expect("the task listens");
        go.send(()).expect("the task listens");
        assert_eq!(seen.recv_timeout(Duration::from_secs(10)), Ok(7), "the pool is held up by its own task's drop");
    });
}

#[test]
fn an_unclaimed_result_cannot_wait_for_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (said, heard) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let this = pool.clone();
        drop(pool.submit(move || {
            let _ = gate.recv();
            OnDrop::new(move || {
                let _ = said.send(this.wait_idle_timeout(Duration::from_millis(300)));
            })
        }));
        go.send(()).expect("the task listens");
        let answer = heard.recv().expect("the drop says what it saw");
        assert!(
            matches!(answer, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))),
            "{answer:?}"
        );
    });
}

#[test]
fn an_unclaimed_result_cannot_stop_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (said, heard) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let this = pool.clone();
        drop(pool.submit(move || {
            let _ = gate.recv();
            OnDrop::new(move || {
                let _ = said.send(this.stop_timeout(Duration::from_millis(300)));
            })
        }));
        go.send(()).expect("the task listens");
        let answer = heard.recv().expect("the drop says what it saw");
        assert!(
            matches!(answer, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))),
            "{answer:?}"
        );
        assert!(pool.is_running(), "a refused stop changes nothing");
    });
}

#[test]
fn a_cancelled_closure_cannot_wait_for_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let busy = pool
            .submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            })
            .expect("accepted");
        running.recv().expect("runs");
        let (said, heard) = mpsc::channel();
        let this = pool.clone();
        let held = OnDrop::new(move || {
            let _ = said.send(this.wait_idle_timeout(Duration::from_millis(300)));
        });
        let queued = pool.submit(move || drop(held)).expect("accepted");
        // The busy task ends, so that only the cancelled one itself is left to wait for.
        let cancelling = std::thread::spawn(move || queued.cancel());
        let answer = heard.recv().expect("the drop says what it saw");
        go.send(()).expect("the task listens");
        busy.join().expect("ends");
        cancelling.join().expect("the cancel ends");
        assert!(
            matches!(answer, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))),
            "{answer:?}"
        );
    });
}

#[test]
fn a_drop_stands_where_its_task_stood() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (said, heard) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        scope
            .run(|| {
                pool.submit(move || {
                    let _ = gate.recv();
                    OnDrop::new(move || {
                        let _ = said.send(heirloom::get("one").is_ok());
                    })
                })
            })
            .map(drop)
            .expect("accepted");
        go.send(()).expect("the task listens");
        assert_eq!(heard.recv(), Ok(true), "a result's drop finds what the task's body found");
        eventually("the pool is idle", || pool.stats().completed == 1);
    });
}

#[test]
fn a_task_whose_result_is_still_being_dropped_has_not_ended() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool_of_one(&scope);
        let (go, gate) = mpsc::channel::<()>();
        let (dropping, drops) = mpsc::channel();
        let (give, get) = mpsc::channel::<()>();
        drop(pool.submit(move || {
            // The handle is gone by now, so the result is dropped here.
            let _ = get.recv();
            OnDrop::new(move || {
                let _ = dropping.send(());
                let _ = gate.recv();
            })
        }));
        drop(give);
        drops.recv().expect("the result is dropped");
        assert!(!pool.wait_idle_timeout(Duration::ZERO).expect("from outside"));
        let report = pool.stop_timeout(Duration::ZERO).expect("from outside");
        drop(go);
        assert_eq!((report.remaining, report.is_complete()), (1, false), "{report}");
        assert!(pool.stop().expect("from outside").is_complete());
    });
}
