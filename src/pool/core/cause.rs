//! Why a task is cancelled, and at which place: found when the task is about to end, and never before.

use std::fmt;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::{Node, ScopeTrackers};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, Task, TaskMeta};

/// The cause of a request that was made to a pool.
#[cold]
pub(crate) fn at_pool(pool: &Pool, reason: CancelReason) -> Cancelled {
    Cancelled::new(reason, format_args!("pool \"{}\"", pool.namespace))
}

/// The cause of a request that a task's handle made.
#[cold]
pub(crate) fn at_task(task: &Task, reason: CancelReason) -> Cancelled {
    Cancelled::new(reason, format_args!("task {}", task.id()))
}

/// The cause of a cancelled pool. `None` for another pool.
#[cold]
pub(crate) fn of_cancelled(pool: &Pool) -> Option<Cancelled> {
    pool.is_cancelled().then(|| pool.cause().cloned().unwrap_or_else(|| at_pool(pool, CancelReason::Request)))
}

/// The cause for a queued task that is not to start.
#[cold]
pub(crate) fn of_queued(pool: &Pool, meta: &TaskMeta) -> Cancelled {
    let owner = meta.rare.as_ref().map(|rare| rare.owner.node());
    of_dropped(pool, meta.place.node(), owner)
}

/// The cause for a task that is not to begin.
#[cold]
pub(crate) fn of_counted(pool: &Pool, counted: &Counted) -> Cancelled {
    of_dropped(pool, counted.place.node(), Some(counted.owner.node()))
}

/// The nearest request at the task's place or its owner, then a closed scope above a daemon's task, then the pool.
fn of_dropped(pool: &Pool, place: &Node, owner: Option<&Node>) -> Cancelled {
    let nodes = || [Some(place), owner].into_iter().flatten();
    let closed = |node: &Node| {
        let (scope, _) = node.scope_nodes().find(|(_, trackers)| ScopeTrackers::is_closed(trackers))?;
        Some(Cancelled::new(CancelReason::OwnerEnd, scope as &dyn fmt::Display))
    };
    nodes()
        .find_map(Node::cause)
        .or_else(|| of_cancelled(pool))
        .or_else(|| if pool.joins() { None } else { nodes().find_map(closed) })
        .unwrap_or_else(|| at_pool(pool, CancelReason::OwnerEnd))
}
