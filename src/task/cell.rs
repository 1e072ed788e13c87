//! [`TaskRef`]: a counted reference to a task, which is one allocation, type-erased.
//!
//! A cell holds a header, the engine's metadata (`M`), and a *stage*: first the closure, then the result. [`State`]
//! alone decides which thread may touch the stage: before `DONE` the claimer, after it the handle.

use std::any::Any;
use std::mem::{self, ManuallyDrop, needs_drop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::Waker;

use crate::error::{CancelReason, TaskError};
use crate::lineage::node::{NodeRef, OnceWeak};
use crate::lineage::queued::TaskLink;
use crate::names::id::{NodeId, TaskId};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::sync::{UnsafeCell, fork};
use crate::task::state::State;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A task's result, as its handle gets it.
pub(crate) type Output<T> = Result<T, TaskError>;

/// The part of a cell that does not depend on the closure. The cell begins with it.
pub(crate) struct Header<M: 'static> {
    state: State,
    id: TaskId,
    /// The id of the node that the task was submitted at. A number keeps nothing alive.
    at: NodeId,
    vtable: &'static VTable<M>,
    /// The queue's link; touched by the queue alone.
    next: UnsafeCell<*mut Header<M>>,
    waiter: UnsafeCell<Option<Waker>>,
    /// The task's own node, once it has one. Weak: a handle keeps the task's result, not its node.
    node: OnceWeak,
    /// Taken by the claimer.
    pub(super) meta: UnsafeCell<Option<M>>,
    /// The link in the list of the node that the task was submitted at.
    link: TaskLink,
}

/// The operations on a stage. A caller holds the right to touch the stage alone, and passes the header of a cell with
/// this vtable.
struct VTable<M: 'static> {
    run: unsafe fn(NonNull<Header<M>>) -> Result<(), Payload>,
    detach: unsafe fn(NonNull<Header<M>>, TaskError) -> Option<Closure>,
    /// The last argument points to an `Option<Output<T>>`.
    take: unsafe fn(NonNull<Header<M>>, *mut ()),
    empty: unsafe fn(NonNull<Header<M>>),
    free: unsafe fn(NonNull<Header<M>>),
}

#[repr(C)]
pub(super) struct Cell<M: 'static, F, T> {
    header: Header<M>,
    stage: UnsafeCell<Stage<F, T>>,
}

pub(super) enum Stage<F, T> {
    Ready(F),
    Done(Output<T>),
    Empty,
}

impl<M: 'static, F: FnOnce() -> T + Send, T: Send> Cell<M, F, T> {
    const VTABLE: VTable<M> =
        VTable { run: Self::run, detach: Self::detach, take: Self::take, empty: Self::empty, free: Self::free };

    /// # Safety
    /// `header` is that of a live `Cell<M, F, T>`, and the caller may touch its stage alone (see the module).
    pub(super) unsafe fn swap(header: NonNull<Header<M>>, next: Stage<F, T>) -> Stage<F, T> {
        // SAFETY: the cell begins with its header (`repr(C)`), it lives, and the access is exclusive by the contract.
        unsafe { header.cast::<Self>().as_ref().stage.with_mut(|stage| mem::replace(&mut *stage, next)) }
    }

    unsafe fn run(header: NonNull<Header<M>>) -> Result<(), Payload> {
        // SAFETY: the contract of `VTable`.
        let (id, stage) = unsafe { (header.as_ref().id, Self::swap(header, Stage::Empty)) };
        let Stage::Ready(f) = stage else { return Ok(()) };
        // The stage is not borrowed meanwhile: where the closure ends the process, its exit fails this task.
        let ran = catch_unwind(AssertUnwindSafe(f));
        fork::end_of(&|| format!("task {id}"), ran.is_err());
        let value = ran?;
        // SAFETY: the contract of `VTable`, which holds until this returns.
        unsafe { Self::swap(header, Stage::Done(Ok(value))) };
        Ok(())
    }

    unsafe fn detach(header: NonNull<Header<M>>, error: TaskError) -> Option<Closure> {
        // SAFETY: the contract of `VTable`.
        match unsafe { Self::swap(header, Stage::Done(Err(error))) } {
            // A closure without a drop need not be kept.
            Stage::Ready(f) if needs_drop::<F>() => Some(Closure::new(f)),
            // An exit within the task fails one that has its value.
            before => {
                swallow_drop(before);
                None
            }
        }
    }

    unsafe fn take(header: NonNull<Header<M>>, to: *mut ()) {
        // SAFETY: the contract of `VTable`; the caller points to an `Option<Output<T>>` of its own.
        unsafe {
            if let Stage::Done(output) = Self::swap(header, Stage::Empty) {
                *to.cast::<Option<Output<T>>>() = Some(output);
            }
        }
    }

    unsafe fn empty(header: NonNull<Header<M>>) {
        // SAFETY: the contract of `VTable`.
        swallow_drop(unsafe { Self::swap(header, Stage::Empty) });
    }

    unsafe fn free(header: NonNull<Header<M>>) {
        // SAFETY: the caller held the last reference; the cell came from a `Box` of this type.
        swallow_drop(unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) });
    }
}

