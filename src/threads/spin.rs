//! [`SpinSlot`]: the one idle thread that spins, and the hand-over of work to it.
//!
//! ```text
//!   EMPTY --open--> OPEN --offer--> GIVEN --collect--> EMPTY
//!                     \----close----------------------^
//! ```
//! Only the thread that opened the slot closes it or collects from it. Of several offers one wins.
//!
//! A worker opens the slot *before* it releases its last permit, so a submitter that sees the pool idle finds the
//! spinner ready. In between, an offer waits in the slot for the few instructions until it is collected.

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

    /// Makes the calling thread the spinner, if there is none.
    #[inline]
    pub(crate) fn open(&self) -> bool {
        self.state.compare_exchange(EMPTY, OPEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Hands a job to the spinner, if there is one and no other offer was faster.
    #[inline]
    pub(crate) fn offer(&self, job: J) -> Result<(), J> {
        if self.state.load(Ordering::Relaxed) != OPEN {
            return Err(job);
        }
        // The job and the state change under one lock, so a spinner that sees `GIVEN` and takes the lock finds the job.
        let mut slot = self.job.lock();
        if self.state.compare_exchange(OPEN, GIVEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Err(job);
        }
        *slot = Some(job);
        Ok(())
    }

    /// Returns the job offered since `open`. The slot is empty again when this is `Some`.
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

    /// Withdraws the spinner, unless a job was offered already.
    #[inline]
    pub(crate) fn retract(&self) -> bool {
        self.state.compare_exchange(OPEN, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Withdraws the spinner. Returns a job that was offered in the last moment, which the caller must work on.
    pub(crate) fn close(&self) -> Option<J> {
        if self.retract() { None } else { self.collect() }
    }
}
