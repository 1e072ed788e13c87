//! [`Requests`]: that somebody somewhere was asked to stop, for those who look at what was left behind.
//!
//! A request is made to a node, and what it ends may be queued in pools that the node knows nothing of. So each is
//! counted here: whoever has looked at everything need not look again before the count changes, and whoever waits for
//! such an end is told.
//!
//! # The race to fear
//! Somebody looks, finds nothing that was asked to stop, and waits just after a request was made. That cannot be: it is
//! listed first and reads the count then; a request is noted and counted first, and looks at the list then. All four
//! are sequentially consistent, so one of the two sees the other.

use slab::Slab;

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::os::{Mutex, Weak};

/// Somebody who is told of each request.
pub(crate) trait Hears: Send + Sync {
    /// Runs wakers, which are user code.
    fn hear(&self);
}

/// The requests to stop of the whole process.
pub(crate) struct Requests {
    made: AtomicU64,
    listed: AtomicUsize,
    list: Mutex<Slab<Weak<dyn Hears>>>,
}

/// A place on the list, until it is dropped.
pub(crate) struct Listed {
    requests: &'static Requests,
    at: usize,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self { made: AtomicU64::new(0), listed: AtomicUsize::new(0), list: Mutex::new(Slab::new()) }
    }

    /// How many were made. Whoever sees one counted sees what it was made to.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// Counts one that has been noted, and tells those on the list. Costs two atomic operations when there are none.
    pub(crate) fn note(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
        if self.listed.load(Ordering::SeqCst) > 0 {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        let all: Vec<_> = self.list.lock().iter().filter_map(|(_, who)| who.upgrade()).collect();
        // Outside the lock: wakers are user code.
        for who in all {
            who.hear();
        }
    }

    /// From now on it hears of each request. Held weakly.
    pub(crate) fn list(&'static self, who: Weak<dyn Hears>) -> Listed {
        let at = self.list.lock().insert(who);
        self.listed.fetch_add(1, Ordering::SeqCst);
        Listed { requests: self, at }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.requests.listed.fetch_sub(1, Ordering::SeqCst);
        let who = {
            let mut list = self.requests.list.lock();
            let who = list.try_remove(self.at);
            if list.is_empty() {
                // Gives the memory of the busiest moment back.
                *list = Slab::new();
            }
            who
        };
        drop(who);
    }
}
