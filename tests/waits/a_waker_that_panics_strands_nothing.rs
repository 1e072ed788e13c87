//! A waker is user code that may panic where a task ends or a queue has room again. No worker is lost by it, and
//! whoever is woken after it is woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};

use heirloom::{PoolConfig, Scope, WorkerCtx};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker does not like to wake");
    }
}

struct Says(mpsc::Sender<()>);

impl Wake for Says {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

fn is_pending<F: Future>(future: Pin<&mut F>, waker: impl Wake + Send + Sync + 'static) -> bool {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(waker)))).is_pending()
}

#[test]
fn a_waker_of_a_wait_for_room_that_panics_strands_nothing() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| 5).expect("accepted");
        let mut waits = Box::pin(pool.submit_async(|| 6));
        assert!(is_pending(waits.as_mut(), Panics));
        busy.end();
        assert_eq!(queued.join().expect("runs"), 5);
    });
}

#[test]
fn a_waker_of_a_wait_for_the_end_that_panics_strands_nothing() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let (mut first, mut second) = (Box::pin(pool.stop_async()), Box::pin(pool.stop_async()));
        let (says, said) = channel();
        assert!(is_pending(first.as_mut(), Panics) && is_pending(second.as_mut(), Says(says)));
        busy.end();
        said.recv().expect("it is woken");
    });
}

#[test]
fn a_waker_of_a_wait_for_warm_workers_that_panics_strands_nothing() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = scope.create("pool");
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let prepare =
            move |_: &WorkerCtx| gate.lock().map(|gate| gate.recv().is_err()).map(drop).map_err(|_| "poisoned");
        let mut starts = Box::pin(pool.start_async(PoolConfig::dedicated(1).warm(1).on_worker_start(prepare)));
        assert!(is_pending(starts.as_mut(), Panics));
        let task = pool.submit(|| 7).expect("accepted");
        drop(go);
        assert_eq!(task.join().expect("runs on the worker that woke it"), 7);
    });
}
