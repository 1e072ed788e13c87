//! A `tracing` subscriber is user code that may panic in the middle of a wait. The wait goes on all the same: a
//! borrowing scope never comes back before its tasks have ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, Scope};
use tracing::span;

use crate::common::alone;

struct Touchy(Mutex<mpsc::Sender<()>>);

impl tracing::Subscriber for Touchy {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        let _ = self.0.lock().map(|told| told.send(()));
        panic!("this subscriber does not like warnings");
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_borrowing_scope_waits_though_the_warning_panics() {
    alone(|| {
        let (told_tx, told) = mpsc::channel();
        tracing::subscriber::set_global_default(Touchy(Mutex::new(told_tx))).expect("the process has none");
        let scope = Scope::new("test");
        let (waits, works) = (scope.create("waits"), scope.create("works"));
        waits.start(PoolConfig::leased(1).max_blocked(0)).expect("starts");
        works.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (back_tx, back) = mpsc::channel();
        // What the task would borrow is shared here, so that a wait that breaks is seen and not suffered.
        let ended = Arc::new(AtomicBool::new(false));
        let inside = ended.clone();
        let outer = waits
            .submit(move || {
                // The wait cannot give the place away, and says so at WARN.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    works.scope(|s| {
                        let inside = inside.clone();
                        drop(s.submit(move || {
                            let _ = gate.recv();
                            inside.store(true, Ordering::SeqCst);
                        }));
                    });
                }));
                let _ = back_tx.send(inside.load(Ordering::SeqCst));
            })
            .expect("accepted");
        told.recv().expect("the wait warns");
        let too_early = back.recv_timeout(Duration::from_millis(100));
        go.send(()).expect("the task listens");
        outer.join().expect("runs");
        assert!(too_early.is_err(), "the scope came back while its task ran");
        assert!(back.recv().expect("it came back"), "the scope came back before its task had ended");
    });
}
