//! [`Stopping`]: the future at whose end a server stops accepting.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::sync::os::{Arc, AtomicBool, Ordering};
use crate::wait::waker_set::WakerSet;

/// Becomes ready when a [`Drain`](crate::Drain) has its signal. A server stops accepting then.
///
/// Also ready when the drain was dropped.
#[must_use = "a future does nothing until it is polled"]
pub struct Stopping {
    signal: Arc<Signal>,
    /// The key of the registration, from the first poll that waits.
    key: Option<usize>,
}

/// The sender of the signal. Its drop sends it too.
pub(super) struct Stop(Arc<Signal>);

struct Signal {
    stops: AtomicBool,
    changed: WakerSet,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self(Arc::new(Signal { stops: AtomicBool::new(false), changed: WakerSet::new() }))
    }

    pub(super) fn stopping(&self) -> Stopping {
        Stopping { signal: Arc::clone(&self.0), key: None }
    }

    /// Wakers run here.
    pub(super) fn stop(&self) {
        self.0.stops.store(true, Ordering::SeqCst);
        self.0.changed.wake_all();
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Registered first: a signal between the two finds the waker.
        let key = *this.key.get_or_insert_with(|| this.signal.changed.insert());
        this.signal.changed.set(key, cx.waker());
        if this.signal.stops.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.signal.changed.remove(key);
        }
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopping")
    }
}
