//! [`Bell`]: telling a pinned pool's thread that something is queued.
//!
//! # The race to fear
//! A task is pushed just after the thread looked, and the thread sleeps. It cannot: the thread says that the bell is silent,
//! *then* looks at the queue; a submitter pushes, *then* rings. One of the two sees the other. A bell that was rung
//! and not looked after since is not rung again, so a thousand submits wake the thread once.

use std::task::Waker;

use crate::quiet::quietly;
use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};

type Callback = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Bell {
    rung: AtomicBool,
    who: Mutex<Who>,
}

#[derive(Clone, Default)]
struct Who {
    /// The thread's own, while it runs tasks or sleeps.
    waker: Option<Waker>,
    callback: Option<Callback>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { rung: AtomicBool::new(false), who: Mutex::new(Who::default()) }
    }

    /// Something was pushed. Wakers and callbacks are user code.
    pub(crate) fn ring(&self) {
        // SeqCst: comes after the push; see the module.
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        let Who { waker, callback } = self.who.lock().clone();
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
        if let Some(callback) = callback {
            quietly(|| callback());
        }
    }

    /// Before a look at the queue: what is pushed after it rings.
    pub(crate) fn silence(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }

    /// Whom the next ring wakes.
    pub(crate) fn listen(&self, waker: &Waker) {
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
