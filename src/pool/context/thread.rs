//! The calling thread's frames, its initialiser, and the pools that use the thread.
//!
//! All of it is one thread-local of pointers into the thread's own stack. The thread-local has no destructor, so it can still
//! be read when the thread's other locals are gone, at process exit.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::task::Waker;

use crate::lineage::current;
use crate::lineage::flow::Flow;
use crate::lineage::node::Node;
use crate::names::id::TaskId;
use crate::pool::context::frame::Frame;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::sync::os::Arc;
use crate::threads::job::ThreadInfo;
use crate::wait::graph::Target;

/// The purpose that a thread of a dedicated pool was started for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerPurpose {
    /// For a task: the thread brings a permit.
    ForTask,
    /// For a start that waits for ready threads.
    ForStart,
}

/// A worker's running initialiser. It is no task, but a part of its pool, so it must not wait for the pool.
pub(crate) struct Initialising<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) info: &'a Arc<ThreadInfo>,
    pub(crate) purpose: WorkerPurpose,
}

/// A thread that works for a work-stealing pool.
pub(crate) struct StealingThread<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    /// The number of the rayon pool, among the rayon pools that the pool has had.
    pub(crate) number: u64,
    /// The thread is counted as blocked.
    pub(crate) blocked: Cell<bool>,
}

/// An entry in the list of the pools that are local to a thread.
pub(crate) struct LocalEntry {
    pub(crate) pool: Arc<Pool>,
    next: Cell<*const LocalEntry>,
}

impl LocalEntry {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, next: Cell::new(ptr::null()) }
    }
}

/// A poll of a future that collects its wake sources. See `blocking/polled`.
pub(crate) struct Polled<'a> {
    pub(crate) waker: &'a Waker,
    pub(crate) on: RefCell<Vec<Target>>,
}

struct ThreadContext {
    innermost: Cell<*const Frame<'static>>,
    /// The innermost frame when [`shield`] was called, null for none. No frame has its first address.
    shielded: Cell<*const Frame<'static>>,
    /// See [`with_number`].
    number: Cell<u64>,
    initialising: Cell<*const Initialising<'static>>,
    stealing: Cell<*const StealingThread<'static>>,
    local: Cell<*const LocalEntry>,
    /// The innermost frame when a wait of a local pool's thread began to poll its future. No frame has its first address.
    polls: Cell<*const Frame<'static>>,
    /// See `run/evict`.
    dropping: Cell<*const ()>,
    polled: Cell<*const Polled<'static>>,
}

thread_local! {
    static CONTEXT: ThreadContext = const {
        ThreadContext {
            innermost: Cell::new(ptr::null()),
            shielded: Cell::new(ptr::dangling()),
            number: Cell::new(0),
            initialising: Cell::new(ptr::null()),
            stealing: Cell::new(ptr::null()),
            local: Cell::new(ptr::null()),
            polls: Cell::new(ptr::dangling()),
            dropping: Cell::new(ptr::null()),
            polled: Cell::new(ptr::null()),
        }
    };
}

/// Sets a pointer of the context back when it is dropped, also by a panic. Not `Send`.
struct Restore<T: 'static>(fn(&ThreadContext) -> &Cell<*const T>, *const T);

impl<T> Restore<T> {
    /// Replaces the pointer.
    #[inline]
    fn replace(cell: fn(&ThreadContext) -> &Cell<*const T>, new: *const T) -> Self {
        Self(cell, CONTEXT.with(|context| cell(context).replace(new)))
    }
}

impl<T> Drop for Restore<T> {
    #[inline]
    fn drop(&mut self) {
        CONTEXT.with(|context| (self.0)(context).set(self.1));
    }
}

/// Passes on the frame of the innermost task of this thread.
#[inline]
pub(crate) fn with_innermost<R>(f: impl for<'a> FnOnce(Option<&'a Frame<'a>>) -> R) -> R {
    #[allow(clippy::redundant_closure, reason = "`f` takes one lifetime for both")]
    lend(|context| &context.innermost, |frame| f(frame))
}

/// Lends the innermost frame, poll, initialiser or work-stealing thread. A caller passes it on for no longer lifetime than
/// that of `f`.
#[inline]
fn lend<T, R>(cell: fn(&ThreadContext) -> &Cell<*const T>, f: impl FnOnce(Option<&T>) -> R) -> R {
    let at = CONTEXT.with(|context| cell(context).get());
    // SAFETY: `Restore` alone sets these pointers, to a local of a function of this thread's stack that has not returned,
    // or back to null. `f` runs above that function.
    f(unsafe { at.as_ref() })
}

/// Passes on the innermost frame, if the calling code is its task's. A future that a runtime polls within the task is other
/// code.
#[inline]
pub(crate) fn with_own<R>(f: impl for<'a> FnOnce(Option<&'a Frame<'a>>) -> R) -> R {
    with_innermost(|frame| f(frame.filter(|frame| frame.flow == Flow::now())))
}

