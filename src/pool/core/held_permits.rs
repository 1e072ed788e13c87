//! [`HeldPermits`]: the permits that waits keep because the pool's bound of waiting tasks is reached.
//!
//! # The bound delays, and does not stop
//! A wait that keeps its permit may be for a task that needs a permit of the same pool: the task is queued there, or waits
//! for a queued one, by way of other pools and of code that heirloom does not see. When *every* acquired permit of a pool is
//! kept so, no task of the pool runs code, and no queued task starts before one of these waits ends. So the engine looks
//! at a pool in that state, with a task queued, every few milliseconds (`overdue`). When nothing has changed between two
//! looks, one of the kept permits is *let* to the next task, past the bound.
//!
//! # Why it ends
//! Suppose that waits hold one another up for ever because of the bound. Then some pool has a queued task that one
//! of the waits needs, and none of the pool's permits is released. Each permit is held by one of three: a task that runs
//! code, which is no wait; a wait with a deadline, which ends by itself; or a wait that keeps it. Once each task of the
//! first two has ended or waits, every permit is kept, and nothing changes. So the next look but one lets a permit, and the
//! queue's first task starts. The queue in front of the needed task is finite, so that task starts too. A pool with
//! `holds_permit` lets none: its setting promises that.
//!
//! # The owner of a let permit
//! A let permit belongs to none of the waits in particular. The first wait to end goes on with a permit that is
//! still kept. Only without one does it reacquire a permit above the limit, like any wait that released its own. So
//! the two counts are one word: the end of a wait and a let agree on the permits that are left.

use crate::sync::atomic::AtomicU64;
use crate::sync::os::Ordering;

const KEPT: u64 = 1;
const LET: u64 = 1 << 32;

/// The number of waits that keep a permit, with the number of waits whose permits were let.
#[derive(Debug)]
pub(crate) struct HeldPermits(AtomicU64);

impl HeldPermits {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The number of waits that keep a permit now.
    pub(crate) fn kept(word: u64) -> usize {
        (word % LET) as usize
    }

    /// The number of waits whose permits were let.
    pub(crate) fn are_let(word: u64) -> usize {
        (word / LET) as usize
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts one more wait that keeps its permit. Returns true for the first.
    pub(crate) fn keep(&self) -> bool {
        Self::kept(self.0.fetch_add(KEPT, Ordering::SeqCst)) == 0
    }

    /// Counts the end of a wait. Returns true when no kept permit is left for it to go on with.
    pub(crate) fn end(&self) -> bool {
        let step = |word| Some(if Self::kept(word) > 0 { word - KEPT } else { word - LET });
        let before = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
        Self::kept(before.unwrap_or_else(|word| word)) == 0
    }

    /// Lets a kept permit, if there is one.
    pub(crate) fn let_one(&self) -> bool {
        let step = |word| (Self::kept(word) > 0).then(|| word - KEPT + LET);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).is_ok()
    }

    /// Takes a let back. Returns false when the wait has ended meanwhile.
    pub(crate) fn keep_again(&self) -> bool {
        let step = |word| (Self::are_let(word) > 0).then(|| word - LET + KEPT);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).is_ok()
    }
}

/// The state of a task's permit while the task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InWait {
    /// There is no wait.
    No,
    /// The next task has the permit.
    Released,
    /// The wait keeps the permit until it ends.
    Held,
    /// The wait keeps the permit because of the bound, and it may be let; see [`HeldPermits`].
    Kept,
}
