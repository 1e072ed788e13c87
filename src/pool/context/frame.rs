//! [`Frame`]: one task on a thread's stack.

use std::cell::Cell;
use std::iter;
use std::ptr;

use crate::lineage::flow::Flow;
use crate::lineage::node::{Node, NodeRef, OnMaterialize};
use crate::pool::config::kind::PoolKind;
use crate::pool::core::held_permits::InWait;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, Task, TaskMeta};
use crate::pool::core::task_nodes::{self, NodeKey};
use crate::sync::os::Arc;
use crate::task::claimed::Claimed;

/// The frames with a permit, from the innermost frame outwards.
pub(crate) fn bringers<'a>(inner: Option<&'a Frame<'a>>) -> impl Iterator<Item = &'a Frame<'a>> {
    inner.into_iter().flat_map(Frame::bringers)
}

/// The permit that a task runs with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    /// The permit of an outer frame, which waits for the task.
    Nothing,
    Permit,
    /// A permit, on the thread of a joiner that works for another pool or for none.
    PermitToJoiner,
}

/// One task that the calling thread runs, in the stack frame that runs it.
///
/// A task has one frame, from its start until it is counted out; a task that never starts has one for its teardown. The
/// frame is on the thread's list while user code of the task runs: its body, and then the code of its teardown.
///
/// The frames of a thread are a list from the innermost outwards. A frame borrows the frames around it, and the pool instead
/// of counting it: the workers of a busy pool would fight over the count.
pub(crate) struct Frame<'a> {
    outer: Option<&'a Frame<'a>>,
    /// The nearest outer frame with a permit. Spares code about permits a walk over a deep stack.
    outer_bringer: Option<&'a Frame<'a>>,
    pool: &'a Arc<Pool>,
    /// The task, until its body has returned. `None` in the teardown: the drop of the closure or the result, the wakers,
    /// the end of scopes.
    pub(crate) claimed: Option<Claimed<TaskMeta>>,
    /// The flow that the task is in. A future that a runtime polls within the task is in another one.
    pub(crate) flow: Flow,
    /// The counts that the task is in. See also [`Pool::standing`].
    pub(crate) counted: Counted,
    /// The number of outer frames.
    pub(crate) depth: u32,
    /// The task brought a permit of its own to the thread, which a wait may release. A task that a join runs in place uses
    /// the joiner's permit.
    pub(crate) brings_permit: bool,
    /// A joiner lends its thread to the task. The frames further out belong to code that waits for the task, as if on another
    /// thread.
    is_lent: bool,
    /// The thread is a dedicated pool's.
    pub(crate) on_dedicated: bool,
    /// Tasks that this thread finished before and has not counted out of the pool yet.
    pub(crate) owed: u64,
    /// The state of the permit in the task's wait, if there is one.
    pub(crate) wait: Cell<InWait>,
    /// The number of the frame's code; 0 until its first use. See [`Code`](super::code::Code).
    pub(crate) code: Cell<u64>,
    /// The code was handed the task's cancel request. See [`interrupted`](super::interrupted).
    pub(crate) interrupted: Cell<bool>,
    /// Set when the task has a node.
    pub(super) node_key: Cell<Option<NodeKey>>,
}

impl<'a> Frame<'a> {
    /// The frame of a task that starts; `claimed` is `None` for a task that never starts. `inner` is the thread's innermost
    /// frame.
    pub(super) fn new(
        inner: Option<&'a Frame<'a>>,
        pool: &'a Arc<Pool>,
        claimed: Option<Claimed<TaskMeta>>,
        counted: Counted,
        brings: Brings,
        owed: u64,
    ) -> Self {
        let brings_permit = brings != Brings::Nothing;
        let (depth, outer_bringer, on_dedicated) = match inner {
            Some(frame) => (frame.depth.saturating_add(1), frame.bringer(), frame.on_dedicated),
            None => (0, None, pool.config.kind == PoolKind::Dedicated && brings_permit),
        };
        Self {
            outer: inner,
            outer_bringer,
            pool,
            claimed,
            flow: Flow::now(),
            counted,
            depth,
            brings_permit,
            is_lent: brings == Brings::PermitToJoiner,
            on_dedicated,
            owed,
            wait: Cell::new(InWait::No),
            code: Cell::new(0),
            interrupted: Cell::new(false),
            node_key: Cell::new(None),
        }
    }

    /// Returns whether the running code is the task's teardown, and not its body.
    pub(crate) fn is_teardown(&self) -> bool {
        self.claimed.is_none()
    }

    /// The nearest frame with a permit, from this one outwards.
    fn bringer(&self) -> Option<&Frame<'a>> {
        if self.brings_permit { Some(self) } else { self.outer_bringer }
    }

    /// The frame and its outer frames.
    pub(crate) fn outwards(&self) -> impl Iterator<Item = &Frame<'a>> {
        iter::successors(Some(self), |frame| frame.outer)
    }

    /// The frame and its outer frames, up to the task that a joiner lends its thread to.
    pub(crate) fn outwards_to_joiner(&self) -> impl Iterator<Item = &Frame<'a>> {
        iter::successors(Some(self), |frame| frame.outer.filter(|_| !frame.is_lent))
    }

    /// The frames with a permit, from this frame outwards. They are few, also on a deep stack.
    pub(crate) fn bringers(&self) -> impl Iterator<Item = &Frame<'a>> {
        iter::successors(self.bringer(), |frame| frame.outer_bringer)
    }

    /// The task's pool.
    #[inline]
    pub(crate) fn pool(&self) -> &'a Arc<Pool> {
        self.pool
    }

    /// The running task; `None` in the teardown.
    pub(crate) fn task(&self) -> Option<&Task> {
        self.claimed.as_ref().map(Claimed::task)
    }

    /// The address of the task, to compare.
    pub(crate) fn task_address(&self) -> Option<*const ()> {
        self.task().map(Task::address)
    }

    /// Returns whether the frame's task is one of the pool.
    #[inline]
    pub(crate) fn is_of(&self, pool: *const Pool) -> bool {
        ptr::eq(Arc::as_ptr(self.pool()), pool)
    }

    /// Returns whether the task or its whole pool is cancelled. Requests at nodes are not looked at.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        (!self.steals() && self.task().is_some_and(|task| task.state().cancel_requested()))
            || self.pool().is_cancelled()
    }

    /// Returns whether the running code may be a stolen piece of another task of the pool.
    #[inline]
    pub(crate) fn steals(&self) -> bool {
        self.pool().config.steals()
    }
}

impl OnMaterialize for Frame<'_> {
    fn materialized(&self, node: &Arc<Node>) {
        let node = NodeRef::from(Arc::clone(node));
        if let Some(task) = self.task() {
            task.materialized(&node);
        }
        self.node_key.set(Some(task_nodes::note_node(self.pool(), &node)));
    }
}