/// Runs `f` with the frame as the innermost one.
#[inline]
pub(super) fn with_frame<R>(frame: &Frame<'_>, f: impl FnOnce() -> R) -> R {
    let _restore = Restore::replace(|context| &context.innermost, ptr::from_ref(frame).cast());
    f()
}

/// Returns whether the running task, or one that it runs within, fits. A joiner that lends its thread is another task.
fn any_frame(fits: impl FnMut(&Frame<'_>) -> bool) -> bool {
    with_innermost(|frame| frame.is_some_and(|frame| frame.outwards_to_joiner().any(fits)))
}

/// Runs a worker's initialiser, which does not unwind.
pub(crate) fn while_initialising<R>(
    pool: &Arc<Pool>,
    info: &Arc<ThreadInfo>,
    purpose: WorkerPurpose,
    f: impl FnOnce() -> R,
) -> R {
    let this = Initialising { pool, info, purpose };
    let _restore = Restore::replace(|context| &context.initialising, ptr::from_ref(&this).cast());
    f()
}

/// Passes on the initialiser that the calling code is a part of.
#[inline]
pub(crate) fn with_initialising<R>(f: impl for<'a> FnOnce(Option<&'a Initialising<'a>>) -> R) -> R {
    #[allow(clippy::redundant_closure, reason = "`f` takes one lifetime for both")]
    lend(|context| &context.initialising, |this| f(this))
}

/// Returns whether the calling code is a part of an initialiser of the pool's.
#[inline]
pub(crate) fn initialises(pool: *const Pool) -> bool {
    with_initialising(|this| this.is_some_and(|this| ptr::eq(Arc::as_ptr(this.pool), pool)))
}

/// Runs `f` on a thread that works for a work-stealing pool.
#[cfg(feature = "rayon")]
pub(crate) fn while_stealing<R>(thread: &StealingThread<'_>, f: impl FnOnce() -> R) -> R {
    let _restore = Restore::replace(|context| &context.stealing, ptr::from_ref(thread).cast());
    f()
}

/// Passes on the calling thread's entry as a work-stealing pool's thread, for any code on it.
#[inline]
pub(crate) fn with_stealing<R>(f: impl for<'a> FnOnce(Option<&'a StealingThread<'a>>) -> R) -> R {
    #[allow(clippy::redundant_closure, reason = "`f` takes one lifetime for both")]
    lend(|context| &context.stealing, |thread| f(thread))
}

/// Returns whether the calling thread is a work-stealing pool's.
#[inline]
pub(crate) fn is_stealing() -> bool {
    with_stealing(|thread| thread.is_some())
}

/// Returns whether the calling thread works for this work-stealing pool.
#[inline]
pub(crate) fn steals_for(pool: *const Pool) -> bool {
    with_stealing(|thread| thread.is_some_and(|thread| ptr::eq(Arc::as_ptr(thread.pool), pool)))
}

/// Adds a pool to the list of the pools that are local to the calling thread, which counts the entry.
pub(crate) fn add_local(entry: Rc<LocalEntry>) {
    CONTEXT.with(|context| {
        entry.next.set(context.local.get());
        context.local.set(Rc::into_raw(entry));
    });
}

/// Removes a pool from the list.
pub(crate) fn remove_local(entry: &Rc<LocalEntry>) {
    let unlink = |link: &Cell<*const LocalEntry>| {
        if ptr::eq(link.get(), Rc::as_ptr(entry)) {
            // SAFETY: the list has counted the entry since `add_local`, and loses it here. The caller has it still.
            unsafe { Rc::decrement_strong_count(link.replace(entry.next.get())) };
        }
    };
    CONTEXT.with(|context| unlink(&context.local));
    each_local(|before| unlink(&before.next));
}

/// Calls `f` for each pool that is local to the calling thread. `f` runs no user code, which could remove one.
pub(crate) fn each_local(mut f: impl FnMut(&LocalEntry)) {
    let mut at = CONTEXT.with(|context| context.local.get());
    // SAFETY: the list counts its entries.
    while let Some(entry) = unsafe { at.as_ref() } {
        f(entry);
        at = entry.next.get();
    }
}

/// Returns whether a pool is local to the calling thread.
#[inline]
pub(crate) fn is_any_local() -> bool {
    CONTEXT.with(|context| !context.local.get().is_null())
}

/// The pool of this address, if it is local to the calling thread.
#[inline]
pub(crate) fn local(pool: *const Pool) -> Option<Arc<Pool>> {
    let mut found = None;
    each_local(|entry| {
        if ptr::eq(Arc::as_ptr(&entry.pool), pool) {
            found = Some(Arc::clone(&entry.pool));
        }
    });
    found
}

/// Returns whether the pool's tasks run on the calling thread only.
#[inline]
pub(crate) fn is_local(pool: *const Pool) -> bool {
    is_any_local() && local(pool).is_some()
}

/// Polls the future of a wait on a local pool's thread. A task whose handle the future polls runs in its turn, not in place.
pub(crate) fn while_polling<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore::replace(|context| &context.polls, innermost());
    f()
}

