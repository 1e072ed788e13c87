//! [`State`]: the life of one task, its flags and its references, in one word.
//!
//! ```text
//!   QUEUED --claim----> RUNNING --finish--> DONE (final)
//! PROMISED --claim_promised--^
//! ```
//! The claimer owes the rest: to run the closure or to drop it, to store the result, to finish. A worker claims the
//! task that it popped. A joiner on a worker of the same pool claims a task that has not started. A canceller claims in
//! order to drop. There is no other way out of `QUEUED`, so a task ends exactly once.
//!
//! A promised task begins in `PROMISED`: it is in no queue, so no worker and no joiner claims it. The promise claims it to
//! begin, and a canceller in order to drop.
//!
//! # References
//! One for the queue, one for the handle, one for the set of a borrowing scope. The drop of the last frees the memory.
//! The claimer that came through the queue gives its reference back in the same operation that stores `DONE`. So a
//! joiner that sees `DONE` and holds the only reference owns the cell without another atomic operation.
//!
//! # The waiter
//! The handle alone writes the waker, and only while `WAITER` is clear; the finisher alone reads it, and only when its
//! own `finish` saw `WAITER` set. To change its waker the handle clears `WAITER` first; if it finds `DONE` then, the
//! finisher may be reading, and the handle leaves the waker alone.
//!
//! # The look at the pool
//! A handle does not keep its task's pool. The pool keeps itself while the task is not finished and counted out. So a handle
//! that looks at the pool sets `LOOKED` while the task is queued, takes a reference to the pool, and clears the flag. A
//! finisher that sees the flag first keeps the pool once more for that handle, and sets `HELD`; the handle that finds `HELD`
//! gives that one back. Neither side waits for the other.

use crate::error::CancelReason;
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

const PHASE: usize = 0b11;
const QUEUED: usize = 0;
const RUNNING: usize = 1;
const DONE: usize = 2;
const PROMISED: usize = 3;
const CANCEL: usize = 1 << 2;
const WAITER: usize = 1 << 3;
/// No handle takes the result: the finisher drops it.
const UNCLAIMED: usize = 1 << 4;
/// The waker is that of a blocked thread of this crate: waking it runs no user code.
const OURS: usize = 1 << 5;
/// The task became a node of the tree, which cancel requests must reach.
const NODE: usize = 1 << 6;
/// The task runs with the state of its worker.
const STATEFUL: usize = 1 << 7;
/// The task returned after it was cancelled.
const INTERRUPTED: usize = 1 << 8;
/// The closure borrows from the handle's owner, which goes on as soon as the task is done.
const BORROWS: usize = 1 << 9;
/// The request is that of a deadline.
const BY_DEADLINE: usize = 1 << 10;
/// The task's handle has set a deadline, which the table of deadlines has.
const TIMED: usize = 1 << 11;
/// The handle looks at the task's pool.
const LOOKED: usize = 1 << 12;
/// The finisher keeps the pool for the look that is under way.
const HELD: usize = 1 << 13;
/// The task is a promised one.
const PROMISE: usize = 1 << 14;
const REF: usize = 1 << 15;

#[derive(Debug)]
pub(crate) struct State(AtomicUsize);

/// The result of `finish`, so the step that the finisher still owes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Finished {
    /// No waiter is registered, and the finisher's reference is given back. It must not touch the cell again.
    LetGo,
    /// No waiter is registered, and the finisher has the last reference: drop it.
    LastOne,
    /// A waiter is registered: wake it, then give the reference back with `drop_ref`.
    Waited {
        /// It is a blocked thread of this crate, so waking it runs no user code.
        ours: bool,
    },
    /// No handle takes the result: drop it, then call `finish` again.
    Unclaimed,
    /// The task has a deadline: remove it, then call `finish` again.
    Timed,
    /// The handle looks at the pool: keep the pool, [hand it over](State::hand_over), then call `finish` again.
    Looked,
}

/// The result of `request_cancel`.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum CancelRequest {
    /// The task had not started. The caller has claimed it and owes its end.
    Claimed,
    /// The task runs, and this is the first request.
    Requested,
    /// The task runs, and had a request already.
    AskedBefore,
    /// The task runs and is a node: the request is to be made there, where it is acknowledged too.
    AtNode,
    /// The task had ended.
    TooLate,
}

impl State {
    /// Queued, with this many references.
    pub(crate) fn new(refs: usize) -> Self {
        Self(AtomicUsize::new(QUEUED + refs * REF))
    }

