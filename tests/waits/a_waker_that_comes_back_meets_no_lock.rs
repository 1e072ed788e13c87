//! Whoever awaits an end, or room in a queue, may look again from within its waker: nothing of heirloom's is locked
//! then. The waker is run by whichever thread ends the wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use heirloom::{PoolConfig, Scope, WorkerCtx};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

/// A future, and a waker that polls it at once, wherever it is run.
struct Polls<T> {
    future: Mutex<Option<Pin<Box<dyn Future<Output = T> + Send>>>>,
    ready: Mutex<Sender<T>>,
}

impl<T: Send + 'static> Polls<T> {
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        // Polled for nothing when it is woken while it is polled.
        let Ok(mut future) = self.future.try_lock() else { return };
        let polled = future.as_mut().map(|future| future.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Some(Poll::Ready(out)) = polled {
            *future = None;
            self.ready.lock().unwrap().send(out).unwrap();
        }
    }
}

impl<T: Send + 'static> Wake for Polls<T> {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

/// Polls for the first time. What comes out is told when it is woken.
fn awaits<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> mpsc::Receiver<T> {
    let (ready, out) = mpsc::channel();
    let polls = Arc::new(Polls { future: Mutex::new(Some(Box::pin(future))), ready: Mutex::new(ready) });
    polls.poll();
    out
}

#[test]
fn a_waker_of_a_wait_for_room_meets_no_lock() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).unwrap();
        let at = pool.clone();
        let submitted = awaits(async move { [at.submit_async(|| 7).await.unwrap()] });
        queued.cancel();
        let [task] = submitted.recv().unwrap();
        busy.end();
        assert_eq!(task.join().unwrap(), 7);
    });
}

#[test]
fn a_waker_of_a_wait_for_a_pools_end_meets_no_lock() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", config);
            let busy = Busy::on(&pool);
            let at = pool.clone();
            let stopped = awaits(async move { at.stop_async().await.unwrap() });
            busy.end();
            assert!(stopped.recv().unwrap().is_complete());
        }
    });
}

#[test]
fn a_waker_of_a_wait_for_a_scopes_end_meets_no_lock() {
    bounded(|| {
        let outer = Scope::new("outer");
        let pool = started(&outer, "pool", PoolConfig::leased(1));
        let scope = Scope::new("scope");
        let busy = scope.run(|| Busy::on(&pool));
        let stopped = awaits(async move { scope.stop_async().await.unwrap() });
        busy.end();
        assert!(stopped.recv().unwrap().is_complete());
    });
}

#[test]
fn a_waker_of_a_wait_for_warm_workers_meets_no_lock() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = scope.create("pool");
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let prepare =
            move |_: &WorkerCtx| gate.lock().map(|gate| gate.recv().is_err()).map(drop).map_err(|_| "poisoned");
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(prepare);
        let at = pool.clone();
        let started = awaits(async move { at.start_async(config).await });
        drop(go);
        started.recv().unwrap().unwrap();
        assert_eq!(pool.submit(|| 7).unwrap().join().unwrap(), 7);
    });
}
