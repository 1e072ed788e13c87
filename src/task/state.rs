//! [`State`]: the life of one task, its flags and its references, in one word.
//!
//! ```text
//!   QUEUED --claim--> RUNNING --finish--> DONE (final)
//! ```
//! Whoever claims owes the rest: to run the closure or to drop it, to store the result, to finish. A worker claims what
//! it popped; a joiner on a worker of the same pool claims what nobody has started; a canceller claims in order to
//! drop. There is no other way out of `QUEUED`, so a task ends exactly once.
//!
//! # References
//! One for the queue, one for the handle, one for the set of a borrowing scope. The last to let go frees the memory.
//! The claimer that came through the queue gives its reference back in the same operation that says `DONE`, so a
//! joiner that sees `DONE` and holds the only reference owns the cell without another atomic operation.
//!
//! # The waiter
//! The handle alone writes the waker, and only while `WAITER` is clear; the finisher alone reads it, and only when its
//! own `finish` saw `WAITER` set. To change its waker the handle clears `WAITER` first; if it finds `DONE` then, the
//! finisher may be reading, and the handle leaves the waker alone.

use crate::sync::atomic::{AtomicUsize, Ordering, fence};

const PHASE: usize = 0b11;
const QUEUED: usize = 0;
const RUNNING: usize = 1;
const DONE: usize = 2;
const CANCEL: usize = 1 << 2;
const WAITER: usize = 1 << 3;
/// Nobody will take the result: the finisher drops it.
const UNCLAIMED: usize = 1 << 4;
/// The waker is a blocked thread's of ours: waking it runs nothing of a user's.
const OURS: usize = 1 << 5;
/// The task became a node of the tree, which requests to cancel must reach.
const NODE: usize = 1 << 6;
/// It is to run with the state of its worker.
const STATEFUL: usize = 1 << 7;
/// It gave its value after it was told to stop.
const INTERRUPTED: usize = 1 << 8;
/// Its closure borrows from the handle's owner, who goes on as soon as the task is done.
const BORROWS: usize = 1 << 9;
const REF: usize = 1 << 10;

#[derive(Debug)]
pub(crate) struct State(AtomicUsize);

/// What `finish` found, so what the finisher still owes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Finished {
    /// Nobody waits and the finisher's reference is given back; it must not touch the cell again.
    LetGo,
    /// As `LetGo`, and it was the last reference: free the cell.
    LastOne,
    /// Somebody waits: wake the waker, then give the reference back with `drop_ref`.
    Waited {
        /// It is a blocked thread of ours, so waking it is no user code.
        ours: bool,
    },
    /// Nobody will take the result: drop it, then call `finish` again.
    Unclaimed,
}

/// What `request_cancel` found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum CancelRequest {
    /// It had not started; the caller has claimed it and owes its end.
    Claimed,
    /// It runs, and was not asked before.
    Requested,
    /// It runs, and was asked before.
    AskedBefore,
    /// It runs and is a node: the request is to be made there, where it is declined too.
    AtNode,
    /// It had ended.
    TooLate,
}

impl State {
    /// Queued, with this many references.
    pub(crate) fn new(refs: usize) -> Self {
        Self(AtomicUsize::new(QUEUED + refs * REF))
    }

