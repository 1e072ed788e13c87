//! The nodes of a pool's tasks: a node lists its queued tasks, and the pool the nodes of the running ones. A canceller finds
//! both.

use std::ptr::NonNull;

use slab::Slab;

use crate::lineage::node::{Node, NodeRef};
use crate::lineage::queued::{self, Claims, TaskLink};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::sync::os::{Ordering, fence};

/// A list of so many nodes keeps its memory when it becomes empty.
const KEEP: usize = 16;

/// Key of a node in the pool's list.
pub(crate) struct NodeKey(usize);

/// Returns the registered node that is to list a task submitted at `place`.
///
/// `None` for a root, which is never cancelled.
#[inline]
pub(crate) fn listing_node(place: &NodeRef) -> Option<NonNull<Node>> {
    let node = place.below_root()?;
    queued::register(node);
    Some(NonNull::from(&**node))
}

/// Lists tasks at their node, the newest first. Returns false when none of them is ever to start.
///
/// # Safety
/// The node came from `listing_node`, and each task's meta holds it. No other thread has seen the tasks.
#[inline]
pub(crate) unsafe fn list(pool: &Pool, node: NonNull<Node>, tasks: impl Iterator<Item = NonNull<TaskLink>>) -> bool {
    let joins = pool.joins();
    // SAFETY: a meta holds the node until a claimer takes it, which can be once the tasks are listed and the list
    // unlocked; nothing touches the node here after that. A cell does not move, and each claimer unlists its task
    // before it finishes it.
    unsafe {
        let node = node.as_ref();
        node.queued().of(joins).list(tasks, || node.is_cancelled() || (!joins && node.scope_closed()))
    }
}

/// Takes a claimed task off its node's list. The claimer calls it before it finishes the task, which may free the cell.
#[inline]
pub(crate) fn unlist(pool: &Pool, place: &NodeRef, task: &Task) {
    if let Some(node) = place.below_root() {
        // SAFETY: the reference keeps the task, which was listed at its own node, or never.
        unsafe { node.queued().of(pool.joins()).unlist(task.link()) };
    }
}

/// Returns the promised tasks that have not begun, the oldest first. The caller has set a flag of the pool.
pub(crate) fn promised(pool: &Pool) -> Vec<Task> {
    // Between the flag and the look: see `promised`.
    fence(Ordering::SeqCst);
    pool.known_cold().map_or_else(Vec::new, |cold| cold.promised.all())
}

/// Notes the node of a task that runs here, or that has begun as a promised one.
pub(crate) fn note_node(pool: &Pool, node: &NodeRef) -> NodeKey {
    let at = pool.cold().nodes.lock().insert(node.downgrade());
    // The canceller sets the flag and then looks at the list. So one of the two sees the other.
    if pool.is_cancelled() {
        node.node().cancel(pool.cancel_reason());
    }
    NodeKey(at)
}

/// Forgets the node of a finished task, so that the list keeps no memory for it.
pub(crate) fn forget_node(pool: &Pool, node_key: NodeKey) {
    let mut nodes = pool.cold().nodes.lock();
    let node = nodes.try_remove(node_key.0);
    if nodes.is_empty() && nodes.capacity() > KEEP {
        *nodes = Slab::new();
    }
    drop(nodes);
    drop(node);
}

/// Cancels the nodes of running tasks, and claims the tasks queued below them. Returns the nodes whose watchers the
/// caller then notifies. Running tasks without a node look at the pool's flag.
pub(crate) fn cancel_running(pool: &Pool, claims: &mut Claims) -> Vec<NodeRef> {
    let mut nodes = running_nodes(pool);
    nodes.retain(|node| !node.node().is_over());
    for node in &nodes {
        node.node().begin_cancel(claims, pool.cancel_reason());
    }
    nodes
}

/// The nodes of running tasks.
pub(crate) fn running_nodes(pool: &Pool) -> Vec<NodeRef> {
    let Some(cold) = pool.known_cold() else { return Vec::new() };
    cold.nodes.lock().iter().filter_map(|(_, node)| node.upgrade()).collect()
}
