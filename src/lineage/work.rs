//! [`Work`]: a future or a blocking job that a runtime runs for a node.
//!
//! It is no task of a pool and no node: it stands at the node where it was spawned. It serves a runtime's code as a
//! frame serves a task: the scopes above count it, its handle cancels it, and a wait knows whose code waits.
//!
//! # Lifetime
//! The runtime's task and the handle hold the work, and the work holds its node. The scopes count it until its code has
//! ended, however long a handle is kept.

use std::marker::PhantomData;
use std::ptr;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::cancel_word::CancelWord;
use crate::lineage::current::CurrentNode;
use crate::lineage::flow::Flow;
use crate::lineage::handle::run_at;
use crate::lineage::locals::LOCALS;
use crate::lineage::node::{Node, NodeRef};
use crate::sync::os::{Arc, AtomicBool, Ordering};
use crate::wait::tracker::{Left, TaskTracker};
use crate::wait::waker_set::WakerSet;

/// See the module.
pub(crate) struct Work {
    current_node: CurrentNode,
    /// The scopes at or above the node count the work. Cleared by the one call that counts it out.
    counted: AtomicBool,
    word: CancelWord,
    requested: WakerSet,
}

/// A scope at or above the node is closed.
#[derive(Debug)]
pub(crate) struct Closed;

impl Work {
    /// Makes work at the current node that no scope counts.
    pub(crate) fn uncounted() -> Arc<Self> {
        Arc::new(Self::new(CurrentNode::here(), false))
    }

    /// Makes work at the current node, counted by its scopes and by the family.
    ///
    /// An error leaves no count behind. Runs user code in that case: the ends of scopes.
    pub(crate) fn counted() -> Result<Arc<Self>, Closed> {
        let current_node = CurrentNode::here();
        let node = current_node.node().node();
        for (entered, scope) in node.scopes().enumerate() {
            if scope.joining.enter().is_err() {
                leave_scopes(node, entered);
                return Err(Closed);
            }
        }
        if let Some(family) = of_family(node) {
            // A family is never closed.
            let _ = family.enter();
        }
        Ok(Arc::new(Self::new(current_node, true)))
    }

    fn new(current_node: CurrentNode, counted: bool) -> Self {
        Self { current_node, counted: AtomicBool::new(counted), word: CancelWord::new(), requested: WakerSet::new() }
    }

    pub(crate) fn node_ref(&self) -> &NodeRef {
        self.current_node.node()
    }

    fn node(&self) -> &Node {
        self.node_ref().node()
    }

    /// Counts the work out. Runs user code: the end of a scope drops its bindings and wakes its waiters.
    pub(crate) fn leave(&self) {
        if self.counted.swap(false, Ordering::AcqRel) {
            leave_scopes(self.node(), usize::MAX);
            if let Some(family) = of_family(self.node())
                && let Left::Last { notify: true } = family.leave()
            {
                family.notify();
            }
        }
    }

    /// Cancels the work. True when no earlier request is unacknowledged. Runs wakers.
    pub(crate) fn request_cancel(&self) -> bool {
        let first = self.word.request(CancelReason::Request);
        self.requested.wake_all();
        first
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        self.word.requested()
    }

    /// Returns the handle's request, with the work as its place.
    #[cold]
    pub(crate) fn cause(&self) -> Option<Cancelled> {
        let at = format_args!("work spawned at {}", self.node());
        self.word.reason().map(|reason| Cancelled::new(reason, at))
    }

    /// Returns the nearest request that reaches the work: the handle's, or one of its node's.
    #[cold]
    pub(crate) fn nearest_cause(&self) -> Option<Cancelled> {
        self.cause().or_else(|| self.node().cause())
    }

    /// Returns how many requests the handle has made.
    pub(crate) fn requests(&self) -> u64 {
        self.word.requests()
    }

    /// Clears the handle's request. True when there was one.
    pub(crate) fn acknowledge(&self) -> bool {
        self.word.acknowledge(0)
    }

