//! `cancelled()` resolves when its place, or one above it, is asked to stop, and never otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heirloom::{Lineage, PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::{block_on, started};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn it_resolves_at_once_when_asked_before() {
    bounded(|| {
        let scope = Scope::new("scope");
        scope.cancel();
        block_on(scope.cancelled());
        let inner = Scope::new_in(scope.lineage(), "inner");
        block_on(inner.cancelled());
    });
}

#[test]
fn it_is_woken_by_a_request_above_and_by_no_other() {
    bounded(|| {
        let (parent, beside) = (Scope::new("parent"), Scope::new("beside"));
        let scope = Scope::new_in(parent.lineage(), "scope");
        let below = Scope::new_in(scope.lineage(), "below");
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut waits = Box::pin(scope.cancelled());
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        beside.cancel();
        below.cancel();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "the end of one request wakes its own waiters alone");
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        parent.cancel();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(waits.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    });
}

#[test]
fn a_wait_at_the_process_never_resolves() {
    bounded(|| {
        let mut waits = Box::pin(Lineage::process().cancelled());
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn a_runtime_selects_on_it() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let scope = Scope::new("scope");
        let at = scope.lineage().clone();
        let asks = thread::spawn(move || scope.cancel()).expect("a thread starts");
        let ended = runtime.block_on(async {
            tokio::select! {
                () = at.cancelled() => "asked",
                () = tokio::time::sleep(Duration::from_secs(3600)) => "late",
            }
        });
        assert_eq!(ended, "asked");
        asks.join().unwrap();
    });
}

#[test]
fn dropping_it_leaves_nothing_behind() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        for _ in 0..100 {
            let mut waits = Box::pin(scope.cancelled());
            assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        scope.cancel();
    });
}
