//! [`Frame`]: which tasks are on the calling thread's own stack, innermost first.
//!
//! The list lives in the stack frames themselves; the thread-local is one pointer without a destructor, so it can still
//! be read when the thread's other locals are gone, at process exit.

use std::cell::Cell;
use std::ptr;

use crate::lineage::current::{self, LazyNode};
use crate::lineage::flow::Flow;
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::{Node, NodeRef, OnMaterialize};
use crate::names::id::TaskId;
use crate::pool::config::PoolKind;
use crate::pool::core::held_permits::InWait;
use crate::pool::core::pool::{Counted, NodeKey, Pool, TaskMeta};
use crate::pool::kinds::dedicated::warm::WorkerPurpose;
use crate::pool::kinds::stealing;
use crate::pool::run::worker::Task;
use crate::sync::os::{Arc, AtomicU64, Ordering};
use crate::task::cell::Claimed;
use crate::threads::cache::ThreadInfo;

thread_local! {
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
    /// The innermost frame when [`shield`] was called, null for none; an address that no frame has when it was not.
    static SHIELDED: Cell<*const Frame> = const { Cell::new(ptr::dangling()) };
    /// See [`Running::thread`]; 0 until it is asked for.
    static THREAD: Cell<u64> = const { Cell::new(0) };
    /// The initialiser that runs on this thread, if one does.
    static INITIALISING: Cell<*const Initialising> = const { Cell::new(ptr::null()) };
}

/// A worker's initialiser: no task, but a part of its pool, which can do nothing for it.
struct Initialising {
    pool: *const Arc<Pool>,
    info: *const Arc<ThreadInfo>,
    purpose: WorkerPurpose,
}

/// Runs a worker's initialiser.
pub(crate) fn while_initialising<R>(
    pool: &Arc<Pool>,
    info: &Arc<ThreadInfo>,
    purpose: WorkerPurpose,
    f: impl FnOnce() -> R,
) -> R {
    let this = Initialising { pool, info, purpose };
    INITIALISING.set(&this);
    let out = f();
    INITIALISING.set(ptr::null());
    out
}

/// The pool and the thread, and what it came for, whose initialiser the calling code is a part of.
pub(crate) fn initialising<'a>() -> Option<(&'a Arc<Pool>, &'a Arc<ThreadInfo>, WorkerPurpose)> {
    // SAFETY: it is further up this thread's stack, with what it borrows; a caller is above it and keeps the references
    // no longer than it runs.
    unsafe { INITIALISING.get().as_ref().map(|this| (&*this.pool, &*this.info, this.purpose)) }
}

/// Whether the calling code is a part of an initialiser of the pool's.
#[inline]
pub(crate) fn initialises(pool: &Pool) -> bool {
    !INITIALISING.get().is_null() && initialising().is_some_and(|(own, ..)| ptr::eq(Arc::as_ptr(own), pool))
}

/// One running task on this thread.
pub(crate) struct Frame {
    outer: *const Frame,
    /// The nearest one further out that brought a place, so that what concerns places does not walk a deep stack.
    outer_bringer: *const Frame,
    pool: *const Arc<Pool>,
    /// Null for what a task leaves behind: its result's drop, its wakers, its node's end.
    pub(crate) claimed: *const Claimed<TaskMeta>,
    /// Whose code it is: a future that a runtime polls within the task is not.
    flow: Flow,
    /// What counts the task. See also [`Pool::standing`].
    pub(crate) counted: Counted,
    /// How many frames are further out.
    pub(crate) depth: u32,
    /// This task brought a place of its own to the thread, which a wait may give away; a task that a join runs in
    /// place uses its joiner's.
    pub(crate) brings_permit: bool,
    /// The thread is a dedicated pool's.
    on_dedicated: bool,
    /// Tasks that this thread ended before and has not counted out of the pool yet.
    pub(crate) owed: u64,
    /// What the task's wait, if it is in one, does with its place.
    pub(crate) wait: Cell<InWait>,
    /// See [`Code::number`]; 0 until it is asked for.
    code: Cell<u64>,
    /// See [`told`](crate::pool::context::interrupted).
    pub(crate) interrupted: Cell<bool>,
    /// Once the task is a node.
    node_key: Cell<Option<NodeKey>>,
}

impl Frame {
    /// Runs `f` with a frame on the list.
    pub(crate) fn with<R>(
        pool: &Arc<Pool>,
        claimed: &Claimed<TaskMeta>,
        counted: Counted,
        brings_permit: bool,
        owed: u64,
        f: impl FnOnce(&Frame) -> R,
    ) -> (R, Counted) {
        let frame = Self::new(pool, claimed, counted, brings_permit, owed);
        let out = frame.run(f);
        if let Some(node_key) = frame.node_key.take() {
            pool.forget_node(node_key);
        }
        (out, frame.counted)
    }

