//! [`Woken`]: whether a future that a thread polls was woken.

use std::task::{Wake, Waker};

use crate::sync::os::{Arc, AtomicBool, Ordering, fence};
use crate::wait::graph::Target;

/// That a future is to be polled. Its waker notes that and wakes the thread, so a wait of the same thread within the poll
/// may use up the thread's wake, and the note stays.
pub(crate) struct Woken {
    woken: AtomicBool,
    thread: Waker,
}

impl Woken {
    /// For a future that was not polled yet. `thread` wakes the thread that polls.
    pub(crate) fn new(thread: Waker) -> Arc<Self> {
        Arc::new(Self { woken: AtomicBool::new(true), thread })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Before the poll: one that is woken in it is polled again.
    pub(crate) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// Those with whom the waker was left, if it was left with no others.
    pub(crate) fn only(self: &Arc<Self>, left_with: &[Target]) -> Vec<Target> {
        // Two are its owner's: the count, and the waker that the future was shown.
        let is_alone = Arc::strong_count(self) == 2 + left_with.len();
        // Acquire: whoever has let go of another one, and so is not counted, has woken before, or never will.
        fence(Ordering::Acquire);
        if is_alone && !self.is_set() { left_with.to_vec() } else { Vec::new() }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.wake_by_ref();
    }
}
