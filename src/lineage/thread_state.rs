//! [`ThreadState`]: a thread of this crate as its handle sees it, also before the thread is a node.

use crate::error::{CancelReason, Cancelled};
use crate::lineage::cancel_word::{CANCEL_REQUESTED, CancelWord};
use crate::lineage::locals::LOCALS;
use crate::lineage::node::{Node, NodeRef, OnMaterialize, WeakNodeRef};
use crate::names::label::Printed;
use crate::sync::fork;
use crate::sync::os::{Arc, OnceLock, Ordering};
use crate::wait::waker_set::WakerSet;

/// The thread became a node, to which requests go from now on.
const NODE: u64 = 1 << 1;
/// The thread's code has ended.
const ENDED: u64 = 1 << 2;

/// The state that a thread shares with its handle.
pub(crate) struct ThreadState {
    word: CancelWord,
    /// Weak: a handle keeps nothing alive that the thread owns.
    node: OnceLock<WeakNodeRef>,
    over: WakerSet,
    /// No cancel request of the nodes above reaches the thread.
    pub(crate) shielded: bool,
    generation: u64,
}

/// The outcome of a cancel request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    First,
    Again,
    TooLate,
}

impl ThreadState {
    pub(crate) fn new(shielded: bool) -> Arc<Self> {
        fork::arm();
        let generation = fork::generation();
        Arc::new(Self { word: CancelWord::new(), node: OnceLock::new(), over: WakerSet::new(), shielded, generation })
    }

    /// Returns whether the thread exists only in the process from which this one was forked.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Cancels the thread. Runs user code if the thread is a node: wakers, drops of closures.
    pub(crate) fn cancel(&self) -> Request {
        // One word, so one order: either this sees the node and cancels it, or the node's making moves the request
        // there. So a request is in one word at a time, and its acknowledgement there withdraws it for good.
        let request_cancel = |word: u64| (word & (NODE | ENDED) == 0).then_some(word | CANCEL_REQUESTED);
        let first = match self.word.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, request_cancel) {
            Ok(before) => before & CANCEL_REQUESTED == 0,
            Err(word) if word & ENDED != 0 => return Request::TooLate,
            Err(_) => match self.node() {
                Some(node) => node.node().cancel(CancelReason::Request),
                // The node is dropped while the thread's code ends.
                None => return Request::TooLate,
            },
        };
        if first { Request::First } else { Request::Again }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.word.0.load(Ordering::SeqCst) & ENDED != 0
    }

    /// Returns the wakers that are notified when the thread's code has ended.
    pub(crate) fn over(&self) -> &WakerSet {
        &self.over
    }

    /// Returns the thread's node, while it lives.
    pub(crate) fn node(&self) -> Option<NodeRef> {
        self.node.get()?.upgrade()
    }

    /// Marks the calling thread as this one. The guard's drop is the end of the thread's code.
    pub(crate) fn begin(this: &Arc<Self>) -> RunGuard {
        LOCALS.with(|locals| locals.thread.set(Arc::as_ptr(this)));
        RunGuard(Arc::clone(this))
    }
}

/// Ends a thread's code when it is dropped; made by [`ThreadState::begin`].
pub(crate) struct RunGuard(Arc<ThreadState>);

impl Drop for RunGuard {
    fn drop(&mut self) {
        LOCALS.with(|locals| locals.thread.set(std::ptr::null::<ThreadState>()));
        self.0.word.0.fetch_or(ENDED, Ordering::SeqCst);
        self.0.over.wake_all();
    }
}

impl OnMaterialize for ThreadState {
    fn materialized(&self, node: &Arc<Node>) {
        let node = NodeRef::from(Arc::clone(node));
        if self.node.set(node.downgrade()).is_err() {
            return;
        }
        self.word.0.fetch_or(NODE, Ordering::SeqCst);
        // From here on no canceller notes a request in the word.
        if self.word.acknowledge(0) {
            node.node().cancel(CancelReason::Request);
        }
    }
}

/// Lends the calling thread's state to `f`, unless this crate did not start the thread.
#[inline]
fn with_own(f: impl FnOnce(&ThreadState) -> bool) -> bool {
    let own = LOCALS.with(|locals| locals.thread.get::<ThreadState>());
    // SAFETY: `begin` set the pointer, and the `RunGuard` that holds the state is further up this thread's stack: its
    // drop clears the pointer, and cannot run before `f` has returned.
    unsafe { own.as_ref() }.is_some_and(f)
}

/// Returns whether the calling thread was itself cancelled by its handle.
#[inline]
pub(crate) fn cancel_requested() -> bool {
    with_own(|state| state.word.requested())
}

/// Returns the request of the calling thread's handle, with the thread as its place.
#[cold]
pub(crate) fn cause() -> Option<Cancelled> {
    let thread = || match std::thread::current().name() {
        Some(name) => format!("thread {:?}", Printed(name)),
        None => String::from("thread"),
    };
    cancel_requested().then(|| Cancelled::new(CancelReason::Request, thread()))
}

/// Acknowledges the request that the calling thread's handle made. True when there was one.
pub(crate) fn acknowledge() -> bool {
    with_own(|state| state.word.acknowledge(0))
}