    /// Runs what a task leaves behind as part of it: a wait there gives its place away, and knows whose it is.
    pub(crate) fn teardown(pool: &Arc<Pool>, counted: Counted, brings_permit: bool, owed: u64, f: &mut dyn FnMut()) {
        let at = counted.place.clone();
        Self::aside_at(pool, &at, counted, brings_permit, owed, f);
    }

    /// As [`teardown`](Self::teardown), for what ends with the task and stands nowhere: wakers, the end of scopes.
    pub(crate) fn aside_nowhere(
        pool: &Arc<Pool>,
        counted: Counted,
        brings_permit: bool,
        owed: u64,
        f: &mut dyn FnMut(),
    ) {
        Self::aside_at(pool, &NodeRef::PROCESS, counted, brings_permit, owed, f);
    }

    fn aside_at(pool: &Arc<Pool>, at: &NodeRef, counted: Counted, brings_permit: bool, owed: u64, f: &mut dyn FnMut()) {
        let frame = Self::new(pool, ptr::null(), counted, brings_permit, owed);
        frame.run(|_| {
            let guard = ExitOnDrop(Some(current::enter(pool.standing(at), LazyNode::Nothing)));
            f();
            drop(guard);
        });
    }

    fn new(
        pool: &Arc<Pool>,
        claimed: *const Claimed<TaskMeta>,
        counted: Counted,
        brings_permit: bool,
        owed: u64,
    ) -> Self {
        let (depth, outer_bringer, on_dedicated) = match innermost() {
            Some(frame) => (frame.depth.saturating_add(1), frame.bringer(), frame.on_dedicated),
            None => (0, ptr::null(), pool.config.kind == PoolKind::Dedicated && brings_permit),
        };
        // The pool is borrowed, not counted: the workers of a busy pool would fight over the count.
        let outer = INNERMOST.get();
        Frame {
            outer,
            outer_bringer,
            pool,
            claimed,
            flow: Flow::now(),
            counted,
            depth,
            brings_permit,
            on_dedicated,
            owed,
            wait: Cell::new(InWait::No),
            code: Cell::new(0),
            interrupted: Cell::new(false),
            node_key: Cell::new(None),
        }
    }

    fn run<R>(&self, f: impl FnOnce(&Frame) -> R) -> R {
        let restore = Restore(self.outer);
        INNERMOST.set(self);
        let out = f(self);
        drop(restore);
        out
    }

    /// It is what a task left behind, no task.
    pub(crate) fn is_teardown(&self) -> bool {
        self.claimed.is_null()
    }

    pub(crate) fn outer(&self) -> Option<&Frame> {
        // SAFETY: an outer frame is further up this thread's stack and outlives this one.
        unsafe { self.outer.as_ref() }
    }

    /// The nearest frame, from this one outwards, that brought a place.
    fn bringer(&self) -> *const Frame {
        if self.brings_permit { self } else { self.outer_bringer }
    }

    /// The task's pool.
    #[inline]
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        // SAFETY: `Frame::with` borrows the pool for as long as the frame is on the list.
        unsafe { &*self.pool }
    }

    /// The address of its task, to compare.
    pub(crate) fn task_address(&self) -> Option<*const ()> {
        self.task().map(Task::address)
    }
}

impl OnMaterialize for Frame {
    fn materialized(&self, node: &Arc<Node>) {
        let place = NodeRef::from(Arc::clone(node));
        if let Some(task) = self.task() {
            task.materialized(&place);
        }
        self.node_key.set(Some(self.pool().note_node(&place)));
    }
}

impl Frame {
    /// The running task itself; `None` for what one left behind.
    pub(crate) fn task(&self) -> Option<&Task> {
        // SAFETY: `Frame::with` borrows the claimed task for as long as the frame is on the list.
        unsafe { self.claimed.as_ref() }.map(Claimed::task)
    }

    /// The task, or its whole pool, was asked to stop. What is asked of places above is not looked at.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        (!self.steals() && self.task().is_some_and(|task| task.state().cancel_requested()))
            || self.pool().is_cancelled()
    }

    /// The running code may be a piece of another task of the same pool, stolen while this one waits.
    #[inline]
    pub(crate) fn steals(&self) -> bool {
        self.pool().config.steals()
    }
}

/// While it lives, what is asked of the running task, or of the thread itself, is not heard here; see [`shield`].
pub(crate) struct Shield(*const Frame);

/// For what a task or a thread does for others too, at a place of theirs: one asker's request to stop is none to them.
pub(crate) fn shield() -> Shield {
    Shield(SHIELDED.replace(INNERMOST.get()))
}

/// What runs now is done for others too. A task that runs in place within it is not.
#[inline]
pub(crate) fn is_shielded() -> bool {
    ptr::eq(SHIELDED.get(), INNERMOST.get())
}

