//! [`TaskTracker`]: a closed flag and the count of unfinished tasks in one word, with the waiters.
//!
//! A pool's start and a scope each own one. `enter` and `close` are atomic on the same word, so a task is either
//! refused or counted; there is no moment between.
//!
//! ```text
//!   OPEN, n --enter--> OPEN, n+1        CLOSED, n --enter--> refused
//!   OPEN, n --close--> CLOSED, n        CLOSED, n --leave--> CLOSED, n-1
//!   CLOSED, 0 is final.
//! ```
//!
//! # The race to fear
//! A waiter reads a count above zero and parks just after the last task left without a notification. This cannot
//! happen. The waiter registers its waker, then sets `WATCHED` with a read-modify-write, whose result is the waiter's
//! read. A `leave` after it in the word's modification order sees `WATCHED` and notifies; the waiter sees a `leave`
//! before it.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wait::waker_set::WakerSet;

const CLOSED: u64 = 1;
const WATCHED: u64 = 1 << 1;
const ONE: u64 = 1 << 2;
const COUNT: u64 = (1 << 32) - ONE;
/// The high half counts entries less retractions, modulo 2^32, for statistics; it shares the word, so it costs nothing.
const ENTERED: u64 = 1 << 32;

/// The count of accepted tasks that have not finished.
///
/// The order of the fields is the order in memory: see [`Pool`](crate::pool::core::pool::Pool).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct TaskTracker {
    changed: WakerSet,
    word: AtomicU64,
}

/// The result of `enter`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The task is counted, and is the only one. A caller that keeps the pool alive while the count is not zero does so
    /// from now on.
    First,
    /// The task is counted beside others.
    Another,
}

/// The result of `leave`, so the step that its caller still owes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// Others remain. The tracker may be dropped the moment after: the caller touches it only if something else keeps
    /// it alive.
    Others,
    /// No task remains.
    Last {
        /// A waiter may be registered: call [`TaskTracker::notify`].
        notify: bool,
    },
}

/// The tracker is closed, so no task enters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

fn count(word: u64) -> usize {
    ((word & COUNT) / ONE) as usize
}

impl TaskTracker {
    /// The offset in memory of the word that submitters change.
    #[cfg(not(loom))]
    pub(crate) const WORD: usize = std::mem::offset_of!(Self, word);

    pub(crate) fn new() -> Self {
        Self { changed: WakerSet::new(), word: AtomicU64::new(0) }
    }

    /// Counts one more, unless closed.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Entry, Closed> {
        self.enter_many(1)
    }

    /// Counts as many more in one step, at least one, unless closed.
    #[inline]
    pub(crate) fn enter_many(&self, many: u64) -> Result<Entry, Closed> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(Closed);
            }
            // Acquire: a task that enters as `First` sees all that the last leaver before it did.
            match self.word.compare_exchange_weak(
                word,
                word.wrapping_add(many.wrapping_mul(ONE + ENTERED)),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if count(word) == 0 => return Ok(Entry::First),
                Ok(_) => return Ok(Entry::Another),
                Err(seen) => word = seen,
            }
        }
    }

    /// Counts one less. Each successful `enter` is paired with exactly one of these.
    #[inline]
    pub(crate) fn leave(&self) -> Left {
        self.leave_many(1)
    }

    /// Counts as many less in one step.
    #[inline]
    pub(crate) fn leave_many(&self, many: u64) -> Left {
        self.take_off(many, many * ONE)
    }

    /// Counts as many less, as if they had not entered.
    pub(crate) fn retract_many(&self, many: u64) -> Left {
        self.take_off(many, many.wrapping_mul(ONE + ENTERED))
    }

    #[inline]
    fn take_off(&self, many: u64, off: u64) -> Left {
        // SeqCst rather than AcqRel: the pool compares this word with its count of permits (see `pool::core::pool`).
        let before = self.word.fetch_sub(off, Ordering::SeqCst);
        debug_assert!(count(before) as u64 >= many, "left more often than entered");
        if count(before) as u64 > many { Left::Others } else { Left::Last { notify: before & WATCHED != 0 } }
    }

    /// Closes the tracker, so no task enters. True for the one call that closed it.
    pub(crate) fn close(&self) -> bool {
        let before = self.word.fetch_or(CLOSED, Ordering::SeqCst);
        if count(before) == 0 && before & WATCHED != 0 {
            self.notify();
        }
        before & CLOSED == 0
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Closed, and nothing counted: final.
    pub(crate) fn is_ended(&self) -> bool {
        let word = self.word.load(Ordering::SeqCst);
        word & CLOSED != 0 && count(word) == 0
    }

    pub(crate) fn count(&self) -> usize {
        count(self.word.load(Ordering::SeqCst))
    }

    /// The number of tasks that ever entered and were not retracted, modulo 2^32.
    pub(crate) fn entered(&self) -> u32 {
        (self.word.load(Ordering::Acquire) / ENTERED) as u32
    }

    /// Which tracker this is, to compare.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Requests a notification, and returns the count. The caller registers a waker at [`TaskTracker::changed`] first,
    /// then calls this, then waits.
    pub(crate) fn watch(&self) -> usize {
        count(self.word.fetch_or(WATCHED, Ordering::SeqCst))
    }

    /// The next `leave` may owe a `notify`.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// The wakers that [`TaskTracker::notify`] wakes, which the last leaver calls while the tracker is watched.
    pub(crate) fn changed(&self) -> &WakerSet {
        &self.changed
    }

    /// Wakes all registered waiters, which runs user code. Costs one atomic operation when there are none.
    pub(crate) fn notify(&self) {
        if self.word.fetch_and(!WATCHED, Ordering::SeqCst) & WATCHED != 0 {
            self.changed.wake_all();
        }
    }
}
