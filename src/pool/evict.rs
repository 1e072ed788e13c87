//! Ending queued tasks as soon as they are cancelled, whatever queue they stand in.
//!
//! A task that is submitted at a node is listed there ([`crate::lineage::queued`]). A cancel of the node claims the
//! task and ends it here; a tombstone stays in the queue, and is dropped when its turn comes or when tombstones are most
//! of the queue.

use std::ptr::NonNull;

use crate::error::{SubmitError, TaskError};
use crate::fork::is_fork;
use crate::lineage::node::{Node, Place};
use crate::lineage::queued::{self, Link, Ops};
use crate::pool::inner::{Memo, Pool};
use crate::pool::worker::Task;
use crate::sync::os::{Arc, Ordering};
use crate::task::cell::Claimed;

/// How many tombstones there must be, at least, before the queue is swept.
const SWEEP: usize = 64;

static OPS: Ops = Ops { may_end: || !is_fork(), claim: claim_listed, end: end_listed };

/// Before the first task is listed.
pub(super) fn install() {
    queued::install(&OPS);
}

/// # Safety
/// As for [`Ops::claim`].
unsafe fn claim_listed(link: NonNull<Link>) -> bool {
    // SAFETY: a listed task is alive, and `Pool::list` lists no other type.
    unsafe { Task::from_link(link) }.state().claim_counted()
}

/// # Safety
/// As for [`Ops::end`].
unsafe fn end_listed(link: NonNull<Link>) {
    // SAFETY: the caller has claimed it by `claim_listed`, and ends it once.
    let claimed: Claimed<Memo> = unsafe { Claimed::from_link(link) };
    let Some(memo) = claimed.take_memo() else { return };
    // SAFETY: a listed task came through the queue of its pool, and is not counted out before its end.
    let pool = unsafe { memo.pool.pool() };
    pool.claimed_in_queue();
    let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
    pool.end_unrun_with(claimed, memo, error);
}

impl Pool {
    /// Takes room in the queue for one task. A queue without a limit always has some.
    #[inline]
    pub(super) fn take_room(&self) -> Result<(), SubmitError> {
        match &self.room {
            Some(room) if !room.take() => Err(SubmitError::QueueFull {
                namespace: self.namespace.clone(),
                limit: self.config.queue_limit.unwrap_or(usize::MAX),
            }),
            _ => Ok(()),
        }
    }

    /// The node that is to list a task submitted at the place, registered. `None` for a root, which is never cancelled.
    #[inline]
    pub(super) fn listing_node(&self, place: &Place) -> Option<NonNull<Node>> {
        let node = place.below_root()?;
        queued::register(node);
        Some(NonNull::from(&**node))
    }

    /// Lists a task at its node. False when it is not to start any more.
    ///
    /// # Safety
    /// The node came from `listing_node`, and the task's memo holds it. No other thread has seen the task.
    #[inline]
    pub(super) unsafe fn list(&self, node: NonNull<Node>, task: &Task) -> bool {
        let joins = self.joins();
        // SAFETY: the memo holds the node until a claimer takes it, which can be once the task is listed and the list
        // unlocked; nothing touches the node here after that.
        let node = unsafe { node.as_ref() };
        let unwanted = || node.is_cancelled() || (!joins && node.scope_closed());
        // SAFETY: a cell does not move, and each claimer unlists its task before it finishes it.
        unsafe { node.queued().list(task.link(), joins, unwanted) }
    }

    /// Takes a claimed task off its node's list. Called before the task is finished, which may free it.
    #[inline]
    pub(super) fn unlist(&self, place: &Place, task: &Task) {
        if let Some(node) = place.below_root() {
            // SAFETY: the reference keeps the task, which was listed at its own place, or never.
            unsafe { node.queued().unlist(task.link(), self.joins()) };
        }
    }

    /// Ends a task that was accepted when its place was cancelled already. It is in no queue.
    #[cold]
    pub(super) fn end_at_once(self: &Arc<Self>, task: Task) {
        if let Ok(claimed) = task.claim() {
            self.counters.elsewhere.fetch_add(1, Ordering::Relaxed);
            let error = TaskError::cancelled(claimed.task().id(), &self.namespace);
            self.end_unrun(claimed, error);
        }
    }

    /// Ends a task that was pushed while its pool was cancelled, or closed as a daemon pool: the canceller may have looked
    /// at the queue before.
    #[cold]
    pub(super) fn pushed_late(self: &Arc<Self>, handle: &Task) {
        if self.drops_all()
            && let Ok(claimed) = handle.another().claim()
        {
            self.claimed_in_queue();
            let error = TaskError::cancelled(claimed.task().id(), &self.namespace);
            self.end_unrun(claimed, error);
        }
    }

    /// Counts a task that was claimed in the queue and leaves a tombstone there. When tombstones are most of the queue
    /// they are swept out, so that cancelling a long queue behind a long task gives its memory back.
    pub(crate) fn claimed_in_queue(&self) {
        self.counters.elsewhere.fetch_add(1, Ordering::Relaxed);
        let stale = self.stale.fetch_add(1, Ordering::Relaxed) + 1;
        if stale.cast_unsigned().is_multiple_of(SWEEP) && stale.cast_unsigned() >= self.stats().queued {
            let swept = self.queue.take_if(|task| !task.state().is_queued());
            self.stale.fetch_sub(swept.len().cast_signed(), Ordering::Relaxed);
        }
    }
}
