//! Running the code of a task with its frame on the thread's list.

use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::NodeRef;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{with_frame, with_innermost};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, TaskMeta};
use crate::sync::os::Arc;
use crate::task::claimed::Claimed;

/// Runs `f` with the frame of a task. Returns its result, with the task's counts.
#[inline]
pub(crate) fn task<R>(
    pool: &Arc<Pool>,
    claimed: &Claimed<TaskMeta>,
    counted: Counted,
    brings_permit: bool,
    owed: u64,
    f: impl FnOnce(&Frame<'_>) -> R,
) -> (R, Counted) {
    with_innermost(|inner| {
        let frame = Frame::new(inner, pool, Some(claimed), counted, brings_permit, owed);
        let out = with_frame(&frame, || f(&frame));
        if let Some(node_key) = frame.node_key.take() {
            pool.forget_node(node_key);
        }
        (out, frame.counted)
    })
}

/// Runs the cleanup of a task as a part of the task. A wait there releases the permit, and knows its task.
pub(crate) fn teardown(pool: &Arc<Pool>, counted: Counted, brings_permit: bool, owed: u64, f: &mut dyn FnMut()) {
    let node = counted.place.clone();
    cleanup(pool, &node, counted, brings_permit, owed, f);
}

/// Runs cleanup that stands at the process: wakers, the end of scopes.
pub(crate) fn teardown_nowhere(pool: &Arc<Pool>, counted: Counted, brings: bool, owed: u64, f: &mut dyn FnMut()) {
    cleanup(pool, &NodeRef::PROCESS, counted, brings, owed, f);
}

fn cleanup(pool: &Arc<Pool>, at: &NodeRef, counted: Counted, brings_permit: bool, owed: u64, f: &mut dyn FnMut()) {
    with_innermost(|inner| {
        let frame = Frame::new(inner, pool, None, counted, brings_permit, owed);
        with_frame(&frame, || {
            let guard = ExitOnDrop(Some(current::enter(pool.standing(at), LazyNode::Nothing)));
            f();
            drop(guard);
        });
    });
}
