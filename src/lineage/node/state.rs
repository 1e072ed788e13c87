//! [`NodeState`]: the cancel requests of a node and its end, in one atomic word.

use crate::error::CancelReason;
use crate::lineage::cancel_word::{CANCEL_REQUESTED, CancelWord};
use crate::sync::os::{AtomicUsize, Ordering};

/// The node's code has ended, or the scope is closed with nothing left below it.
const ENDED: u64 = 1 << 1;
/// The node had a child, so waiters below it may have registered for a request.
const PARENT: u64 = 1 << 2;
/// The scope's future is about to be dropped. The scope ends later, so that the drop finds the scope's values.
const HELD: u64 = 1 << 3;
/// A piece of a work-stealing pool's task was handed the request.
const INTERRUPTED: u64 = 1 << 4;
/// The node has, or had, an entry in the table of deadlines.
const TIMED: u64 = 1 << 7;
/// A waiter has registered at the node, now or before.
const WATCHED: u64 = 1 << 8;

/// Counts the cancelled nodes of all families. It is mostly zero, and then no check for a request walks.
static CANCELLED_NODES: AtomicUsize = AtomicUsize::new(0);

/// Returns whether any node of the process is cancelled at the moment.
#[inline]
pub(super) fn any_cancel_requested() -> bool {
    CANCELLED_NODES.load(Ordering::Acquire) > 0
}

pub(super) struct NodeState(CancelWord);

/// Whether a waiter may be registered at a node that has ended.
#[must_use]
pub(super) struct Watched(pub(super) bool);

impl NodeState {
    pub(super) fn new() -> Self {
        Self(CancelWord::new())
    }

    /// Notes a request. True when no other one was unacknowledged.
    pub(super) fn request(&self, reason: CancelReason) -> bool {
        // Counted before it is noted, so that code that knows of the request finds the count.
        CANCELLED_NODES.fetch_add(1, Ordering::SeqCst);
        let first = self.0.request(reason);
        if !first {
            CANCELLED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
        first
    }

    /// Clears the request. True when there was one.
    pub(super) fn acknowledge(&self) -> bool {
        let cancelled = self.0.acknowledge(INTERRUPTED);
        if cancelled {
            CANCELLED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
        cancelled
    }

    #[inline]
    pub(super) fn cancel_requested(&self) -> bool {
        self.0.requested()
    }

    /// Returns the reason of the request; `None` where there is none.
    pub(super) fn reason(&self) -> Option<CancelReason> {
        self.0.reason()
    }

    /// Returns how many requests were noted, acknowledged ones included.
    pub(super) fn requests(&self) -> u64 {
        self.0.requests()
    }

    /// Notes that a piece of a task was handed the request. True when there is a request.
    pub(super) fn note_interrupt(&self) -> bool {
        let word = self.0.0.load(Ordering::Relaxed);
        if word & (CANCEL_REQUESTED | INTERRUPTED) == CANCEL_REQUESTED {
            // A request that was acknowledged since the load gets no note.
            let note = |word: u64| (word & CANCEL_REQUESTED != 0).then_some(word | INTERRUPTED);
            let _ = self.0.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, note);
        }
        word & CANCEL_REQUESTED != 0
    }

    /// Returns whether a piece of a task was handed the request.
    pub(super) fn was_interrupted(&self) -> bool {
        const BOTH: u64 = CANCEL_REQUESTED | INTERRUPTED;
        self.0.0.load(Ordering::Relaxed) & BOTH == BOTH
    }

    /// Notes a child. Called before the child exists.
    pub(super) fn note_child(&self) {
        if !self.had_child() {
            self.0.0.fetch_or(PARENT, Ordering::SeqCst);
        }
    }

    pub(super) fn had_child(&self) -> bool {
        self.0.0.load(Ordering::SeqCst) & PARENT != 0
    }

    pub(super) fn is_ended(&self) -> bool {
        self.0.0.load(Ordering::Acquire) & ENDED != 0
    }

    /// Notes a deadline. False when the node has ended, whose end then removes nothing.
    pub(super) fn note_deadline(&self) -> bool {
        self.0.0.fetch_or(TIMED, Ordering::SeqCst) & ENDED == 0
    }

    /// Returns whether the node may have a deadline. Called after `end`, it sees each deadline that `end` did not refuse.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.0.0.load(Ordering::Relaxed) & TIMED != 0
    }

    /// Notes the end. The first call returns whether a waiter may be registered, and a later one returns `None`.
    pub(super) fn end(&self) -> Option<Watched> {
        let before = self.0.0.fetch_or(ENDED, Ordering::SeqCst);
        (before & ENDED == 0).then_some(Watched(before & WATCHED != 0))
    }

    /// Notes a waiter that looks for the end, after it has registered and before it looks.
    ///
    /// The protocol of [`TaskTracker`](crate::wait::tracker::TaskTracker): the note and the end are in one word, so the end sees
    /// the note, or the waiter sees the end. The note stays.
    pub(super) fn note_watch(&self) {
        // Where this load finds the note of another waiter, the end comes later and sees that note, or came earlier and is seen by
        // the caller, whose load has acquired the word.
        if self.0.0.load(Ordering::SeqCst) & WATCHED == 0 {
            self.0.0.fetch_or(WATCHED, Ordering::SeqCst);
        }
    }

    pub(super) fn hold(&self) {
        self.0.0.fetch_or(HELD, Ordering::SeqCst);
    }

    pub(super) fn release(&self) {
        // The holder alone releases, so a relaxed load sees its own hold.
        if self.0.0.load(Ordering::Relaxed) & HELD != 0 {
            self.0.0.fetch_and(!HELD, Ordering::SeqCst);
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.0.load(Ordering::SeqCst) & HELD != 0
    }
}

impl Drop for NodeState {
    fn drop(&mut self) {
        if self.0.requested() {
            CANCELLED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