    /// Marks a task that runs with the state of its worker. Called before another thread sees the task.
    pub(crate) fn set_stateful(&self) {
        self.0.fetch_or(STATEFUL, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_stateful(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATEFUL != 0
    }

    /// Marks a promised task, which is in no queue. Called before another thread sees the task.
    pub(crate) fn set_promised(&self) {
        self.0.fetch_or(PROMISED | PROMISE, Ordering::Relaxed);
    }

    /// Returns whether the task is a promised one, whichever its phase.
    pub(crate) fn is_promised(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PROMISE != 0
    }

    /// Marks a task that returned after it was cancelled. Called before it is finished.
    pub(crate) fn set_interrupted(&self) {
        self.0.fetch_or(INTERRUPTED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn was_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed) & INTERRUPTED != 0
    }

    /// Marks a task whose closure must be dropped before the task is done. Called before another thread sees the task.
    pub(crate) fn set_borrows(&self) {
        self.0.fetch_or(BORROWS, Ordering::Relaxed);
    }

    pub(crate) fn borrows(&self) -> bool {
        self.0.load(Ordering::Relaxed) & BORROWS != 0
    }

    #[inline]
    fn load(&self) -> usize {
        // Acquire: pairs with the Release in `finish`, so that a thread which sees `DONE` sees the result.
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.load() & PHASE == DONE
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.load() & PHASE == QUEUED
    }

    /// Returns whether the task has not begun: it is queued, or promised.
    pub(crate) fn is_unbegun(&self) -> bool {
        is_unbegun(self.load())
    }

    /// Finishing the task runs no user code: no foreign waker is registered, and the handle is there to take the
    /// result.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        let now = self.load();
        now & UNCLAIMED == 0 && now & (WAITER | OURS) != WAITER
    }

    /// Changes the word while it fits. True for a changed word.
    #[inline(always)]
    fn change_while(&self, fits: impl Fn(usize) -> bool, next: impl Fn(usize) -> usize) -> bool {
        let mut now = self.load();
        while fits(now) {
            match self.0.compare_exchange_weak(now, next(now), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// Takes the task out of `QUEUED`. True for exactly one caller.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        self.change_while(|now| now & PHASE == QUEUED, |now| now + RUNNING)
    }

    /// Takes a promised task out of `PROMISED`. True for exactly one caller.
    pub(crate) fn claim_promised(&self) -> bool {
        self.change_while(|now| now & PHASE == PROMISED, running)
    }

    /// Claims a task that is queued or promised, and adds a reference in the same step: for a canceller without one.
    pub(crate) fn claim_counted(&self) -> bool {
        self.change_while(is_unbegun, |now| running(now) + REF)
    }

    pub(crate) fn request_cancel(&self, reason: CancelReason) -> CancelRequest {
        let request = if reason == CancelReason::Deadline { CANCEL | BY_DEADLINE } else { CANCEL };
        let mut now = self.load();
        loop {
            let (next, outcome) = match now & PHASE {
                QUEUED | PROMISED => (running(now) | request, CancelRequest::Claimed),
                RUNNING if now & NODE != 0 => return CancelRequest::AtNode,
                RUNNING if now & CANCEL == 0 => (now | request, CancelRequest::Requested),
                RUNNING => return CancelRequest::AskedBefore,
                _ => return CancelRequest::TooLate,
            };
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return outcome,
                Err(seen) => now = seen,
            }
        }
    }

    /// Whether the task has a cancel request that it has not acknowledged.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        self.load() & CANCEL != 0
    }

    /// Returns the reason of the cancel request; `None` where there is none.
    pub(crate) fn cancel_reason(&self) -> Option<CancelReason> {
        reason_of(self.load())
    }

    /// Withdraws the cancel request. Returns its reason; `None` when there was none.
    pub(crate) fn acknowledge(&self) -> Option<CancelReason> {
        reason_of(self.0.fetch_and(!(CANCEL | BY_DEADLINE), Ordering::AcqRel))
    }

    /// Notes a deadline of the task. False when the task has ended.
    pub(crate) fn note_deadline(&self) -> bool {
        self.change_while(|now| now & PHASE != DONE, |now| now | TIMED)
    }

    /// Returns whether the handle has set a deadline.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & TIMED != 0
    }

    /// The running task became a node. Returns the reason of its cancel request, which the caller moves to the node. A later
    /// request goes there at once, because both change this one word. So a request is in one place at a time, and
    /// acknowledging it there ends it.
    pub(crate) fn became_node(&self) -> Option<CancelReason> {
        self.0.fetch_or(NODE, Ordering::AcqRel);
        // No thread adds a request here from now on.
        self.acknowledge()
    }

