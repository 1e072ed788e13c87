//! [`Passing`]: handing the caller's requests to stop on to a child it waits for.

use std::task::Waker;

use crate::pool::hearing::Hearing;

/// What a wait needs to hear of each request that reaches its caller, also of one that repeats another.
pub(crate) struct Passing {
    hearing: Hearing,
    /// The requests that were passed on; `None` before the first.
    seen: Option<u64>,
}

impl Passing {
    pub(crate) fn new() -> Self {
        Self { hearing: Hearing::new(), seen: None }
    }

    /// Calls `pass` for what came since the last time, and arranges for the waker to be woken when more comes.
    pub(crate) fn poll(&mut self, waker: &Waker, mut pass: impl FnMut()) {
        loop {
            let seen = self.seen;
            if !self.hearing.poll(waker, |heard| heard.cancel_requested() && Some(heard.requests()) != seen) {
                return;
            }
            self.seen = Some(self.hearing.requests());
            pass();
        }
    }

    /// Something was passed on.
    pub(crate) fn passed(&self) -> bool {
        self.seen.is_some()
    }
}
