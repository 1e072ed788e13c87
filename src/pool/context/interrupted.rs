//! Whether the running code is cancelled, and has seen it, for [`PoolStats::interrupted`].
//!
//! A task is interrupted when heirloom hands its code a [`Cancelled`], or another answer of that meaning: true from
//! `is_cancelled`, an error that a request causes, the result of a task that was itself interrupted. The note is a flag in
//! the task's frame. The task's own thread alone reads and writes it, so a task without a request pays one read at its end.
//! An acknowledged request takes the note back.
//!
//! # Work stealing
//! A piece of a task runs on any thread of its pool and does not know its task. So the piece notes the interrupt at the
//! cancelled node or pool. A task finds the note when the same request reaches the task's own node or its pool's owner.
//!
//! [`PoolStats::interrupted`]: crate::PoolStats::interrupted

use crate::error::{CancelReason, Cancelled};
use crate::lineage::flow::Flow;
use crate::lineage::node::Node;
use crate::lineage::{current, thread_state, work};
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{is_shielded, with_own, with_stealing};
use crate::pool::core::cause;
use crate::pool::core::pool::Pool;
use crate::sync::os::{Arc, Ordering};

/// Returns whether a cancel request reaches the running code: of its task or thread, its pool, or a node at or above it.
#[inline]
pub(crate) fn cancel_requested() -> bool {
    let own = || {
        with_own(|frame| match frame {
            Some(frame) => frame.cancel_requested(),
            None => {
                work::with_own(|work| work.cancel_requested()).unwrap_or(false)
                    || (thread_state::cancel_requested() && current::has_its_thread())
                    || with_pool_of_piece(|pool| pool.is_some_and(|pool| pool.is_cancelled()))
            }
        })
    };
    (!is_shielded() && own())
        || Node::any_cancel_requested()
            && (current::nearest_node(&current::pin()).is_cancelled() || own_node_cancel_requested())
}

/// The node of the task or the thread may be cancelled while its code stands elsewhere.
fn own_node_cancel_requested() -> bool {
    !is_shielded() && !with_own(|frame| frame.is_some_and(Frame::is_teardown)) && current::own_cancel_requested()
}

/// On a work-stealing pool's thread, passes on the pool of the running piece.
fn with_pool_of_piece<R>(f: impl FnOnce(Option<&Arc<Pool>>) -> R) -> R {
    with_stealing(|thread| f(thread.filter(|_| !Flow::now().is_guest()).map(|thread| thread.pool)))
}

/// Notes that the running task is handed its cancel request, if there is one.
#[inline]
pub(crate) fn note_if_cancelled() {
    if cancel_requested() {
        note_interrupt();
    }
}

/// Notes that the running task, which is cancelled, is handed the request.
#[cold]
pub(crate) fn note_interrupt() {
    if is_shielded() {
        return;
    }
    with_own(|frame| match frame {
        Some(frame) if !frame.steals() => frame.interrupted.set(true),
        Some(frame) => note_at_pool(frame.pool()),
        None => with_pool_of_piece(|pool| pool.into_iter().for_each(note_at_pool)),
    });
}

/// Notes the interrupt of a piece.
fn note_at_pool(pool: &Arc<Pool>) {
    if pool.is_cancelled() {
        pool.interrupted.store(true, Ordering::Relaxed);
    }
    current::nearest_node(&current::pin()).note_interrupt();
}

/// The error for a request that ends a wait of the running code.
pub(crate) fn cancelled() -> Cancelled {
    note_if_cancelled();
    cause()
}

/// The reason and the place of the request that reaches the running code: the nearest one.
#[cold]
pub(crate) fn cause() -> Cancelled {
    let own = || {
        with_own(|frame| match frame {
            Some(frame) => frame.own_cause(),
            None => work::with_own(|work| work.cause())
                .unwrap_or_else(|| current::has_its_thread().then(thread_state::cause).flatten()),
        })
    };
    let of_pool = || {
        with_own(|frame| match frame {
            Some(frame) => cause::of_cancelled(frame.pool()),
            None => with_pool_of_piece(|pool| cause::of_cancelled(pool?)),
        })
    };
    let shielded = is_shielded();
    let own_node = || if own_node_cancel_requested() { current::own_cause() } else { None };
    let pin = current::pin();
    let here = current::nearest_node(&pin);
    // A cancelled pool cancels the nodes of its running tasks too.
    let by_pool = !shielded && here.task_id().is_some() && here.cancel_requested();
    (if shielded { None } else { own() })
        .or_else(|| if by_pool { of_pool() } else { None })
        .or_else(|| here.cause())
        .or_else(own_node)
        .or_else(|| if shielded { None } else { of_pool() })
        // The request was acknowledged between the caller's look and this one.
        .unwrap_or_else(|| Cancelled::new(CancelReason::Request, here))
}

impl Frame<'_> {
    /// The request of the task's own handle, before the task is a node.
    fn own_cause(&self) -> Option<Cancelled> {
        let task = self.task().filter(|_| !self.steals())?;
        let at = format_args!("task {}", task.id());
        task.state().cancel_reason().map(|reason| Cancelled::new(reason, at))
    }

    /// Returns whether the task was handed a request that it has not acknowledged.
    #[inline]
    pub(crate) fn was_interrupted(&self) -> bool {
        if self.steals() { self.piece_was_interrupted() } else { self.interrupted.get() }
    }

    /// Returns whether a piece of this task was handed a request.
    ///
    /// Also true for a piece of another task, if the same request reaches this one.
    fn piece_was_interrupted(&self) -> bool {
        let pool = self.pool();
        let by_pool = pool.interrupted.load(Ordering::Relaxed) && pool.is_cancelled();
        let by_owner = || pool.owner.upgrade().is_some_and(|owner| owner.node().was_interrupted());
        by_pool || Node::any_cancel_requested() && (self.counted.place.node().was_interrupted() || by_owner())
    }

    /// The task has acknowledged a request. Another request may stand, which is not the task's own.
    pub(crate) fn acknowledged(&self) {
        if self.interrupted.get() && !cancel_requested() {
            self.interrupted.set(false);
        }
    }
}
