//! Claims of queued tasks where they stand, by a joiner or a canceller.

use std::ptr::NonNull;

use crate::lineage::node::NodeRef;
use crate::lineage::queued::{self, OwnedQueue, TaskLink, Which};
use crate::pool::core::pool::Pool;
use crate::pool::core::stats;
use crate::pool::core::task_meta::{Task, TaskMeta};
use crate::sync::os::{Arc, Ordering, Weak, fence};
use crate::task::claimed::Claimed;

/// The least number of tombstones for a sweep of the queue.
const SWEEP: usize = 64;

/// Counts the tombstone of a task that was claimed in the queue.
///
/// A queue of mostly tombstones is swept, so that the cancel of a long queue behind a long task frees its memory.
pub(crate) fn note(pool: &Pool) {
    let tombstones_queued = pool.tombstones().fetch_add(1, Ordering::Relaxed) + 1;
    if tombstones_queued.cast_unsigned().is_multiple_of(SWEEP)
        && tombstones_queued.cast_unsigned() >= stats::of(pool).queued
    {
        let swept = pool.queue.take_if(&mut |task| !task.state().is_queued());
        pool.tombstones().fetch_sub(swept.len().cast_signed(), Ordering::Relaxed);
    }
}

/// Takes the metadata of a task that was claimed before it began, and [notes](note) the claim of one in the queue.
pub(crate) fn take(claimed: &Claimed<TaskMeta>) -> Option<(Arc<Pool>, TaskMeta)> {
    let meta = claimed.take_meta().filter(TaskMeta::queued)?;
    let pool = meta.pool.get::<Pool>().as_ptr();
    // SAFETY: the address is from an `Arc<Pool>`. The claimer counts the task out of its pool, with the metadata, so the
    // task is still counted; and a pool that counts a task holds itself.
    let pool = unsafe {
        Arc::increment_strong_count(pool);
        Arc::from_raw(pool)
    };
    if !claimed.task().state().is_promised() {
        note(&pool);
    }
    Some((pool, meta))
}

/// Registers a work-stealing pool at its owner, so that a cancel request there ends the queued tasks.
///
/// The tasks of such a pool stand at the owner, and not at their submitters' nodes, which list other tasks.
pub(crate) fn register_at_owner(pool: &Arc<Pool>) {
    let owner = pool.config.steals().then(|| pool.owner.upgrade()).flatten();
    if let Some(node) = owner.as_ref().and_then(NodeRef::below_root) {
        let this: Weak<Pool> = Arc::downgrade(pool);
        queued::stands_at(node, this);
    }
}

impl OwnedQueue for Pool {
    fn claim_queued(&self, which: Which, unwanted: &dyn Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        if which == Which::Daemon && self.joins() {
            return;
        }
        // Comes after the cancel request is set: see `pushed_for`.
        fence(Ordering::SeqCst);
        let mut claim = |task: &Task| {
            if unwanted() && task.state().claim_counted() {
                into.push(task.link());
            }
            // The tombstone stays queued, as after each other claim.
            false
        };
        drop(self.queue.take_if(&mut claim));
    }
}
