//! [`PromisedTasks`]: the promised tasks of a pool that have not begun, for its close and its cancel.
//!
//! A queued task is found in the pool's queue. A promised task is in no queue, so the pool lists it here until it begins or ends.
//! Its submitter's node lists it beside the queued tasks.
//!
//! # The race to fear
//! A pool is closed while a task is listed, and the closer overlooks the task. The race cannot happen: the submitter lists
//! the task, *then* looks at the pool's flags; the closer sets a flag, *then* looks at the list. A fence stands between the two
//! steps of each, so one of the two sees the other.

use std::collections::BTreeMap;

use crate::error::{Cancelled, TaskError};
use crate::lineage::node::NodeRef;
use crate::names::id::TaskId;
use crate::pool::core::task_meta::Task;
use crate::sync::os::{Mutex, Ordering, fence};

/// The promised tasks that have not begun, the oldest first.
#[derive(Default)]
pub(crate) struct PromisedTasks(Mutex<BTreeMap<TaskId, Promised>>);

struct Promised {
    task: Task,
    /// The task's own node.
    node: NodeRef,
}

impl PromisedTasks {
    /// Lists a task, unless a canceller has claimed it, and returns whether it is listed. The caller looks at the pool's
    /// flags then.
    pub(crate) fn list(&self, task: Task, node: &NodeRef) -> bool {
        let promised = Promised { task, node: node.clone() };
        let mut all = self.0.lock();
        // A canceller claims the task first, and takes it off the list then.
        let listed = promised.task.state().is_unbegun();
        let left = if listed { all.insert(promised.task.id(), promised) } else { Some(promised) };
        drop(all);
        drop(left);
        fence(Ordering::SeqCst);
        listed
    }

    /// Takes a claimed task off the list. The caller has other references to the task and its node, so no user code runs.
    pub(crate) fn unlist(&self, task: &Task) {
        let promised = self.0.lock().remove(&task.id());
        drop(promised);
    }

    /// The same for a claimed task that ends with an error, and whose closure has a reference to its node. A cancel is noted at
    /// the node, for the promise's holder.
    pub(crate) fn unlist_failed(&self, task: &Task, error: &TaskError) {
        let promised = self.0.lock().remove(&task.id());
        if let (Some(promised), Some(reason)) = (&promised, error.as_cancelled().map(Cancelled::reason)) {
            promised.node.node().note_cancel(reason);
        }
        drop(promised);
    }

    /// Returns the listed tasks.
    pub(super) fn all(&self) -> Vec<Task> {
        self.0.lock().values().map(|promised| promised.task.another()).collect()
    }
}