/// A closure that was taken out of its task. Dropping this drops the closure, which is user code.
pub(crate) struct Closure {
    _dropped: Box<dyn Dropped>,
}

trait Dropped: Send {}

impl<F: Send> Dropped for F {}

impl Closure {
    fn new<F: Send>(f: F) -> Self {
        let boxed: Box<dyn Dropped + '_> = Box::new(f);
        // SAFETY: only the lifetime changes, and the closure is only dropped. The contract of `new_unbounded` has the
        // task, and with it its closure, end before what it borrows.
        Self { _dropped: unsafe { mem::transmute::<Box<dyn Dropped + '_>, Box<dyn Dropped + 'static>>(boxed) } }
    }
}

/// A counted reference to a task.
pub(crate) struct TaskRef<M: 'static>(NonNull<Header<M>>);

// SAFETY: `new_unbounded` asks for closures and results that are `Send`; the header is shared only by atomics and by
// the protocol of `State`.
unsafe impl<M: Send + 'static> Send for TaskRef<M> {}
// SAFETY: as above; all that `&TaskRef` allows goes through `State`.
unsafe impl<M: Send + 'static> Sync for TaskRef<M> {}

impl<M: Send + 'static> TaskRef<M> {
    /// A task with two references: the queue's and the handle's.
    ///
    /// # Safety
    /// `F` and `T` may borrow: the caller lets neither the task, nor its closure, nor its result outlive what they
    /// borrow.
    pub(crate) unsafe fn new_unbounded<F, T>(id: TaskId, at: NodeId, meta: M, f: F) -> (Self, Self)
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let cell = Box::new(Cell::<M, F, T> {
            header: Header {
                state: State::new(2),
                id,
                at,
                vtable: &Cell::<M, F, T>::VTABLE,
                next: UnsafeCell::new(std::ptr::null_mut()),
                waiter: UnsafeCell::new(None),
                node: OnceWeak::new(),
                meta: UnsafeCell::new(Some(meta)),
                link: TaskLink::new(),
            },
            stage: UnsafeCell::new(Stage::Ready(f)),
        });
        let header = NonNull::from(Box::leak(cell)).cast();
        (Self(header), Self(header))
    }
}