/// Returns whether the calling code is the future of `while_polling`. A task that runs inside the future is not.
pub(crate) fn is_polling() -> bool {
    CONTEXT.with(|context| ptr::eq(context.polls.get(), context.innermost.get()))
}

fn innermost() -> *const Frame<'static> {
    CONTEXT.with(|context| context.innermost.get())
}

/// Shields the calling code from the cancellation of its task or thread, while it lives. Not `Send`.
pub(crate) struct Shield {
    _restore: Restore<Frame<'static>>,
}

/// Shields code that runs for several waiters (a value's initialiser) from the calling task's cancellation.
pub(crate) fn shield() -> Shield {
    Shield { _restore: Restore::replace(|context| &context.shielded, innermost()) }
}

/// Returns whether the running code is shielded. A task that runs in place within it is not.
#[inline]
pub(crate) fn is_shielded() -> bool {
    CONTEXT.with(|context| ptr::eq(context.shielded.get(), context.innermost.get()))
}

/// The pointer that `run/evict` keeps.
#[inline]
pub(crate) fn dropping() -> *const () {
    CONTEXT.with(|context| context.dropping.get())
}

/// Runs `f` with the pointer that `run/evict` keeps.
pub(crate) fn with_dropping<R>(dropping: *const (), f: impl FnOnce() -> R) -> R {
    let _restore = Restore::replace(|context| &context.dropping, dropping);
    f()
}

/// Passes on the innermost poll that collects its wake sources.
#[inline]
pub(crate) fn with_polled<R>(f: impl FnOnce(Option<&Polled<'_>>) -> R) -> R {
    lend(|context| &context.polled, f)
}

/// Runs a poll that collects its wake sources.
pub(crate) fn while_polled<R>(polled: &Polled<'_>, f: impl FnOnce() -> R) -> R {
    let _restore = Restore::replace(|context| &context.polled, ptr::from_ref(polled).cast());
    f()
}

/// Passes on the cell of the calling thread's number, which is 0 until its first use. See [`Running::thread`].
///
/// [`Running::thread`]: super::code::Running::thread
pub(super) fn with_number<R>(f: impl FnOnce(&Cell<u64>) -> R) -> R {
    CONTEXT.with(|context| f(&context.number))
}

/// Returns the id of the running task: the innermost one on this thread, in place or not.
///
/// It equals the handle's [`id`](crate::TaskHandle::id). Costs a few instructions, and makes no node.
///
/// Returns `None` outside of any task, and in a task's cleanup (the drop of its result, its wakers). Also on a work-stealing
/// pool's threads, where the running code may be a stolen piece of another task; and, with the feature `tokio`, in a future
/// that `spawn` handed to a runtime which the task drives.
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
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use]
pub fn task_id() -> Option<TaskId> {
    with_own(|frame| frame.filter(|frame| !frame.steals())?.task().map(Task::id))
}

/// Returns whether a task or an initialiser on this thread's stack belongs to the pool. On a work-stealing pool's thread
/// that is also true for a piece of a task that began elsewhere.
pub(crate) fn is_in(pool: *const Pool) -> bool {
    initialises(pool) || steals_for(pool) || any_frame(|frame| frame.is_of(pool))
}

/// Returns whether a task on this thread's stack is counted at or below the node.
pub(crate) fn is_below(node: &Node) -> bool {
    let owner = || with_stealing(|thread| thread.and_then(|thread| thread.pool.owner.upgrade()));
    any_frame(|frame| frame.counted.is_below(node)) || owner().is_some_and(|owner| owner.node().is_at_or_below(node))
}

/// Returns whether the code may be a stolen piece of a task submitted at or below the node.
///
/// Such a piece runs on a work-stealing pool's thread, and stands at or below the node by a lineage that it brought along.
pub(crate) fn is_piece_below(node: &Node) -> bool {
    is_stealing() && current::nearest().node().is_at_or_below(node)
}

/// Returns whether no other pool's task may run on the calling thread. A dedicated pool's thread is one pool's alone, and on
/// a work-stealing pool's thread a stolen piece would stand at the other pool's task.
pub(crate) fn is_on_a_pools_own_thread() -> bool {
    with_initialising(|this| this.is_some())
        || is_stealing()
        || with_innermost(|frame| frame.is_some_and(|frame| frame.on_dedicated))
}

/// Forgets the frames: the thread never returns to them.
pub(crate) fn forget_all() {
    CONTEXT.with(|context| {
        context.innermost.set(ptr::null());
        context.initialising.set(ptr::null());
    });
}
