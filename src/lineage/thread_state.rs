//! [`ThreadState`]: a thread of ours as whoever started it sees it, also before it is a node of the tree.

use std::cell::Cell;
use std::ptr;

use crate::lineage::node::{Node, NodeRef, OnMaterialize, WeakNodeRef};
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicU64, OnceLock, Ordering};
use crate::wait::waker_set::WakerSet;

/// It was asked to stop, and has not declined since.
const CANCEL_REQUESTED: u64 = 1;
/// It became a node, which requests must reach.
const NODE: u64 = 1 << 1;
/// Its code has ended.
const OVER: u64 = 1 << 2;

/// What a thread's handle and the thread share.
pub(crate) struct ThreadState {
    word: AtomicU64,
    /// Weak: a handle keeps nothing alive that the thread owns.
    node: OnceLock<WeakNodeRef>,
    over: WakerSet,
    /// Requests made to the places above are not delivered.
    pub(crate) shielded: bool,
    generation: u64,
}

thread_local! {
    /// The calling thread's own, while its code runs. No destructor, so reading it is one load.
    static MINE: Cell<*const ThreadState> = const { Cell::new(ptr::null()) };
}

/// What a request found.
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
        Arc::new(Self { word: AtomicU64::new(0), node: OnceLock::new(), over: WakerSet::new(), shielded, generation })
    }

    /// The thread is one of the process that this one is a fork of: it does not exist here.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Asks the thread to stop.
    pub(crate) fn cancel(&self) -> Request {
        // One word, so one order: either this sees the node and asks there, or the node's making moves the request
        // there. So it is in one place at a time, and declining it there is the end of it.
        let request_cancel = |word: u64| (word & (NODE | OVER) == 0).then_some(word | CANCEL_REQUESTED);
        let first = match self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, request_cancel) {
            Ok(before) => before & CANCEL_REQUESTED == 0,
            Err(word) if word & OVER != 0 => return Request::TooLate,
            Err(_) => match self.place() {
                Some(place) => place.node().cancel(),
                // Its code is ending.
                None => return Request::TooLate,
            },
        };
        if first { Request::First } else { Request::Again }
    }

    /// True when there was a request.
    fn acknowledge(&self) -> bool {
        self.word.fetch_and(!CANCEL_REQUESTED, Ordering::SeqCst) & CANCEL_REQUESTED != 0
    }

    fn cancel_requested(&self) -> bool {
        self.word.load(Ordering::Acquire) & CANCEL_REQUESTED != 0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.word.load(Ordering::SeqCst) & OVER != 0
    }

    /// Rings when the thread's code has ended.
    pub(crate) fn over(&self) -> &WakerSet {
        &self.over
    }

    /// The thread's node, if it became one and that lives.
    pub(crate) fn place(&self) -> Option<NodeRef> {
        self.node.get()?.upgrade()
    }

    /// Marks the calling thread as this one until the guard is dropped, which is the end of its code.
    pub(crate) fn begin(this: &Arc<Self>) -> RunGuard {
        MINE.set(Arc::as_ptr(this));
        RunGuard(Arc::clone(this))
    }
}

/// See [`ThreadState::begin`].
pub(crate) struct RunGuard(Arc<ThreadState>);

impl Drop for RunGuard {
    fn drop(&mut self) {
        MINE.set(ptr::null());
        self.0.word.fetch_or(OVER, Ordering::SeqCst);
        self.0.over.wake_all();
    }
}

impl OnMaterialize for ThreadState {
    fn materialized(&self, node: &Arc<Node>) {
        let place = NodeRef::from(Arc::clone(node));
        if self.node.set(place.downgrade()).is_err() {
            return;
        }
        self.word.fetch_or(NODE, Ordering::SeqCst);
        // Nobody adds a request here any more.
        if self.acknowledge() {
            place.node().cancel();
        }
    }
}

/// The calling thread's own, if it was started by us.
fn mine<'a>() -> Option<&'a ThreadState> {
    // SAFETY: `RunGuard` holds it, further up this thread's stack, until it clears the pointer.
    unsafe { MINE.get().as_ref() }
}

/// Whether the calling thread itself was asked to stop.
#[inline]
pub(crate) fn cancel_requested() -> bool {
    mine().is_some_and(ThreadState::cancel_requested)
}

/// Declines what was asked of the calling thread itself, as far as it was asked by its handle. True when it was.
pub(crate) fn acknowledge() -> bool {
    mine().is_some_and(ThreadState::acknowledge)
}
