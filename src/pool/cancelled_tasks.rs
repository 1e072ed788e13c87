//! [`CancelledTasks`]: which of the tasks that run were asked to stop, seen from outside, for the end of the process.
//!
//! A request to stop is made to a node, to a pool or to a task, and a running task finds it by looking there. Nothing
//! lists the tasks that a request reaches, so this looks at everything that can be asked, once.
//!
//! # What keeps what alive
//! A running task is known by two numbers, its own and its place's. The tasks that their handles asked are kept on a
//! list until they have ended, and a little longer: then a cell is memory alone, without closure and result.

use std::collections::HashSet;
use std::mem;
use std::ptr;

use crate::lineage::node::{Family, Node, NodeRef};
use crate::names::id::{NodeId, TaskId};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::sync::os::{Arc, Mutex};

/// Tasks whose handles asked them to stop while they ran.
static BY_HANDLE: Mutex<Vec<Task>> = Mutex::new(Vec::new());

/// A running task was asked to stop by its handle. Costs a short lock.
pub(crate) fn note(task: Task) {
    let mut list = BY_HANDLE.lock();
    let ended = if list.len() == list.capacity() {
        let (ended, run) = mem::take(&mut *list).into_iter().partition(|task| task.state().is_done());
        *list = run;
        // Room for as many again, so that a full list is not gone through for each request.
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

/// What was asked to stop, at one moment.
pub(crate) struct CancelledTasks {
    nodes: HashSet<NodeId>,
    tasks: HashSet<TaskId>,
}

/// What is left of a pool.
pub(crate) struct Remaining {
    /// Tasks that have not ended and were not asked to stop.
    pub(crate) unasked: usize,
    /// Tasks that run and were asked.
    pub(crate) cancelled: Vec<TaskId>,
}

impl CancelledTasks {
    /// Looks at the process's family and at those of the pools' owners. Costs a walk over all live nodes where any node
    /// is asked to stop. Runs no user code.
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

/// Lets go of a node. The end of one runs what is bound there, and the process ends on this thread: the last reference
/// is leaked.
fn leak_last(place: NodeRef) {
    if let Some(last) = place.into_last() {
        mem::forget(last);
    }
}

/// What is left of the pool.
pub(crate) fn remaining_but(pool: &Pool, cancelled: &CancelledTasks) -> Remaining {
    // One moment: an entry leaves the list before its task, and what its thread owes, leaves the count.
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
    Remaining { unasked: count.saturating_sub(owed as usize).saturating_sub(cancelled.len()), cancelled }
}

/// The running tasks of a cancelled pool that are not asked any more.
fn acknowledged_in(pool: &Pool) -> HashSet<TaskId> {
    let mut acknowledged = HashSet::new();
    for place in pool.running_nodes() {
        acknowledged.extend(place.node().task_id().filter(|_| !place.node().is_cancelled()));
        leak_last(place);
    }
    acknowledged
}
