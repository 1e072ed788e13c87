//! The cancel request of the running code, and the note that the code was handed it, for [`PoolStats::interrupted`].
//!
//! A task is interrupted when heirloom hands its code a [`Cancelled`], or another answer that says the same: true from
//! `is_cancelled`, an error that a request causes, the result of a task that was itself interrupted. The note is a flag in
//! the task's frame. The task's own thread alone reads and writes it, so a task without a request pays one read at its end.
//! An acknowledged request takes the note back.
//!
//! # Work stealing
//! A piece of a task runs on any thread of its pool and does not know its task. So the piece notes the interrupt at the
//! cancelled node or pool. A task finds the note when the same request reaches the task's own node or its pool's owner.
//!
//! [`PoolStats::interrupted`]: crate::PoolStats::interrupted

use crate::error::Cancelled;
use crate::lineage::current;
use crate::lineage::flow::Flow;
use crate::lineage::node::Node;
use crate::lineage::thread_state;
use crate::lineage::work;
use crate::pool::context::frame::{self, Frame};
use crate::pool::core::pool::Pool;
use crate::pool::kinds::stealing;
use crate::sync::os::{Arc, Ordering};

/// Whether the running code is asked to stop, or the place where it stands, or one above that.
#[inline]
pub(crate) fn cancel_requested() -> bool {
    let own = || match frame::own() {
        Some(frame) => frame.cancel_requested(),
        None => {
            work::with_own(|work| work.cancel_requested()).unwrap_or(false)
                || (thread_state::cancel_requested() && current::has_its_thread())
                || piece_of().is_some_and(|pool| pool.is_cancelled())
        }
    };
    (!frame::is_shielded() && own())
        || Node::any_cancel_requested()
            && (current::nearest_node(&current::pin()).is_cancelled() || own_node_cancel_requested())
}

/// The task or the thread may be asked at its node while its code stands elsewhere.
fn own_node_cancel_requested() -> bool {
    !frame::is_shielded() && !frame::own().is_some_and(Frame::is_teardown) && current::own_cancel_requested()
}

/// The pool whose task the code is a piece of, on a work-stealing pool's thread.
fn piece_of<'a>() -> Option<&'a Arc<Pool>> {
    stealing::here().filter(|_| !Flow::now().is_guest())
}

/// The running task, if it is asked to stop, learns of it now.
#[inline]
pub(crate) fn note_if_cancelled() {
    if cancel_requested() {
        note_interrupt();
    }
}

/// The running task, which is asked to stop, learns of it now.
#[cold]
pub(crate) fn note_interrupt() {
    if frame::is_shielded() {
        return;
    }
    let own = frame::own();
    if let Some(frame) = own.filter(|frame| !frame.steals()) {
        frame.interrupted.set(true);
    } else if let Some(pool) = own.map(Frame::pool).or_else(piece_of) {
        if pool.is_cancelled() {
            pool.interrupted.store(true, Ordering::Relaxed);
        }
        current::nearest_node(&current::pin()).note_interrupt();
    }
}

/// The error for a request that ends a wait of the running code.
pub(crate) fn cancelled() -> Cancelled {
    note_if_cancelled();
    Cancelled::new()
}

impl Frame {
    /// The task was told of a request that it has not declined.
    #[inline]
    pub(crate) fn was_interrupted(&self) -> bool {
        if self.steals() { self.piece_was_interrupted() } else { self.interrupted.get() }
    }

    /// A piece of this task was told, or of another one that the same request reaches.
    fn piece_was_interrupted(&self) -> bool {
        let pool = self.pool();
        let by_pool = pool.interrupted.load(Ordering::Relaxed) && pool.is_cancelled();
        let by_owner = || pool.owner.upgrade().is_some_and(|owner| owner.node().was_interrupted());
        by_pool || Node::any_cancel_requested() && (self.counted.place.node().was_interrupted() || by_owner())
    }

    /// The task has declined a request. Another one may stand, which is not its own to decline.
    pub(crate) fn acknowledged(&self) {
        if self.interrupted.get() && !cancel_requested() {
            self.interrupted.set(false);
        }
    }
}
