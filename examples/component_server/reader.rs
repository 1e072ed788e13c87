//! Whether the client still waits for a page.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Shared by all tasks of a page, for counting only: the scope cancels them.
#[derive(Clone, Default)]
pub(crate) struct Reader(Arc<AtomicBool>);

impl Reader {
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Kept by the handler's future, which is dropped early when the client goes away.
    pub(crate) fn waits(&self) -> Waits {
        Waits(self.0.clone(), false)
    }
}

pub(crate) struct Waits(Arc<AtomicBool>, bool);

impl Waits {
    pub(crate) fn was_served(mut self) {
        self.1 = true;
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(!self.1, Relaxed);
    }
}
