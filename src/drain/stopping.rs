//! [`Stopping`]: the future at whose end a server stops accepting.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::sync::os::{Arc, AtomicBool, Ordering};
use crate::wait::waker_set::WakerSet;

/// Becomes ready when a [`Drain`](crate::Drain) has its signal. A server stops accepting then.
///
/// Also ready when the drain was dropped.
#[must_use = "a future does nothing until it is polled"]
pub struct Stopping(Option<Wait>); // `None` once it was ready: a further poll is ready too

type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

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
        let signal = Arc::clone(&self.0);
        Stopping(Some(Box::pin(async move { signal.changed.until(|| signal.stops.load(Ordering::SeqCst)).await })))
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
        if let Some(wait) = &mut self.0 {
            ready!(wait.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopping")
    }
}
