//! [`Permits`]: the permits of a pool, one for each task that runs.
//!
//! One word holds three counts. `active` counts the acquired permits: a thread runs a task, or is on its way to one.
//! `searching` counts those of them whose thread has finished a task and is about to look at the queue. `sent` counts the
//! threads on their way to a leased pool, which hold no permit.
//!
//! # The protocol
//! * A submitter pushes, then looks at this word. A searching worker will find the task, so the submitter does nothing.
//!   Otherwise, if a permit is free, the submitter acquires it and requests a thread.
//! * A worker that found a task stops searching, then looks whether more is queued. If so, it acts as a submitter does.
//! * A worker that found nothing releases its permit (and stops searching, in the same step), then looks again.
//! * A wait releases its permit, looks at the queue, and later reacquires the permit *without asking*, so `active` may
//!   stand above the limit. A worker that sees this after a task releases its permit and starts nothing.
//!
//! # Sent threads
//! A leased pool's submitter acquires no permit. It counts a thread as sent with its request, unless one is sent already or a
//! worker is searching. The requested thread counts itself out when it arrives, acquires a permit if one is free, and looks at
//! the queue. So submitters send one thread at a time to a pool; each arriving worker that sees more tasks sends for the next.
//! A submitter of many tasks sends several at once, if none is on its way.
//! A joiner meanwhile finds the permit free, and may run its task in place of the thread ([`super::queue::Queue::pop_first`]).
//! The end of a pool does not wait for a thread on its way.
//!
//! A worker whose turn is over releases its permit and is sent anew, from the back of the line. So a request that the system
//! refuses meanwhile finds another thread on its way, and fails no queued task.
//!
//! # The race to fear
//! A task is pushed and no worker comes for it. Each side first changes its own word (the submitter the queue, the worker
//! this one) and then reads the other's, all sequentially consistent. In the one order of these four, the later side sees
//! the earlier.

use crate::sync::atomic::{AtomicU64, Ordering};

const ONE: u64 = 1;
const SEARCHING: u64 = 1 << 32;
const ACTIVE: u64 = SEARCHING - 1;
/// One thread on its way. Below lies room for a million searching threads.
const SENT: u64 = 1 << 52;
const ALL_SENT: u64 = ENDED - SENT;
/// No permit is ever acquired again. Above `SEARCHING`, so that `try_acquire` sees it without a look of its own.
const ENDED: u64 = 1 << 63;

/// The permits of one start of a pool.
#[derive(Debug)]
pub(crate) struct Permits {
    word: AtomicU64,
}

impl Permits {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Acquires a free permit for a thread to be requested, unless a worker is searching.
    #[inline]
    pub(crate) fn try_acquire(&self, limit: usize) -> bool {
        self.add_if_free(ONE, SEARCHING, limit)
    }

    /// Acquires a free permit for a task in place, also while a worker is searching or a thread is on its way.
    pub(crate) fn try_acquire_here(&self, limit: usize) -> bool {
        self.add_if_free(ONE, ENDED, limit)
    }

    /// Returns whether the caller is to request a thread, which acquires a permit when it arrives: a permit is free, no
    /// worker is searching, and no thread is on its way.
    #[inline]
    pub(crate) fn send(&self, limit: usize) -> bool {
        self.add_if_free(SENT, SEARCHING, limit)
    }

