//! [`Work`]: a future or a blocking job that a runtime runs for a place.
//!
//! It is no task of a pool and no node: it stands where it was spawned. What a task's frame is to a task, this is to
//! it: the scopes above count it, its handle asks it to stop, and what it waits for knows whose code waits.
//!
//! # What keeps what alive
//! The runtime's task and the handle hold it; it holds its place. It is counted until its code has ended, however long a
//! handle is kept.

use std::cell::Cell;
use std::ptr;

use crate::lineage::current::CurrentNode;
use crate::lineage::flow::Flow;
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::{Node, NodeRef};
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::wait::tracker::{Left, TaskTracker};
use crate::wait::waker_set::WakerSet;

/// Its handle asked it to stop, and it has not declined since.
const CANCEL_REQUESTED: u64 = 1;
/// The rest of the word counts requests, so that one that repeats another is seen too.
const ONE_REQUEST: u64 = 1 << 1;

/// See the module.
pub(crate) struct Work {
    current_node: CurrentNode,
    /// The scopes at or above the place count it. Cleared by the one call that counts it out.
    counted: AtomicBool,
    requests: AtomicU64,
    requested: WakerSet,
}

/// A scope at or above the place was told to end.
#[derive(Debug)]
pub(crate) struct Closed;

impl Work {
    /// Work for where the code stands, that no scope counts.
    pub(crate) fn uncounted() -> Arc<Self> {
        Arc::new(Self::new(CurrentNode::here(), false))
    }

    /// Work for where the code stands, counted in by every scope at or above it and by the family. Nothing is counted
    /// on an error.
    pub(crate) fn counted() -> Result<Arc<Self>, Closed> {
        let current_node = CurrentNode::here();
        let node = current_node.place().node();
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
        Self {
            current_node,
            counted: AtomicBool::new(counted),
            requests: AtomicU64::new(0),
            requested: WakerSet::new(),
        }
    }

    pub(crate) fn place(&self) -> &NodeRef {
        self.current_node.place()
    }

    /// Counts it out. Runs user code: the end of a scope drops what is bound there, and wakes those who wait.
    pub(crate) fn leave(&self) {
        if self.counted.swap(false, Ordering::AcqRel) {
            let node = self.place().node();
            leave_scopes(node, usize::MAX);
            if let Some(family) = of_family(node) {
                leave_tracker(family);
            }
        }
    }

    /// Asks it to stop. True for the first request since it declined one.
    pub(crate) fn request_cancel(&self) -> bool {
        let request_cancel = |word: u64| Some((word | CANCEL_REQUESTED).wrapping_add(ONE_REQUEST));
        let before = match self.requests.fetch_update(Ordering::SeqCst, Ordering::Relaxed, request_cancel) {
            Ok(before) | Err(before) => before,
        };
        self.requested.wake_all();
        before & CANCEL_REQUESTED == 0
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        self.requests.load(Ordering::SeqCst) & CANCEL_REQUESTED != 0
    }

    /// How often it was asked to stop.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst) / ONE_REQUEST
    }

    /// Declines what its handle asked. True when there was a request.
    pub(crate) fn acknowledge(&self) -> bool {
        self.requests.fetch_and(!CANCEL_REQUESTED, Ordering::SeqCst) & CANCEL_REQUESTED != 0
    }

    /// Rings with each request.
    pub(crate) fn waker_set(&self) -> &WakerSet {
        &self.requested
    }

    /// It, or its place, was asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel_requested() || self.place().node().is_cancelled()
    }

    /// Runs a part of it on the calling thread, standing where it stands.
    pub(crate) fn run<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> R {
        struct Restore(*const WorkFrame<'static>);
        impl Drop for Restore {
            fn drop(&mut self) {
                INNERMOST.set(self.0);
            }
        }
        let frame = WorkFrame { work: self, flow: Flow::now(), outer: INNERMOST.get() };
        let _restore = Restore(frame.outer);
        INNERMOST.set(ptr::from_ref(&frame).cast());
        let _guard = ExitOnDrop(Some(self.current_node.enter()));
        f()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Where the runtime never took it.
        self.leave();
    }
}

/// Counts one out of so many of the scopes at or above a node, the innermost first.
fn leave_scopes(node: &Node, many: usize) {
    for (node, scope) in node.scope_nodes().take(many) {
        if let Left::Last { notify } = scope.joining.leave() {
            // Ended first, so that whoever waits for the count finds the scope's values gone.
            node.end_if_over();
            if notify {
                scope.joining.notify();
            }
        }
    }
}

fn leave_tracker(tracker: &TaskTracker) {
    if let Left::Last { notify: true } = tracker.leave() {
        tracker.notify();
    }
}

/// The family's count of work below scopes. What stands outside of any scope nothing ends, so nothing waits for it.
fn of_family(node: &Node) -> Option<&TaskTracker> {
    node.scopes().next().map(|_| &node.family().index().spawned)
}

/// A part of some work that runs on this thread. The list lives in the stack frames themselves.
struct WorkFrame<'a> {
    work: &'a Arc<Work>,
    flow: Flow,
    outer: *const WorkFrame<'static>,
}

thread_local! {
    static INNERMOST: Cell<*const WorkFrame<'static>> = const { Cell::new(ptr::null()) };
}

/// All work whose code is on the calling thread's stack, innermost first.
fn frames<'a>() -> impl Iterator<Item = &'a WorkFrame<'a>> {
    // SAFETY: each is further up this thread's stack, in a call of `run` that has not returned; a caller is above it
    // and keeps the reference no longer than it runs.
    let frame = |at: *const WorkFrame<'static>| unsafe { at.cast::<WorkFrame<'a>>().as_ref() };
    std::iter::successors(frame(INNERMOST.get()), move |inner| frame(inner.outer))
}

/// The work that the calling code is.
#[inline]
pub(crate) fn own<'a>() -> Option<&'a Arc<Work>> {
    if INNERMOST.get().is_null() {
        return None;
    }
    let flow = Flow::now();
    frames().find(|frame| frame.flow == flow).map(|frame| frame.work)
}

/// All work on the calling thread's stack that is counted, innermost first.
pub(crate) fn all<'a>() -> impl Iterator<Item = &'a Arc<Work>> {
    frames().map(|frame| frame.work).filter(|work| work.counted.load(Ordering::Acquire))
}

/// The trackers that count work on the calling thread's stack, by their addresses.
pub(crate) fn trackers<'a>() -> impl Iterator<Item = usize> + use<'a> {
    all().flat_map(|work: &'a Arc<Work>| {
        let node = work.place().node();
        let scopes = node.scopes().map(|scope| scope.joining.address());
        scopes.chain(of_family(node).map(TaskTracker::address))
    })
}

/// Whether work on the calling thread's stack is counted at the node.
pub(crate) fn is_below(node: &Node) -> bool {
    all().any(|work| work.place().node().is_at_or_below(node))
}