    /// Returns the wakers that each request notifies.
    pub(crate) fn waker_set(&self) -> &WakerSet {
        &self.requested
    }

    /// Returns whether the work or its node is cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel_requested() || self.node().is_cancelled()
    }

    /// Runs a part of the work on the calling thread, at the work's node.
    pub(crate) fn run<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> R {
        struct Restore(*const WorkFrame<'static>);
        impl Drop for Restore {
            fn drop(&mut self) {
                LOCALS.with(|locals| locals.work.set(self.0));
            }
        }
        let outer = LOCALS.with(|locals| locals.work.get());
        let frame = WorkFrame { work: self, flow: Flow::now(), outer };
        let _restore = Restore(outer);
        LOCALS.with(|locals| locals.work.set(ptr::from_ref(&frame)));
        run_at(&self.current_node, f)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // For work that its runtime has never taken.
        self.leave();
    }
}

/// Counts one out of the `many` innermost scopes at or above a node.
fn leave_scopes(node: &Node, many: usize) {
    for (node, scope) in node.scope_nodes().take(many) {
        if let Left::Last { notify } = scope.joining.leave() {
            // Ended before it notifies, so that a waiter for the count finds the scope's values dropped.
            node.end_if_over();
            if notify {
                scope.joining.notify();
            }
        }
    }
}

/// Returns the family's count of work below scopes. Work outside of any scope is never waited for, so it is not
/// counted.
fn of_family(node: &Node) -> Option<&TaskTracker> {
    node.scopes().next().map(|_| &node.family().index().spawned)
}

/// A part of some work that runs on this thread. The list is in the stack frames themselves.
struct WorkFrame<'a> {
    work: &'a Arc<Work>,
    flow: Flow,
    outer: *const WorkFrame<'static>,
}

/// The frames on the calling thread's stack, innermost first, while a [`with_frames`] runs.
struct Frames<'a> {
    next: *const WorkFrame<'static>,
    alive: PhantomData<&'a WorkFrame<'a>>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a WorkFrame<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: each frame is further up this thread's stack, in a `Work::run` that returns after the `with_frames`
        // that made this iterator for its own time alone. The cast gives the frame that time for a lifetime.
        let frame = unsafe { self.next.cast::<WorkFrame<'a>>().as_ref() }?;
        self.next = frame.outer;
        Some(frame)
    }
}

/// Lends the frames on the calling thread's stack to `f`.
fn with_frames<R>(f: impl for<'a> FnOnce(Frames<'a>) -> R) -> R {
    f(Frames { next: LOCALS.with(|locals| locals.work.get()), alive: PhantomData })
}

/// Lends the work that the running code belongs to. `None` when it belongs to none.
#[inline]
pub(crate) fn with_own<R>(f: impl FnOnce(&Arc<Work>) -> R) -> Option<R> {
    if LOCALS.with(|locals| locals.work.get::<WorkFrame<'_>>()).is_null() {
        return None;
    }
    let flow = Flow::now();
    with_frames(|mut frames| frames.find(|frame| frame.flow == flow).map(|frame| f(frame.work)))
}

/// Calls `f` with the counted work on the calling thread's stack, innermost first.
pub(crate) fn for_each(mut f: impl FnMut(&Work)) {
    with_frames(|frames| {
        let counted = frames.filter(|frame| frame.work.counted.load(Ordering::Acquire));
        counted.for_each(|frame| f(frame.work));
    });
}

/// Calls `f` with the address of each tracker that counts this thread's work.
pub(crate) fn for_each_tracker(mut f: impl FnMut(usize)) {
    for_each(|work| {
        work.node().scopes().for_each(|scope| f(scope.joining.address()));
        of_family(work.node()).into_iter().for_each(|family| f(family.address()));
    });
}

/// Returns whether work on the calling thread's stack is counted at the node.
pub(crate) fn is_below(node: &Node) -> bool {
    let mut below = false;
    for_each(|work| below |= work.node().is_at_or_below(node));
    below
}