    /// As [`send`](Self::send) for several threads, one for each free permit, and `most` of them at most. Returns how many the
    /// caller is to request.
    pub(crate) fn send_many(&self, limit: usize, most: usize) -> usize {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let free = (limit as u64).saturating_sub(word & ACTIVE);
            let sent = free.min(most as u64).min(ALL_SENT / SENT);
            if word >= SEARCHING || sent == 0 {
                return 0;
            }
            match self.word.compare_exchange_weak(word, word + sent * SENT, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return sent as usize,
                Err(seen) => word = seen,
            }
        }
    }

    /// Adds to the word, if it is below a bound and a permit is free.
    #[inline]
    fn add_if_free(&self, added: u64, below: u64, limit: usize) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        while word < below && (word & ACTIVE) < limit as u64 {
            match self.word.compare_exchange_weak(word, word + added, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// A requested thread will not come. Returns whether no permit is acquired and no other thread is on its way, so that no
    /// thread looks at the queue.
    #[must_use]
    pub(crate) fn unsend(&self) -> bool {
        let before = self.word.fetch_sub(SENT, Ordering::SeqCst);
        debug_assert!(before & ALL_SENT > 0, "no thread was sent");
        before & (ALL_SENT | ACTIVE) == SENT
    }

    /// A requested thread is there. Acquires a permit, if one is free.
    #[inline]
    pub(crate) fn arrive(&self, limit: usize) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            debug_assert!(word & ALL_SENT > 0, "no thread was sent");
            let free = word < ENDED && (word & ACTIVE) < limit as u64;
            let next = (word - SENT) + if free { ONE } else { 0 };
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return free,
                Err(seen) => word = seen,
            }
        }
    }

    /// Releases the permit of a worker that goes to the back of the line, where it counts as sent. Returns whether it was the
    /// last permit; `None` where no further thread can be counted, so the worker keeps its permit.
    pub(crate) fn requeue(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            debug_assert!(word & ACTIVE > 0, "released a permit that was not acquired");
            if word & ALL_SENT == ALL_SENT {
                return None;
            }
            match self.word.compare_exchange_weak(word, word - ONE + SENT, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(word & ACTIVE == 1),
                Err(seen) => word = seen,
            }
        }
    }

    /// The calling thread will look at the queue next. Called before the finished task becomes visible to its joiner.
    #[inline]
    pub(crate) fn start_searching(&self) {
        self.word.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn stop_searching(&self) {
        self.word.fetch_sub(SEARCHING, Ordering::SeqCst);
    }

    /// Releases a permit. Returns true when it was the last one acquired.
    #[inline]
    #[must_use]
    pub(crate) fn release(&self, searching: bool) -> bool {
        let off = if searching { SEARCHING + ONE } else { ONE };
        let before = self.word.fetch_sub(off, Ordering::SeqCst);
        debug_assert!(before & ACTIVE > 0, "released a permit that was not acquired");
        before & ACTIVE == 1
    }

    /// Reacquires a permit after a wait, also above the limit.
    pub(crate) fn reacquire(&self) {
        self.word.fetch_add(ONE, Ordering::SeqCst);
    }

    /// Returns whether one permit is acquired, and its thread is searching.
    #[inline]
    pub(crate) fn is_only_searching(&self) -> bool {
        self.word.load(Ordering::SeqCst) & !ALL_SENT == SEARCHING + ONE
    }

    /// The number of acquired permits.
    pub(crate) fn taken(&self) -> usize {
        (self.word.load(Ordering::SeqCst) & ACTIVE) as usize
    }

    /// Returns whether a task runs, or is about to.
    #[cfg(feature = "rayon")]
    #[inline]
    pub(crate) fn is_any_taken(&self) -> bool {
        self.word.load(Ordering::SeqCst) & ACTIVE != 0
    }

    /// Returns whether more permits are acquired than the limit allows.
    #[inline]
    pub(crate) fn is_over_limit(&self, limit: usize) -> bool {
        self.word.load(Ordering::Relaxed) & ACTIVE > limit as u64
    }

    /// Releases the caller's permit if more are acquired than the limit allows. Returns whether it did.
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

    /// Ends for ever if no permit is acquired. A late submitter then acquires none, so an end that was seen stays one.
    pub(crate) fn end(&self) -> bool {
        let mut word = self.word.load(Ordering::SeqCst);
        while word & !ALL_SENT == 0 {
            match self.word.compare_exchange_weak(word, word | ENDED, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        word & ENDED != 0
    }
}
