//! The initialiser of a worker: its run before the first task, and the end of its effects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::task::payload_text;
use crate::error::worker_init::Said;
use crate::lineage::node::WeakNodeRef;
use crate::pool::config::worker_ctx::{Failure, Hook, WorkerCtx};
use crate::pool::context::thread::{WorkerPurpose, while_initialising};
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::here::{replace, worker};
use crate::pool::kinds::dedicated::state;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow_drop;
use crate::threads::job::ThreadInfo;

/// Makes the calling thread a worker of the pool, with a node.
pub(super) fn attach(pool: &Pool, below: &WeakNodeRef, info: &ThreadInfo) {
    replace(Some(WorkerCtx::here(pool.namespace.clone(), info.number(), pool.owner.clone(), below.clone())));
}

/// Runs the initialiser, at the thread's node.
pub(super) fn initialise(
    pool: &Arc<Pool>,
    hook: &Hook,
    info: &Arc<ThreadInfo>,
    purpose: WorkerPurpose,
) -> Result<(), Failure> {
    let Some(ctx) = worker() else { return Err(Box::new(Said("its thread is ending".into()))) };
    let guard = ctx.enter();
    let out = while_initialising(pool, info, purpose, || catch_unwind(AssertUnwindSafe(|| hook.run(&ctx))));
    fork::end_of(&|| format!("the initialiser of a worker of \"{}\"", pool.namespace), out.is_err());
    drop(guard);
    out.unwrap_or_else(|payload| {
        let text = payload_text(payload.as_ref()).unwrap_or("(a payload that is no text)").to_string();
        swallow_drop(payload);
        Err(Box::new(Said(format!("it panicked: {text}"))))
    })
}

/// Ends the calling thread's part in its pool, and drops the thread's state and the values bound to its node: user
/// code.
pub(super) fn detach() {
    state::end();
    if let Some(ctx) = replace(None) {
        ctx.end();
    }
}