    /// It is to run with the state of its worker. Called before anyone else sees the task.
    pub(crate) fn set_stateful(&self) {
        self.0.fetch_or(STATEFUL, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_stateful(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATEFUL != 0
    }

    /// It gave its value after it was told to stop. Called before it is finished.
    pub(crate) fn set_interrupted(&self) {
        self.0.fetch_or(INTERRUPTED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn was_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed) & INTERRUPTED != 0
    }

    /// Its closure is to be gone before the task is done. Called before anyone else sees the task.
    pub(crate) fn set_borrows(&self) {
        self.0.fetch_or(BORROWS, Ordering::Relaxed);
    }

    pub(crate) fn borrows(&self) -> bool {
        self.0.load(Ordering::Relaxed) & BORROWS != 0
    }

    #[inline]
    fn load(&self) -> usize {
        // Acquire: pairs with the Release in `finish`, so that whoever sees `DONE` sees the result.
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.load() & PHASE == DONE
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.load() & PHASE == QUEUED
    }

    /// No foreign waker waits for it, and the handle is there to take the result: finishing it runs nothing of a
    /// user's.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        let now = self.load();
        now & UNCLAIMED == 0 && now & (WAITER | OURS) != WAITER
    }

    /// Takes it out of `QUEUED`. True for exactly one caller.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        let mut now = self.load();
        while now & PHASE == QUEUED {
            match self.0.compare_exchange_weak(now, now + RUNNING, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// As [`claim`](Self::claim), and adds a reference in the same step: for a caller that has none of its own.
    pub(crate) fn claim_counted(&self) -> bool {
        let mut now = self.load();
        while now & PHASE == QUEUED {
            match self.0.compare_exchange_weak(now, now + RUNNING + REF, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    pub(crate) fn request_cancel(&self) -> CancelRequest {
        let mut now = self.load();
        loop {
            let (next, outcome) = match now & PHASE {
                QUEUED => ((now + RUNNING) | CANCEL, CancelRequest::Claimed),
                RUNNING if now & NODE != 0 => return CancelRequest::AtNode,
                RUNNING if now & CANCEL == 0 => (now | CANCEL, CancelRequest::Requested),
                RUNNING => return CancelRequest::AskedBefore,
                _ => return CancelRequest::TooLate,
            };
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return outcome,
                Err(seen) => now = seen,
            }
        }
    }

    /// Whether it was asked to end early, and has not declined since.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        self.load() & CANCEL != 0
    }

    /// The task declines the request. True when there was one.
    pub(crate) fn acknowledge(&self) -> bool {
        self.0.fetch_and(!CANCEL, Ordering::AcqRel) & CANCEL != 0
    }

    /// The running task became a node. True when it was asked before: the request moves to the node, which the caller
    /// asks. One that comes later is made there at once, because both change this one word. So a request is in one
    /// place at a time, and declining it there is the end of it.
    pub(crate) fn became_node(&self) -> bool {
        self.0.fetch_or(NODE, Ordering::AcqRel);
        // Nobody adds a request here any more.
        self.acknowledge()
    }

    /// Whether the task is a node. What was stored before `became_node` is visible then.
    pub(crate) fn is_node(&self) -> bool {
        self.load() & NODE != 0
    }

    /// Says that the result is there. `give_back` is whether the finisher came through the queue and gives that
    /// reference back with it.
    #[inline]
    pub(crate) fn finish(&self, give_back: bool) -> Finished {
        let mut now = self.load();
        loop {
            debug_assert_eq!(now & PHASE, RUNNING);
            if now & UNCLAIMED != 0 {
                // Cleared, so that it is dropped once; nobody else looks at the flag any more.
                self.0.fetch_and(!UNCLAIMED, Ordering::AcqRel);
                return Finished::Unclaimed;
            }
            let waited = now & WAITER != 0;
            let refs = if give_back && !waited { REF } else { 0 };
            // Release: the result is written before; pairs with the Acquire in `load`.
            match self.0.compare_exchange_weak(now, now + (DONE - RUNNING) - refs, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if waited => return Finished::Waited { ours: now & OURS != 0 },
                Ok(before) if refs > 0 && before / REF == 1 => return Finished::LastOne,
                Ok(_) => return Finished::LetGo,
                Err(seen) => now = seen,
            }
        }
    }

    /// Before the handle writes its waker: true when it may.
    pub(crate) fn clear_waiter(&self) -> bool {
        let before = self.0.fetch_and(!(WAITER | OURS), Ordering::AcqRel);
        if before & PHASE == DONE {
            // The finisher may be reading the waker; the flag is of no more use.
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

    /// The handle goes and will not take the result. False when the task is done already, so the handle drops it.
    pub(crate) fn leave_unclaimed(&self) -> bool {
        let mut now = self.load();
        while now & PHASE != DONE {
            match self.0.compare_exchange_weak(now, now | UNCLAIMED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
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
            // The only one: nobody else can touch the word any more.
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