    /// Whether the task is a node. All that was stored before `became_node` is visible then.
    pub(crate) fn is_node(&self) -> bool {
        self.load() & NODE != 0
    }

    /// Makes the result visible, and gives the finisher's reference back in the same step.
    #[inline]
    pub(crate) fn finish(&self) -> Finished {
        let mut now = self.load();
        loop {
            debug_assert_eq!(now & PHASE, RUNNING);
            if now & (UNCLAIMED | TIMED) == TIMED {
                self.0.fetch_and(!TIMED, Ordering::AcqRel);
                return Finished::Timed;
            }
            if now & UNCLAIMED != 0 {
                // Cleared, so that the result is dropped once; no other thread reads the flag from now on.
                self.0.fetch_and(!UNCLAIMED, Ordering::AcqRel);
                return Finished::Unclaimed;
            }
            if now & (LOOKED | HELD) == LOOKED {
                return Finished::Looked;
            }
            let waited = now & WAITER != 0;
            // The last reference stays with the finisher: no other thread can add one to it.
            let last = now / REF == 1;
            let refs = if waited || last { 0 } else { REF };
            // Release: the result is written before; pairs with the Acquire in `load`.
            match self.0.compare_exchange_weak(now, now + (DONE - RUNNING) - refs, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if waited => return Finished::Waited { ours: now & OURS != 0 },
                Ok(_) if last => return Finished::LastOne,
                Ok(_) => return Finished::LetGo,
                Err(seen) => now = seen,
            }
        }
    }

    /// The handle begins to look at the task's pool. False when the task has left `QUEUED`.
    #[inline]
    pub(crate) fn begin_look(&self) -> bool {
        self.change_while(|now| now & PHASE == QUEUED, |now| now | LOOKED)
    }

    /// The handle ends its look. True when a reference to the pool was handed over, which the handle gives back.
    #[inline]
    #[must_use]
    pub(crate) fn end_look(&self) -> bool {
        // Release: the handle's own reference to the pool comes before the count out of the task; pairs with the Acquire of
        // `finish`.
        self.0.fetch_and(!(LOOKED | HELD), Ordering::AcqRel) & HELD != 0
    }

    /// The finisher hands over a reference to the pool. False when the look has ended, so the finisher keeps it.
    #[cold]
    #[must_use]
    pub(crate) fn hand_over(&self) -> bool {
        self.change_while(|now| now & LOOKED != 0, |now| now | HELD)
    }

    /// Before the handle writes its waker: true when it may.
    pub(crate) fn clear_waiter(&self) -> bool {
        let before = self.0.fetch_and(!(WAITER | OURS), Ordering::AcqRel);
        if before & PHASE == DONE {
            // The finisher may be reading the waker.
            return false;
        }
        true
    }

    /// After the handle wrote its waker: true when the finisher will wake it, false when the task is done already.
    pub(crate) fn set_waiter(&self, ours: bool) -> bool {
        let flags = if ours { WAITER | OURS } else { WAITER };
        // Release: the waker is written before; pairs with the Acquire half of `finish`.
        self.0.fetch_or(flags, Ordering::AcqRel) & PHASE != DONE
    }

    /// The handle is dropped without taking the result. False when the task is done already, so the handle drops it.
    pub(crate) fn leave_unclaimed(&self) -> bool {
        self.change_while(|now| now & PHASE != DONE, |now| now | UNCLAIMED)
    }

    pub(crate) fn add_ref(&self) {
        // Relaxed: a new reference is made from one that is held.
        self.0.fetch_add(REF, Ordering::Relaxed);
    }

    /// Gives a reference back. True for the last: the caller frees the cell.
    #[inline]
    #[must_use]
    pub(crate) fn drop_ref(&self) -> bool {
        if self.0.load(Ordering::Acquire) / REF == 1 {
            // The only reference, so no other thread can touch the word.
            return true;
        }
        // Release: everything done with the cell comes before its end; pairs with the fence.
        if self.0.fetch_sub(REF, Ordering::Release) / REF == 1 {
            fence(Ordering::Acquire);
            return true;
        }
        false
    }
}

fn is_unbegun(word: usize) -> bool {
    matches!(word & PHASE, QUEUED | PROMISED)
}

/// The word in the phase `RUNNING`.
fn running(word: usize) -> usize {
    (word & !PHASE) | RUNNING
}

fn reason_of(word: usize) -> Option<CancelReason> {
    match (word & CANCEL, word & BY_DEADLINE) {
        (0, _) => None,
        (_, 0) => Some(CancelReason::Request),
        _ => Some(CancelReason::Deadline),
    }
}
