//! [`Leader`]: the thread or the future that runs an initialiser, and so owes its value.

use crate::pool::context::code;
use crate::pool::context::thread::shield;
use crate::runtime;
use crate::sync::os::{Arc, AtomicU64, Ordering};
use crate::value::flight::Leads;
use crate::wait::graph::Obligation;
use crate::wait::here;

/// The debtor of a flight's outcome.
pub(crate) struct Leader {
    pub(super) obligation: Arc<Obligation>,
    /// The number of the thread that polls the initialiser's future now; zero between two polls.
    polled_on: AtomicU64,
}

impl Leader {
    /// The calling thread.
    pub(super) fn me() -> Self {
        Self::owing(Obligation::new(here::me()))
    }

    /// The future that the calling thread polls.
    pub(super) fn future() -> Self {
        Self::owing(Obligation::by(runtime::obligor()))
    }

    fn owing(obligation: Arc<Obligation>) -> Self {
        Self { obligation, polled_on: AtomicU64::new(0) }
    }

    /// Runs a part of an async initialiser. The part serves other callers too, so no cancel of its caller reaches it.
    pub(super) fn poll<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Polled<'a>(&'a AtomicU64);
        impl Drop for Polled<'_> {
            fn drop(&mut self) {
                self.0.store(0, Ordering::Relaxed);
            }
        }
        self.polled_on.store(code::running().thread, Ordering::Relaxed);
        let _polled = Polled(&self.polled_on);
        let _shield = shield();
        f()
    }

    /// Whether the calling code is a part of the initialiser's future, whose wait for its own value would never end.
    pub(super) fn is_polled_here(&self) -> bool {
        // Relaxed: only the calling thread itself stores its number, and takes it back after the poll.
        self.polled_on.load(Ordering::Relaxed) == code::running().thread
    }
}

impl Leads for Leader {
    fn completed(&self) {
        self.obligation.fulfil();
    }

    fn is_elsewhere(&self) -> bool {
        // A thread that forked inside of its own initialiser goes on with it in both processes.
        self.obligation.is_elsewhere() && !self.obligation.is_mine()
    }
}
