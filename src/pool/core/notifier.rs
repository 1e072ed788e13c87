//! [`Notifier`]: wakes a local pool's thread when a task is queued.
//!
//! # The race to fear
//! A task is pushed just after the thread looked, and the thread parks. The race cannot happen: the thread rearms the notifier,
//! *then* looks at the queue; a submitter pushes, *then* notifies. One of the two sees the other. A notifier that was
//! notified and not rearmed since wakes no more, so a thousand submits wake the thread once. The same holds when the
//! thread leaves: it sets `gone`, then empties the queue; a submitter pushes, then reads `gone`.

use std::task::Waker;

use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};
use crate::sync::unwind::swallow;

type Callback = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Notifier {
    notified: AtomicBool,
    /// The thread has left for ever.
    gone: AtomicBool,
    targets: Mutex<Targets>,
}

/// The targets of a notify.
#[derive(Clone, Default)]
struct Targets {
    /// The thread's own waker, while it runs tasks or is parked.
    waker: Option<Waker>,
    callback: Option<Callback>,
}

impl Notifier {
    pub(crate) fn new() -> Self {
        Self { notified: AtomicBool::new(false), gone: AtomicBool::new(false), targets: Mutex::default() }
    }

    /// Notifies the thread of a pushed task. Returns false when the thread has left and will not look at it.
    ///
    /// Wakers and callbacks are user code.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        // SeqCst: comes after the push; see the module.
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.wake();
        }
        !self.gone.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        let Targets { waker, callback } = self.targets.lock().clone();
        if let Some(waker) = waker {
            swallow(|| waker.wake());
        }
        if let Some(callback) = callback {
            swallow(|| callback());
        }
    }

    /// The thread looks no more. The thread calls it before it empties the queue: a submitter that pushes later sees it,
    /// and empties the queue itself.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    /// Rearms before a look at the queue: a push after that look wakes the thread.
    pub(crate) fn rearm(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }

    /// Registers the thread's waker for the next notify.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut targets = self.targets.lock();
        let before = match &targets.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => targets.waker.replace(waker.clone()),
        };
        drop(targets);
        drop(before);
    }

    /// Registers the callback for each later notify.
    pub(crate) fn call(&self, callback: Callback) {
        let before = self.targets.lock().callback.replace(callback);
        drop(before);
    }
}
