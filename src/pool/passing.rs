//! [`Passing`]: handing the caller's requests to stop on to a child it waits for.

use std::task::Waker;

use crate::lineage::current;
use crate::lineage::watch::Watch;

/// What a wait needs to hear of each request that reaches its caller, also of one that repeats another.
pub(crate) struct Passing {
    watch: Watch,
    /// The requests that were passed on; `None` before the first.
    seen: Option<u64>,
}

impl Passing {
    pub(crate) fn new() -> Self {
        Self { watch: Watch::new(&current::here()), seen: None }
    }

    /// Calls `pass` for what came since the last time, and arranges for the waker to be woken when more comes.
    pub(crate) fn poll(&mut self, waker: &Waker, mut pass: impl FnMut()) {
        loop {
            let seen = self.seen;
            if !self.watch.poll(waker, |node| node.is_cancelled() && Some(node.requests()) != seen) {
                return;
            }
            self.seen = Some(self.watch.node().requests());
            pass();
        }
    }

    /// Something was passed on.
    pub(crate) fn passed(&self) -> bool {
        self.seen.is_some()
    }
}