impl Drop for Shield {
    fn drop(&mut self) {
        SHIELDED.set(self.0);
    }
}

/// What runs on a thread at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) code: Code,
    /// The thread's number, which is never reused.
    pub(crate) thread: u64,
}

/// Which code of a thread it is, to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Of the innermost task, or of what a task left behind; outside of any the thread's. Never reused.
    number: u64,
    /// One of those that take turns within it.
    flow: Flow,
}

/// What runs on the calling thread.
pub(crate) fn running() -> Running {
    let thread = numbered(THREAD.get(), |number| THREAD.set(number));
    let number = innermost().map_or(thread, |frame| numbered(frame.code.get(), |number| frame.code.set(number)));
    Running { code: Code { number, flow: Flow::now() }, thread }
}

/// A number that was given before, or the next one.
fn numbered(before: u64, keep: impl FnOnce(u64)) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if before != 0 {
        return before;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    keep(number);
    number
}

/// The task that the calling code is: the innermost one that runs on this thread, in place or not. `None` outside of
/// any, and in what a task leaves behind (its result's drop, its wakers); nor on a work-stealing pool's threads, where
/// what runs may be a stolen piece of another task; nor, with the feature `tokio`, in a future that a runtime which the
/// task drives was given by `spawn`.
///
/// The same as the handle's [`id`](crate::TaskHandle::id). Costs a few instructions, and makes no node.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(1))?;
/// let task = pool.submit(heirloom::task_id)?;
/// let id = task.id();
/// assert_eq!(task.join()?, Some(id));
/// assert_eq!(heirloom::task_id(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn task_id() -> Option<TaskId> {
    own().filter(|frame| !frame.steals())?.task().map(Task::id)
}

struct Restore(*const Frame);

impl Drop for Restore {
    fn drop(&mut self) {
        INNERMOST.set(self.0);
    }
}

/// The innermost running task of this thread.
#[inline]
pub(crate) fn innermost<'a>() -> Option<&'a Frame> {
    // SAFETY: the pointer is to a frame of this thread's stack that has not returned; a caller is above it, and keeps
    // the reference no longer than it runs.
    unsafe { INNERMOST.get().as_ref() }
}

/// The innermost task of this thread, if the calling code is its: not that of a future which a runtime polls within it.
#[inline]
pub(crate) fn own<'a>() -> Option<&'a Frame> {
    innermost().filter(|frame| frame.flow == Flow::now())
}

/// The running tasks of this thread, innermost first.
pub(crate) fn all<'a>() -> impl Iterator<Item = &'a Frame> {
    std::iter::successors(innermost(), |frame| frame.outer())
}

/// Those of them that brought a place, innermost first. They are few, also where the stack is deep.
pub(crate) fn bringers<'a>() -> impl Iterator<Item = &'a Frame> {
    // SAFETY: as for `innermost`; the frames further out outlive it.
    let frame = |at: *const Frame| unsafe { at.as_ref() };
    std::iter::successors(innermost().and_then(|inner| frame(inner.bringer())), move |at| frame(at.outer_bringer))
}

/// Whether a task on this thread's stack belongs to the pool, or an initialiser of its threads; on a work-stealing
/// pool's thread also a piece of a task that was begun elsewhere.
pub(crate) fn is_in(pool: &Pool) -> bool {
    let pieces = || stealing::here().is_some_and(|own| ptr::eq(Arc::as_ptr(own), pool));
    initialises(pool) || pieces() || all().any(|frame| ptr::eq(Arc::as_ptr(frame.pool()), pool))
}

/// Whether a task on this thread's stack is counted at or below the node.
pub(crate) fn is_below(node: &Node) -> bool {
    let pieces = || stealing::here().and_then(|pool| pool.owner.upgrade());
    all().any(|frame| frame.counted.is_below(node)) || pieces().is_some_and(|owner| owner.node().is_at_or_below(node))
}

/// Whether the code may be a piece, on a work-stealing pool's thread, of a task that was asked for at or below the node
/// and begun elsewhere: it stands there, by a place that was brought along.
pub(crate) fn is_piece_below(node: &Node) -> bool {
    stealing::here().is_some() && current::nearest().node().is_at_or_below(node)
}

/// Whether the calling thread is one of a dedicated pool's, on which no other pool's task may run; or of a
/// work-stealing one's, on which what rayon steals would stand at the other pool's task.
pub(crate) fn is_on_a_pools_own_thread() -> bool {
    !INITIALISING.get().is_null() || stealing::here().is_some() || innermost().is_some_and(|frame| frame.on_dedicated)
}

/// Forgets the frames: the thread will not return to them.
pub(crate) fn forget_all() {
    INNERMOST.set(ptr::null());
    INITIALISING.set(ptr::null());
}
