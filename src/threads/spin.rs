//! [`SpinSlot`]: the one idle thread that spins, and the hand-over of work to it.
//!
//! ```text
//!   EMPTY --open--> OPEN --offer--> GIVEN --collect--> EMPTY
//!                     \----close----------------------^
//! ```
//! Only the thread that opened the slot closes it or collects from it; of all who offer, one wins.
//!
//! A worker opens the slot *before* it gives its last place back, so that whoever sees the pool at rest finds the
//! spinner ready; in between, an offer simply waits in the slot for the few instructions until it is collected.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

const EMPTY: usize = 0;
const OPEN: usize = 1;
const GIVEN: usize = 2;

#[derive(Debug)]
pub(crate) struct SpinSlot<J> {
    state: AtomicUsize,
    job: Mutex<Option<J>>,
}

impl<J> SpinSlot<J> {
    pub(crate) fn new() -> Self {
        Self { state: AtomicUsize::new(EMPTY), job: Mutex::new(None) }
    }

    /// Becomes the spinner, if there is none.
    #[inline]
    pub(crate) fn open(&self) -> bool {
        self.state.compare_exchange(EMPTY, OPEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Hands a job to the spinner, if there is one and nobody was faster.
    #[inline]
    pub(crate) fn offer(&self, job: J) -> Result<(), J> {
        if self.state.load(Ordering::Relaxed) != OPEN {
            return Err(job);
        }
        // The job goes in under the lock together with the change of state, so a spinner that sees `GIVEN` and takes
        // the lock finds it.
        let mut slot = self.job.lock();
        if self.state.compare_exchange(OPEN, GIVEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Err(job);
        }
        *slot = Some(job);
        Ok(())
    }

    /// What was offered since `open`. The slot is empty again when this is `Some`.
    #[inline]
    pub(crate) fn collect(&self) -> Option<J> {
        // Acquire: pairs with the Release half of `offer`.
        if self.state.load(Ordering::Acquire) != GIVEN {
            return None;
        }
        let job = self.job.lock().take();
        self.state.store(EMPTY, Ordering::Release);
        job
    }

    /// A job lies in the slot.
    #[inline]
    pub(crate) fn is_given(&self) -> bool {
        self.state.load(Ordering::Relaxed) == GIVEN
    }

    /// Spins no longer, unless a job was offered already.
    #[inline]
    pub(crate) fn retract(&self) -> bool {
        self.state.compare_exchange(OPEN, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Spins no longer. What was offered in the last moment comes back, and must be done.
    pub(crate) fn close(&self) -> Option<J> {
        if self.retract() { None } else { self.collect() }
    }
}
