//! [`CancelledTasks`]: the running tasks that are cancelled, seen from outside, for the end of the process.
//!
//! A cancel request is made at a node, a pool or a task, and a running task finds it by looking there. Nothing
//! lists the tasks that a request reaches, so this module looks once at each node, pool and task that can be cancelled.
//!
//! # Lifetimes
//! A running task is known by two numbers: its own and its node's. Tasks cancelled by their handles are kept on a
//! list until they have ended, and a little longer: the cell of an ended task is memory alone, without closure and result.

use std::collections::HashSet;
use std::mem;
use std::ptr;

use crate::lineage::node::{Family, Node, NodeRef};
use crate::names::id::{NodeId, TaskId};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::pool::core::task_nodes;
use crate::sync::os::{Arc, Mutex};

/// Tasks that their handles cancelled while they ran.
static BY_HANDLE: Mutex<Vec<Task>> = Mutex::new(Vec::new());

/// Notes a running task that its handle has cancelled. Costs a short lock.
pub(crate) fn note(task: Task) {
    let mut list = BY_HANDLE.lock();
    let ended = if list.len() == list.capacity() {
        let (ended, run) = mem::take(&mut *list).into_iter().partition(|task| task.state().is_done());
        *list = run;
        // Doubles the capacity, so that not each request walks over a full list.
        let more = list.len() + 1;
        list.reserve(more);
        ended
    } else {
        Vec::new()
    };
    list.push(task);
    drop(list);
    // A cell may hold a waker, whose drop is user code.
    drop(ended);
}

/// The nodes and tasks that are cancelled, at one moment.
pub(crate) struct CancelledTasks {
    nodes: HashSet<NodeId>,
    tasks: HashSet<TaskId>,
}

/// The remaining tasks of a pool.
pub(crate) struct Remaining {
    /// The number of tasks that have not ended and are not cancelled.
    pub(crate) uncancelled: usize,
    /// The running tasks that are cancelled.
    pub(crate) cancelled: Vec<TaskId>,
}

impl CancelledTasks {
    /// Looks at the process's family and at the families of the pools' owners. Runs no user code.
    ///
    /// Costs a walk over all live nodes if any node is cancelled.
    pub(crate) fn look(pools: &[Arc<Pool>]) -> Self {
        let mut cancelled = Self { nodes: HashSet::new(), tasks: HashSet::new() };
        cancelled.tasks.extend(BY_HANDLE.lock().iter().filter(|task| task.state().cancel_requested()).map(Task::id));
        if Node::any_cancel_requested() {
            let mut families = vec![Family::PROCESS];
            for owner in pools.iter().filter_map(|pool| pool.owner.upgrade()) {
                let family = owner.node().family();
                if families.iter().all(|known| !ptr::eq(known.index(), family.index())) {
                    families.push(family.clone());
                }
            }
            families.iter().for_each(|family| cancelled.look_at(family));
        }
        cancelled
    }

    fn look_at(&mut self, family: &Family) {
        for node in family.index().nodes.live() {
            if node.is_cancelled() {
                self.nodes.insert(node.id());
                self.tasks.extend(node.task_id());
            }
            leak_last(node.into());
        }
    }
}

/// Drops a reference to a node, except the last one, which it leaks. The end of a node would drop the values bound there,
/// which is user code, on the thread that ends the process.
pub(crate) fn leak_last(node: NodeRef) {
    if let Some(last) = node.into_last() {
        mem::forget(last);
    }
}

/// The remaining tasks of the pool.
pub(crate) fn remaining_but(pool: &Pool, cancelled: &CancelledTasks) -> Remaining {
    // Under one lock: an entry leaves the list before its task, and the tasks that its thread owes, leave the count.
    let (count, running) =
        pool.queue.with_extra(|stats| (pool.tracker.count(), stats.running().cloned().collect::<Vec<_>>()));
    let owed: u64 = running.iter().map(|running| running.owed).sum();
    let acknowledged = if pool.is_cancelled() { acknowledged_in(pool) } else { HashSet::new() };
    // A work-stealing pool's tasks stand at its owner.
    let owner = pool.config.steals().then(|| pool.owner.upgrade()).flatten();
    let by_owner = owner.as_ref().is_some_and(|owner| cancelled.nodes.contains(&owner.node().id()));
    owner.into_iter().for_each(leak_last);
    let cancel_requested = |at, id| {
        let by_pool = pool.is_cancelled() && !acknowledged.contains(&id);
        by_pool || by_owner || cancelled.nodes.contains(&at) || cancelled.tasks.contains(&id)
    };
    let cancelled: Vec<TaskId> =
        running.iter().filter(|running| cancel_requested(running.at, running.id)).map(|running| running.id).collect();
    Remaining { uncancelled: count.saturating_sub(owed as usize).saturating_sub(cancelled.len()), cancelled }
}

/// The running tasks of a cancelled pool that have acknowledged its request.
fn acknowledged_in(pool: &Pool) -> HashSet<TaskId> {
    let mut acknowledged = HashSet::new();
    for node in task_nodes::running_nodes(pool) {
        acknowledged.extend(node.node().task_id().filter(|_| !node.node().is_cancelled()));
        leak_last(node);
    }
    acknowledged
}
