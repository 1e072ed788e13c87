//! Running a task's body under the gate of its pool.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Cancelled, TaskError};
use crate::pool::config::gate::{Denied, Gated};
use crate::pool::context::interrupted;
use crate::pool::core::cause;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, TaskMeta};
use crate::sync::unwind::swallow;
use crate::task::cell::Payload;
use crate::task::claimed::Claimed;

/// How a task's body ended.
pub(super) enum Outcome {
    Value,
    /// A value, of a task that was cancelled meanwhile.
    Interrupted,
    Panic(Payload),
    /// The body never ran; the task has its error.
    Unrun,
}

impl From<Result<(), Payload>> for Outcome {
    fn from(ran: Result<(), Payload>) -> Self {
        match ran {
            Ok(()) => Self::Value,
            Err(payload) => Self::Panic(payload),
        }
    }
}

/// Runs a task's body once it holds the gate. Called within the task's frame, at the task's node, so the task is the
/// gate's holder. A task that does not enter gets its error and loses its closure here, as a part of itself.
pub(super) fn run(gated: &Gated, pool: &Pool, claimed: &Claimed<TaskMeta>, counted: &Counted) -> Outcome {
    let mut ran = None;
    let mut body = || {
        // The task may have been cancelled while it waited for the gate, and has not started. The wait made it a node,
        // and a cancel of a node sets the node's own request.
        let task = claimed.task();
        let asked = task.state().cancel_requested() || task.node().is_some_and(|own| own.node().cancel_requested());
        if !asked && !pool.drops(counted) {
            ran = Some(claimed.run());
        }
    };
    // The look-up of the gate may run user code, which may panic.
    let let_in = catch_unwind(AssertUnwindSafe(|| gated.key.let_in(gated.mode, &mut body)));
    if let Some(ran) = ran {
        return ran.into();
    }
    let (id, namespace) = (claimed.task().id(), &pool.namespace);
    let error = match let_in {
        Ok(Ok(())) => TaskError::cancelled(id, namespace, cause(pool, counted)),
        Ok(Err(Denied::Busy(busy))) if busy.cancelled.is_some() => {
            TaskError::cancelled(id, namespace, cause(pool, counted))
        }
        Ok(Err(Denied::Busy(busy))) => TaskError::busy(id, namespace, busy),
        Ok(Err(Denied::Missing(missing))) => TaskError::gate_missing(id, namespace, missing),
        Err(payload) => {
            claimed.drop_stage();
            return Outcome::Panic(payload);
        }
    };
    report(&error);
    claimed.fail(error);
    Outcome::Unrun
}

/// The request that keeps the running task from its gate.
#[cold]
fn cause(pool: &Pool, counted: &Counted) -> Cancelled {
    match interrupted::cancel_requested() {
        true => interrupted::cause(),
        false => cause::of_counted(pool, counted),
    }
}

/// Logs that a task did not enter its gate. No code is at fault, so there is no backtrace.
fn report(error: &TaskError) {
    if error.is_cancelled() {
        return;
    }
    let holder = error.as_busy().map(|busy| &*busy.holder);
    swallow(|| {
        tracing::warn!(
            target: "heirloom",
            namespace = %error.namespace(),
            task_id = error.id().as_u64(),
            holder = holder.map(tracing::field::display),
            "{error}",
        );
    });
}
