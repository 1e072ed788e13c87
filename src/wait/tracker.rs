//! [`TaskTracker`]: `CLOSED | accepted-and-not-ended count` in one word, with its waiters.
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
//! A waiter looks, sees a count, and goes to sleep just after the last one left without a word. It cannot: the waiter
//! leaves its waker, then sets `WATCHED` with a read-modify-write, and that same operation's result is its look.
//! A `leave` that comes after it in the word's modification order sees `WATCHED` and notifies; one that came before
//! is in what the waiter saw.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wait::waker_set::WakerSet;

const CLOSED: u64 = 1;
const WATCHED: u64 = 1 << 1;
const ONE: u64 = 1 << 2;
const COUNT: u64 = (1 << 32) - ONE;
/// The high half counts entries for ever, modulo 2^32, for statistics; it shares the word so that it costs nothing.
const ENTERED: u64 = 1 << 32;

/// The count of what was accepted and has not ended.
#[derive(Debug)]
pub(crate) struct TaskTracker {
    word: AtomicU64,
    changed: WakerSet,
}

/// What `enter` found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Counted, and it is the only one: whoever keeps something alive while the count is not zero starts now.
    First,
    /// Counted beside others.
    Another,
}

/// What `leave` found, so what its caller still owes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// Others remain. The tracker may be gone the moment after: do not touch it unless something else keeps it alive.
    Others,
    /// It was the last one.
    Last {
        /// Somebody may be waiting for that: call [`TaskTracker::notify`].
        notify: bool,
    },
}

/// The tracker is closed: nothing enters any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

fn count(word: u64) -> usize {
    ((word & COUNT) / ONE) as usize
}

impl TaskTracker {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0), changed: WakerSet::new() }
    }

    /// Counts one more, unless closed.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Entry, Closed> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(Closed);
            }
            // Acquire: whoever enters as `First` sees what the last leaver of the turn before did.
            match self.word.compare_exchange_weak(
                word,
                word.wrapping_add(ONE + ENTERED),
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
        // SeqCst rather than AcqRel: the pool compares this word with its count of places (see `pool::inner`).
        let before = self.word.fetch_sub(many * ONE, Ordering::SeqCst);
        debug_assert!(count(before) as u64 >= many, "left more often than entered");
        if count(before) as u64 > many { Left::Others } else { Left::Last { notify: before & WATCHED != 0 } }
    }

    /// Lets nothing enter any more. True for the one call that closed it.
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

    /// How many ever entered, modulo 2^32.
    pub(crate) fn entered(&self) -> u32 {
        (self.word.load(Ordering::Acquire) / ENTERED) as u32
    }

    /// Which tracker this is, to compare.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Asks to be notified, and looks: leave a waker at [`TaskTracker::changed`] first, then call this, then wait.
    pub(crate) fn watch(&self) -> usize {
        count(self.word.fetch_or(WATCHED, Ordering::SeqCst))
    }

    /// The next `leave` may owe a `notify`.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// Told by [`TaskTracker::notify`], which whoever makes the count zero calls while it is watched.
    pub(crate) fn changed(&self) -> &WakerSet {
        &self.changed
    }

    /// Wakes everybody who watches, which runs user code. Costs one atomic operation when nobody does.
    pub(crate) fn notify(&self) {
        if self.word.fetch_and(!WATCHED, Ordering::SeqCst) & WATCHED != 0 {
            self.changed.wake_all();
        }
    }
}
