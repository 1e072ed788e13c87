//! Running the code of a task with its frame on the thread's list.

use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::NodeRef;
use crate::pool::context::frame::{Brings, Frame};
use crate::pool::context::thread::{with_frame, with_innermost};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, TaskMeta};
use crate::pool::core::task_nodes;
use crate::sync::os::Arc;
use crate::task::claimed::Claimed;

/// Passes on the frame of a task that starts; `claimed` is `None` for a task that never starts.
#[inline]
pub(crate) fn with_new_frame<R>(
    pool: &Arc<Pool>,
    claimed: Option<Claimed<TaskMeta>>,
    counted: Counted,
    brings: Brings,
    owed: u64,
    f: impl FnOnce(&mut Frame<'_>) -> R,
) -> R {
    with_innermost(|inner| f(&mut Frame::new(inner, pool, claimed, counted, brings, owed)))
}

/// Runs the body of the frame's task.
#[inline]
pub(crate) fn body<R>(frame: &Frame<'_>, f: impl FnOnce() -> R) -> R {
    let out = with_frame(frame, f);
    if let Some(node_key) = frame.node_key.take() {
        task_nodes::forget_node(frame.pool(), node_key);
    }
    out
}

/// Runs user code of the teardown at the node, as a part of the task. A wait there releases the permit.
pub(crate) fn teardown(frame: &Frame<'_>, at: &NodeRef, f: impl FnOnce()) {
    // The code is not that of the body, nor of the teardown before.
    frame.code.set(0);
    with_frame(frame, || {
        let guard = ExitOnDrop(Some(current::enter(frame.pool().standing(at), LazyNode::Nothing)));
        f();
        drop(guard);
    });
}
