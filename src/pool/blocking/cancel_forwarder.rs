//! [`CancelForwarder`]: handing the caller's requests to stop on to a child it waits for.

use std::task::Waker;

use crate::pool::blocking::cancel_listener::CancelListener;

/// What a wait needs to hear of each request that reaches its caller, also of one that repeats another.
pub(crate) struct CancelForwarder {
    cancel_listener: CancelListener,
    /// The requests that were passed on; `None` before the first.
    seen: Option<u64>,
}

impl CancelForwarder {
    pub(crate) fn new() -> Self {
        Self { cancel_listener: CancelListener::new(), seen: None }
    }

    /// Calls `pass` for what came since the last time, and arranges for the waker to be woken when more comes.
    pub(crate) fn poll(&mut self, waker: &Waker, mut pass: impl FnMut()) {
        loop {
            let seen = self.seen;
            if !self.cancel_listener.poll(waker, |heard| heard.cancel_requested() && Some(heard.requests()) != seen) {
                return;
            }
            self.seen = Some(self.cancel_listener.requests());
            pass();
        }
    }

    /// Something was passed on.
    pub(crate) fn passed(&self) -> bool {
        self.seen.is_some()
    }
}
