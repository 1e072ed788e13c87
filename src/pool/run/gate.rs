//! Running a task's body under the gate of its pool.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::TaskError;
use crate::pool::config::gate::{Denied, Gated};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, TaskMeta};
use crate::sync::unwind::swallow;
use crate::task::cell::{Claimed, Payload};

/// What came of a task's body.
pub(super) enum Outcome {
    Value,
    /// A value, of a task that was told to stop.
    Interrupted,
    Panic(Payload),
    /// It was never run; the task has its error.
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

/// Runs a task's body when it is let in. Called within the task's frame, standing where the task stands: what is
/// held is held by the task. One that is not let in is given its error and loses its closure here, as a part of
/// itself.
pub(super) fn run(gated: &Gated, pool: &Pool, claimed: &Claimed<TaskMeta>, counted: &Counted) -> Outcome {
    let mut ran = None;
    let mut body = || {
        // It may have been cancelled while it waited, and has not started. Waiting made it a node, which is asked
        // then.
        let task = claimed.task();
        let asked = task.state().cancel_requested() || task.node().is_some_and(|own| own.node().cancel_requested());
        if !asked && !pool.drops(counted) {
            ran = Some(claimed.run());
        }
    };
    // To find the gate may run a user's code, which may panic.
    let let_in = catch_unwind(AssertUnwindSafe(|| gated.key.let_in(gated.mode, &mut body)));
    if let Some(ran) = ran {
        return ran.into();
    }
    let (id, namespace) = (claimed.task().id(), &pool.namespace);
    let error = match let_in {
        Ok(Ok(())) => TaskError::cancelled(id, namespace),
        Ok(Err(Denied::Busy(busy))) if busy.cancelled => TaskError::cancelled(id, namespace),
        Ok(Err(Denied::Busy(busy))) => TaskError::busy(id, namespace, busy),
        Ok(Err(Denied::Missing(missing))) => TaskError::gate_missing(id, namespace, missing),
        Err(payload) => {
            claimed.drop_closure();
            return Outcome::Panic(payload);
        }
    };
    report(&error);
    claimed.fail(error);
    Outcome::Unrun
}

/// Says once that a task was not let in. It is nobody's fault in the code, so there is no trace.
fn report(error: &TaskError) {
    if error.is_cancelled() {
        return;
    }
    let holder = error.as_busy().map(|busy| &busy.holder);
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
