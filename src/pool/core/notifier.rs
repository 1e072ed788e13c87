//! [`Notifier`]: telling a local pool's thread that something is queued.
//!
//! # The race to fear
//! A task is pushed just after the thread looked, and the thread sleeps. It cannot: the thread says that the bell is
//! silent, *then* looks at the queue; a submitter pushes, *then* rings. One of the two sees the other. A bell that was
//! rung and not looked after since is not rung again, so a thousand submits wake the thread once. The same holds for
//! the thread's leaving: it says so, then empties the queue; a submitter pushes, then looks whether it has left.

use std::task::Waker;

use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};
use crate::sync::unwind::swallow;

type Callback = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Notifier {
    notified: AtomicBool,
    /// The thread has gone for good.
    gone: AtomicBool,
    who: Mutex<Who>,
}

#[derive(Clone, Default)]
struct Who {
    /// The thread's own, while it runs tasks or sleeps.
    waker: Option<Waker>,
    callback: Option<Callback>,
}

impl Notifier {
    pub(crate) fn new() -> Self {
        Self { notified: AtomicBool::new(false), gone: AtomicBool::new(false), who: Mutex::new(Who::default()) }
    }

    /// Something was pushed. False when nobody will look at it. Wakers and callbacks are user code.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        // SeqCst: comes after the push; see the module.
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.wake();
        }
        !self.gone.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        let Who { waker, callback } = self.who.lock().clone();
        if let Some(waker) = waker {
            swallow(|| waker.wake());
        }
        if let Some(callback) = callback {
            swallow(|| callback());
        }
    }

    /// Nobody looks any more. Said before the queue is emptied: whoever pushes later sees it, and empties the queue
    /// itself.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    /// Before a look at the queue: what is pushed after it rings.
    pub(crate) fn rearm(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }

    /// Whom the next ring wakes.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut who = self.who.lock();
        let before = match &who.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => who.waker.replace(waker.clone()),
        };
        drop(who);
        drop(before);
    }

    pub(crate) fn call(&self, callback: Callback) {
        let before = self.who.lock().callback.replace(callback);
        drop(before);
    }
}
