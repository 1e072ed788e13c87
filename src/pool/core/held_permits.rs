//! [`HeldPermits`]: the places that tasks keep in their waits because the pool's bound of waiting tasks is reached.
//!
//! # The bound delays, and does not stop
//! A wait that keeps its place may be for something that needs a place of the same pool: the task it waits for is
//! queued there, or waits for one that is, by way of other pools and of code that heirloom does not see. When *every*
//! taken place of a pool is kept so, nothing of the pool runs code, and nothing that is queued starts before one of
//! these waits ends. So a pool in that state, with something queued, is looked at every few milliseconds (`overdue`);
//! when nothing has changed between two looks, one of the kept places is *let* to the next task, past the bound.
//!
//! # Why it ends
//! Suppose that waits hold one another up for ever because of the bound. Then some pool has something queued that one
//! of them needs, and none of its places is given back. Each is held by a task that runs code, which is no wait, or
//! that waits until a deadline, which ends by itself, or is kept. Once all that is left of the first two has ended or
//! waits, every place is kept, and nothing changes; so the next look but one lets a place, and the queue's first task
//! starts. The queue is finite in front of the task that is needed, so that one starts too. A pool with `holds_permit`
//! lets none: its tasks were promised that.
//!
//! # Whose place it is
//! A place that was let belongs to none of the waits in particular. The first wait to end goes on with a place that is
//! still kept; only when none is does it take one again above the limit, as any wait does that gave its own away. So
//! the two counts are one word: whoever ends a wait, and whoever lets a place, agree on how many are left.

use crate::sync::atomic::AtomicU64;
use crate::sync::os::Ordering;

const KEPT: u64 = 1;
const LET: u64 = 1 << 32;

/// How many waits keep a place, and how many of the kept places were let.
#[derive(Debug)]
pub(crate) struct HeldPermits(AtomicU64);

impl HeldPermits {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The waits that hold a place now.
    pub(crate) fn kept(word: u64) -> usize {
        (word % LET) as usize
    }

    /// The waits whose places were let.
    pub(crate) fn are_let(word: u64) -> usize {
        (word / LET) as usize
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// One more wait keeps its place. True for the first.
    pub(crate) fn keep(&self) -> bool {
        Self::kept(self.0.fetch_add(KEPT, Ordering::SeqCst)) == 0
    }

    /// A wait ends. True when there is no kept place for it to go on with.
    pub(crate) fn end(&self) -> bool {
        let step = |word| Some(if Self::kept(word) > 0 { word - KEPT } else { word - LET });
        let before = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
        Self::kept(before.unwrap_or_else(|word| word)) == 0
    }

    /// Lets a kept place, if there is one.
    pub(crate) fn let_one(&self) -> bool {
        let step = |word| (Self::kept(word) > 0).then(|| word - KEPT + LET);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).is_ok()
    }

    /// Takes that back. False when the wait has ended meanwhile.
    pub(crate) fn keep_again(&self) -> bool {
        let step = |word| (Self::are_let(word) > 0).then(|| word - LET + KEPT);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).is_ok()
    }
}

/// What a task's wait does with the place that the task brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InWait {
    /// There is no wait.
    No,
    /// The next task has it.
    Released,
    /// It is kept for as long as the wait takes.
    Held,
    /// It is kept because of the bound, and may be let; see [`HeldPermits`].
    Kept,
}
