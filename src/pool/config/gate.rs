//! [`Gated`]: what must let a pool's tasks in before their bodies run, and how it is asked.
//!
//! The engine does not know what a gate is (it is a layer below): it knows [`Admission`], which runs a body when it
//! may.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::ptr;

use crate::error::TaskError;
use crate::error::busy::Busy;
use crate::pool::core::pool::{Counted, Pool, TaskMeta};
use crate::pool::run::worker::Outcome;
use crate::sync::unwind::swallow;
use crate::task::cell::Claimed;

/// Whether code runs under a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateMode {
    /// Under the nearest one that is bound at the place where the code stands or above it; without any where none is.
    IfPresent,
    /// Never: for what may be done while another is in, such as reading a status. If it goes in by itself while another
    /// is in, that is [`Busy`] like anybody else's.
    Skip,
    /// Under the nearest one; where none is bound, that is an error.
    Require,
}

/// Lets a body run, or not.
pub(crate) trait Admission: Sync {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Runs the body, at most once, where the calling code stands.
    fn let_in(&self, mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied>;
}

/// Why a body was not run.
#[derive(Debug)]
pub(crate) enum Denied {
    Busy(Busy),
    /// None is bound where the task stands, which the error says.
    Missing(Box<dyn Error + Send + Sync>),
}

/// The setting of a pool. Two are the same when key and mode are.
#[derive(Clone, Copy)]
pub(crate) struct Gated {
    pub(crate) key: &'static dyn Admission,
    pub(crate) mode: GateMode,
}

impl Gated {
    /// Runs a task's body when it is let in. Called within the task's frame, standing where the task stands: what is
    /// held is held by the task. One that is not let in is given its error and loses its closure here, as a part of
    /// itself.
    pub(crate) fn run(&self, pool: &Pool, claimed: &Claimed<TaskMeta>, counted: &Counted) -> Outcome {
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
        let let_in = catch_unwind(AssertUnwindSafe(|| self.key.let_in(self.mode, &mut body)));
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

impl PartialEq for Gated {
    fn eq(&self, other: &Self) -> bool {
        ptr::addr_eq(self.key, other.key) && self.mode == other.mode
    }
}

impl Eq for Gated {}

// A setting: nothing in it changes.
impl UnwindSafe for Gated {}
impl RefUnwindSafe for Gated {}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gated").field(&self.key.name()).field(&self.mode).finish()
    }
}
