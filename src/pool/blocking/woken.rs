//! [`Woken`]: whether a future that a thread polls was woken.

use std::task::{Wake, Waker};

use crate::sync::os::{Arc, AtomicBool, Ordering, fence};
use crate::wait::graph::Target;

/// Notes that a future has to be polled. The waker stores the note and wakes the thread. A wait of the same thread
/// within the poll may use up that wake, and the note stays.
pub(crate) struct Woken {
    woken: AtomicBool,
    thread: Waker,
}

impl Woken {
    /// The note of a future that was not polled yet. `thread` wakes the polling thread.
    pub(crate) fn new(thread: Waker) -> Arc<Self> {
        Arc::new(Self { woken: AtomicBool::new(true), thread })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Takes the note before the poll, so a wake during the poll causes another one.
    pub(crate) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// The targets that hold the waker, if no other code holds it.
    pub(crate) fn only(self: &Arc<Self>, left_with: &[Target]) -> Vec<Target> {
        // Two references are the owner's: the `Arc`, and the waker that the future was shown.
        let is_alone = Arc::strong_count(self) == 2 + left_with.len();
        // Acquire: code that dropped its waker, and so is not counted, has woken before, or never will. Pairs with the
        // Release of the reference count's decrement.
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