/// The right to touch a cell's stage alone, made by [`TaskRef::stage`].
pub(super) struct StageRight<'a, M: 'static>(&'a TaskRef<M>);

impl<M: 'static> StageRight<'_, M> {
    /// Runs the closure, if it is there, and stores its value. The error is the payload of its panic.
    #[inline]
    pub(super) fn run(&self) -> Result<(), Payload> {
        // SAFETY: a header's vtable is that of its own cell, and `self` is the right to the stage.
        unsafe { (self.0.header().vtable.run)(self.0.0) }
    }

    /// Stores an error, and returns the closure if it is there and has a drop.
    pub(super) fn detach(&self, error: TaskError) -> Option<Closure> {
        // SAFETY: as in `run`.
        unsafe { (self.0.header().vtable.detach)(self.0.0, error) }
    }

    /// Drops the closure or the result, which is user code.
    pub(super) fn empty(&self) {
        // SAFETY: as in `run`.
        unsafe { (self.0.header().vtable.empty)(self.0.0) }
    }
}

impl<M: 'static> TaskRef<M> {
    #[inline]
    pub(super) fn header(&self) -> &Header<M> {
        // SAFETY: a reference is held, so the cell lives.
        unsafe { self.0.as_ref() }
    }

    /// # Safety
    /// While the right is used, its caller alone touches the stage: it has claimed the task, which is not done; or the
    /// task is done, and the caller is its handle.
    #[inline]
    pub(super) unsafe fn stage(&self) -> StageRight<'_, M> {
        StageRight(self)
    }

    #[inline]
    pub(crate) fn state(&self) -> &State {
        &self.header().state
    }

    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        self.header().id
    }

    /// The id of the node that the task was submitted at.
    #[inline]
    pub(crate) fn at(&self) -> NodeId {
        self.header().at
    }

    /// Which cell this is, to compare.
    #[inline]
    pub(crate) fn address(&self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    pub(crate) fn another(&self) -> Self {
        self.state().add_ref();
        Self(self.0)
    }

    /// The running task's own node, if it has one.
    pub(crate) fn node(&self) -> Option<NodeRef> {
        if self.state().is_node() { self.header().node.upgrade() } else { None }
    }

    /// Notes the node that the running task became, which cancel requests then reach. Called by the task's own thread.
    pub(crate) fn materialized(&self, node: &NodeRef) {
        if self.header().node.set(node) && self.state().became_node() {
            node.node().cancel(CancelReason::Request);
        }
    }

    /// The task's link in the list of its node.
    #[inline]
    pub(crate) fn link(&self) -> NonNull<TaskLink> {
        // SAFETY: the cell lives while this reference does. The address is that of a field, with the provenance of the
        // whole cell, for `from_link`.
        unsafe { NonNull::new_unchecked(&raw mut (*self.0.as_ptr()).link) }
    }

    /// The task whose link this is, borrowed.
    ///
    /// # Safety
    /// The link came from a task of this type that lives as long as the answer is used.
    pub(crate) unsafe fn from_link(link: NonNull<TaskLink>) -> ManuallyDrop<Self> {
        // SAFETY: the link is a field of a header, and its pointer was made from the header's.
        ManuallyDrop::new(Self(unsafe { link.byte_sub(mem::offset_of!(Header<M>, link)).cast() }))
    }

    pub(crate) fn into_raw(self) -> NonNull<Header<M>> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` came from `into_raw`, and is turned back once.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header<M>>) -> Self {
        Self(raw)
    }

    /// Sets the link of an intrusive list.
    ///
    /// # Safety
    /// The caller alone touches the link: it holds the reference that is, or is about to be, in the list.
    pub(crate) unsafe fn set_next(raw: NonNull<Header<M>>, next: *mut Header<M>) {
        // SAFETY: the reference in the list keeps the cell alive, and the link is the caller's.
        unsafe { raw.as_ref().next.with_mut(|link| *link = next) }
    }

    /// # Safety
    /// As for `set_next`.
    pub(crate) unsafe fn next(raw: NonNull<Header<M>>) -> *mut Header<M> {
        // SAFETY: as for `set_next`.
        unsafe { raw.as_ref().next.with(|link| *link) }
    }

    /// Registers the handle's waker, to be woken at the end. False when the task is done already. Called by the handle
    /// alone.
    ///
    /// `ours` says that the waker is that of a blocked thread of this crate (`wait::park`), which runs no user code.
    pub(crate) fn register(&self, waker: &Waker, ours: bool) -> bool {
        if !self.state().clear_waiter() {
            return false;
        }
        // SAFETY: `WAITER` is clear and the task was not done, so the finisher does not look at the waker, and the
        // handle is not shared: it registers through `&mut` or by value.
        unsafe {
            self.header().waiter.with_mut(|slot| match &mut *slot {
                Some(old) if old.will_wake(waker) => {}
                slot => *slot = Some(waker.clone()),
            });
        }
        self.state().set_waiter(ours)
    }

    /// Called by the finisher, once, after its `finish` saw the waiter.
    pub(super) fn wake_waiter(&self) {
        // SAFETY: `finish` saw `WAITER`, so the handle leaves the waker alone; our reference keeps it.
        unsafe {
            self.header().waiter.with(|slot| {
                if let Some(waker) = &*slot {
                    swallow(|| waker.wake_by_ref());
                }
            });
        }
    }

    /// Returns the result, once, when the task is done.
    ///
    /// # Safety
    /// `T` is the task's own result type, and the caller is its handle.
    #[inline]
    pub(crate) unsafe fn take<T>(&self) -> Option<Output<T>> {
        if !self.state().is_done() {
            return None;
        }
        let mut output: Option<Output<T>> = None;
        // SAFETY: the task is done, so the stage is the handle's; the pointer is to the type the contract names.
        unsafe { (self.header().vtable.take)(self.0, (&raw mut output).cast()) };
        output
    }

    /// The handle goes without the result, which the finisher drops, or the handle if the task is done.
    pub(crate) fn abandon(&self) {
        if !self.state().leave_unclaimed() {
            // SAFETY: the task is done, so the stage is the handle's.
            unsafe { self.stage() }.empty();
        }
    }

    /// Frees the cell.
    ///
    /// # Safety
    /// The count has no reference left, not even this one's.
    pub(super) unsafe fn free(&self) {
        // SAFETY: no other reference exists, and this one is not used after; the vtable is that of the cell.
        unsafe { (self.header().vtable.free)(self.0) };
    }

    /// The header of this cell, for [`reclaim`](crate::task::claimed::reclaim).
    pub(super) fn raw(&self) -> NonNull<Header<M>> {
        self.0
    }
}

impl<M: 'static> Drop for TaskRef<M> {
    #[inline]
    fn drop(&mut self) {
        if self.state().drop_ref() {
            // SAFETY: it was the last reference.
            unsafe { (self.header().vtable.free)(self.0) };
        }
    }
}
