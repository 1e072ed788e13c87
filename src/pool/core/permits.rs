//! [`Permits`]: how many of a pool's tasks run at once.
//!
//! One word counts the places taken (`active`: a thread runs a task, or is on its way to) and those of them whose
//! thread is between two tasks (`searching`: it has finished one and is about to look at the queue).
//!
//! # The protocol
//! * A submitter pushes, then looks at this word. Somebody looking will find the task, so it does nothing; otherwise,
//!   if a place is free, it takes the place and sends a thread.
//! * A worker that found a task stops looking, then looks whether more is queued, and if so does what a submitter does.
//! * A worker that found nothing gives its place back (and stops looking, in the same step), then looks again.
//! * A wait gives its place back, looks at the queue, and later takes its place again *without asking*, so `active` may
//!   stand above the limit; a worker that sees that after a task gives its place back and starts nothing.
//!
//! # The race to fear
//! A task is pushed and nobody comes for it. Each side first changes its own word (the push; the place or the looking)
//! and then reads the other's, all sequentially consistent: in the one order of these four, whoever comes second sees
//! the first.

use crate::sync::atomic::{AtomicU64, Ordering};

const ONE: u64 = 1;
const SEARCHING: u64 = 1 << 32;
const ACTIVE: u64 = SEARCHING - 1;
/// No place is ever taken again. Above `SEARCHING`, so that `try_acquire` sees it without a look of its own.
const ENDED: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Permits {
    word: AtomicU64,
}

impl Permits {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Takes a place for a thread that is to be sent, if one is free and nobody is looking anyway.
    #[inline]
    pub(crate) fn try_acquire(&self, limit: usize) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        while word < SEARCHING && (word & ACTIVE) < limit as u64 {
            match self.word.compare_exchange_weak(word, word + ONE, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Takes a place for the calling thread, only if nobody has one: for work run in place.
    pub(crate) fn try_acquire_here(&self, limit: usize) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        while word < ENDED && (word & ACTIVE) < limit as u64 {
            match self.word.compare_exchange_weak(word, word + ONE, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Before a finished task is made visible: its thread will look at the queue next.
    #[inline]
    pub(crate) fn start_searching(&self) {
        self.word.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn stop_searching(&self) {
        self.word.fetch_sub(SEARCHING, Ordering::SeqCst);
    }

    /// Gives a place back. True when it was the last one.
    #[inline]
    #[must_use]
    pub(crate) fn release(&self, searching: bool) -> bool {
        let off = if searching { SEARCHING + ONE } else { ONE };
        let before = self.word.fetch_sub(off, Ordering::SeqCst);
        debug_assert!(before & ACTIVE > 0, "gave back a place nobody had");
        before & ACTIVE == 1
    }

    /// Takes a place again after a wait, also above the limit.
    pub(crate) fn reacquire(&self) {
        self.word.fetch_add(ONE, Ordering::SeqCst);
    }

    /// One place is taken, and its thread is looking.
    #[inline]
    pub(crate) fn is_only_searching(&self) -> bool {
        self.word.load(Ordering::SeqCst) == SEARCHING + ONE
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        (self.word.load(Ordering::SeqCst) & ACTIVE) as usize
    }

    /// A task runs, or is about to.
    #[cfg(feature = "rayon")]
    #[inline]
    pub(crate) fn is_any_taken(&self) -> bool {
        self.word.load(Ordering::SeqCst) & ACTIVE != 0
    }

    /// More places are taken than the limit allows.
    #[inline]
    pub(crate) fn is_over_limit(&self, limit: usize) -> bool {
        self.word.load(Ordering::Relaxed) & ACTIVE > limit as u64
    }

    /// Gives the caller's place back if more are taken than the limit allows.
    #[inline]
    pub(crate) fn release_excess(&self, limit: usize, searching: bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        let off = if searching { SEARCHING + ONE } else { ONE };
        while word & ACTIVE > limit as u64 {
            match self.word.compare_exchange_weak(word, word - off, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Ends for good if no place is taken: a submitter that is late takes none, so an end that was seen stays one.
    pub(crate) fn end(&self) -> bool {
        match self.word.compare_exchange(0, ENDED, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => true,
            Err(word) => word & ENDED != 0,
        }
    }
}
