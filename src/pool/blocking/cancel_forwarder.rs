//! [`CancelForwarder`]: passes the caller's cancel requests on to the child that it waits for.

use std::task::Waker;

use crate::pool::blocking::cancel_listener::CancelListener;

/// Forwards each cancel request that reaches a waiting caller, also one that repeats another.
pub(crate) struct CancelForwarder {
    cancel_listener: CancelListener,
    /// The requests that were passed on; `None` before the first.
    seen: Option<u64>,
}

impl CancelForwarder {
    pub(crate) fn new() -> Self {
        Self { cancel_listener: CancelListener::new(), seen: None }
    }

    /// Calls `pass` for the requests since the last time, and registers the waker for the next one.
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

    /// Returns whether a request was passed on.
    pub(crate) fn passed(&self) -> bool {
        self.seen.is_some()
    }
}
