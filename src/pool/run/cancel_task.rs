//! Cancelling one task, for its handle and for its deadline.

use crate::error::{CancelReason, TaskError};
use crate::pool::cancelled_tasks;
use crate::pool::core::task_meta::Task;
use crate::pool::core::{cause, claimed};
use crate::pool::run::evict;
use crate::sync::fork;
use crate::task::state::CancelRequest;

/// Cancels the task, unless this is a fork's child, where the task is the parent's. Runs user code: wakers, the drop of a closure.
pub(crate) fn cancel(task: &Task, reason: CancelReason) -> CancelRequest {
    if fork::is_fork() {
        return CancelRequest::TooLate;
    }
    let (outcome, claimed) = task.cancel(reason);
    if let Some(claimed) = claimed
        && let Some((pool, meta)) = claimed::take(&claimed)
    {
        let error = TaskError::cancelled(task.id(), &pool.namespace, cause::at_task(task, reason));
        evict::end_unrun(&pool, claimed, meta, error);
    }
    if outcome == CancelRequest::Requested {
        cancelled_tasks::note(task.another());
    }
    outcome
}
