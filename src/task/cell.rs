//! [`TaskRef`]: a counted reference to a task, which is one allocation, type-erased.
//!
//! A cell holds a header, the engine's metadata (`M`), and a *stage*: first the closure, then the result. [`State`]
//! alone decides which thread may touch the stage: before `DONE` the claimer, after it the handle.

use std::any::Any;
use std::marker::PhantomData;
use std::mem::{self, needs_drop};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::error::TaskError;
use crate::lineage::node::{NodeRef, OnceWeak};
use crate::lineage::queued::TaskLink;
use crate::names::id::{NodeId, TaskId};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::sync::{Cell, fork};
use crate::task::body::{Body, Dropped, Job};
use crate::task::state::State;
use crate::task::stored::Stored;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A task's result, as its handle gets it.
pub(crate) type Output<T> = Result<T, TaskError>;

/// The part of a cell that does not depend on the closure. The cell begins with it, and it begins with the link: all
/// three have one address.
#[repr(C)]
pub(crate) struct Header<M: 'static> {
    /// The link in the list of the node that the task was submitted at.
    link: TaskLink,
    state: State,
    /// Returns the cell of this header: [`erased`] for its closure. A function is one word, and the cell with its table
    /// would be two, of each queued task.
    cell: fn(NonNull<Header<M>>) -> NonNull<AnyCell<'static, M>>,
    id: TaskId,
    /// The queue's link.
    next: Cell<*mut Header<M>>,
    /// The id of the node that the task was submitted at. A number keeps nothing alive.
    at: NodeId,
    waiter: Cell<Option<Waker>>,
    /// The task's own node, once it has one. Weak: a handle keeps the task's result, not its node. Before that it keeps
    /// the rank, where the queue has an order.
    pub(super) node: OnceWeak,
    /// Taken by the claimer.
    pub(super) meta: Cell<Option<M>>,
}

#[repr(C)]
pub(super) struct TaskCell<M: 'static, S: ?Sized> {
    header: Header<M>,
    pub(super) stage: S,
}

/// A cell whose closure and result have any type.
pub(super) type AnyCell<'f, M> = TaskCell<M, dyn Staged<'f> + 'f>;

/// The closure or the result of a task, which borrow nothing that ends before `'f`.
pub(super) trait Staged<'f> {
    /// Runs the closure, if it is there, and stores its value. The error is the payload of its panic.
    fn run(&self, task: TaskId) -> Result<(), Payload>;

    /// Stores an error, and returns the closure if it is there and has a drop.
    fn detach(&self, error: TaskError) -> Option<Box<dyn Dropped + 'f>>;

    /// Moves the result out, if it is there. May run user code, which makes the result from what is [stored](Stored).
    ///
    /// # Safety
    /// The argument points to an `Option<Output<T>>` of the caller's, with the `T` of this task.
    unsafe fn take(&self, to: *mut ());

    /// Drops the closure or the result, which is user code.
    fn empty(&self);
}

/// A `T` is the task's result. The closure's own output is kept until the handle takes the result.
pub(super) enum Stage<F: Job, T> {
    Ready(F),
    Done(Output<F::Output>),
    Empty(PhantomData<fn() -> T>),
}

impl<'f, F, T> Staged<'f> for Cell<Stage<F, T>>
where
    F: Job<Output: Stored<T> + 'f> + Send + 'f,
    T: 'f,
{
    fn run(&self, task: TaskId) -> Result<(), Payload> {
        let Stage::Ready(f) = self.replace(Stage::Empty(PhantomData)) else { return Ok(()) };
        // The stage is not borrowed meanwhile: where the closure ends the process, its exit fails this task.
        let ran = catch_unwind(AssertUnwindSafe(|| f.run()));
        fork::end_of(&|| format!("task {task}"), ran.is_err());
        self.set(Stage::Done(Ok(ran?)));
        Ok(())
    }

    fn detach(&self, error: TaskError) -> Option<Box<dyn Dropped + 'f>> {
        match self.replace(Stage::Done(Err(error))) {
            // A closure without a drop need not be kept.
            Stage::Ready(f) if needs_drop::<F>() => Some(Box::new(f)),
            // An exit within the task fails one that has its value.
            before => {
                swallow_drop(before);
                None
            }
        }
    }

    unsafe fn take(&self, to: *mut ()) {
        if let Stage::Done(output) = self.replace(Stage::Empty(PhantomData)) {
            let output: Output<T> = Stored::open(output);
            // SAFETY: the caller points to an `Option<Output<T>>` of its own.
            unsafe { *to.cast::<Option<Output<T>>>() = Some(output) };
        }
    }

    fn empty(&self) {
        swallow_drop(self.replace(Stage::Empty(PhantomData)));
    }
}

/// A counted reference to a task.
pub(crate) struct TaskRef<M: 'static>(NonNull<Header<M>>);

// SAFETY: a task is made of a closure, a result and metadata that are `Send`. The cells of one are touched by one thread
// at a time: the stage and `next` by callers who promise it, `meta` by the one claim, and `waiter` by the handle and the
// finisher, in the turns that `State` sets. The rest is atomic.
unsafe impl<M: 'static> Send for TaskRef<M> {}
// SAFETY: as for `Send`.
unsafe impl<M: 'static> Sync for TaskRef<M> {}

/// The reference of a task's handle, with the types that the task was made of.
pub(crate) struct HandleRef<M: 'static, F, T> {
    task: TaskRef<M>,
    types: PhantomData<fn(F) -> T>,
}

impl<M: 'static, F, T> HandleRef<M, F, T> {
    pub(crate) fn into_task(self) -> TaskRef<M> {
        self.task
    }
}

impl<M: 'static, F, T> Deref for HandleRef<M, F, T> {
    type Target = TaskRef<M>;

    fn deref(&self) -> &TaskRef<M> {
        &self.task
    }
}

/// Returns the cell of a header, as one of any closure.
fn erased<'f, M, F, T>(header: NonNull<Header<M>>) -> NonNull<AnyCell<'static, M>>
where
    F: Job<Output: Stored<T> + 'f> + Send + 'f,
    T: 'f,
{
    let cell: NonNull<AnyCell<'f, M>> = header.cast::<TaskCell<M, Cell<Stage<F, T>>>>();
    // SAFETY: only the lifetime of a pointer's type changes. The maker of the task's `Body` lets neither the task, nor its
    // closure, nor its result outlive what they borrow.
    unsafe { mem::transmute::<NonNull<AnyCell<'f, M>>, NonNull<AnyCell<'static, M>>>(cell) }
}

impl<M: Send + 'static> TaskRef<M> {
    /// Makes a task with two references: the queue's and the handle's.
    #[inline]
    pub(crate) fn new<'f, F, T>(id: TaskId, at: NodeId, meta: M, body: Body<F>) -> (Self, HandleRef<M, F, T>)
    where
        F: Job<Output = T> + Send + 'f,
        T: Send + 'f,
    {
        Self::storing(id, at, meta, body)
    }

    /// The same for a closure whose output is [stored](Stored), and becomes the result when the handle takes it.
    #[inline]
    pub(crate) fn storing<'f, F, T>(id: TaskId, at: NodeId, meta: M, body: Body<F>) -> (Self, HandleRef<M, F, T>)
    where
        F: Job<Output: Stored<T> + Send + 'f> + Send + 'f,
        T: Send + 'f,
    {
        let header = Header {
            link: TaskLink::new(),
            state: State::new(2),
            cell: erased::<M, F, T>,
            id,
            next: Cell::new(ptr::null_mut()),
            at,
            waiter: Cell::new(None),
            node: OnceWeak::new(),
            meta: Cell::new(Some(meta)),
        };
        let cell = Box::leak(Box::new(TaskCell { header, stage: Cell::new(Stage::<F, T>::Ready(body.into_inner())) }));
        let header = NonNull::from(cell).cast();
        (Self(header), HandleRef { task: Self(header), types: PhantomData })
    }
}

impl<M: 'static> TaskRef<M> {
    #[inline]
    pub(super) fn header(&self) -> &Header<M> {
        // SAFETY: a reference is held, so the cell lives.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn cell(&self) -> NonNull<AnyCell<'static, M>> {
        (self.header().cell)(self.0)
    }

    /// Returns the stage of the task.
    ///
    /// # Safety
    /// While the answer is used, the caller alone touches the stage: it has claimed the task, which is not done; or the
    /// task is done, and the caller is its handle.
    #[inline]
    pub(super) unsafe fn stage(&self) -> &dyn Staged<'static> {
        // SAFETY: the cell lives as long as its reference.
        unsafe { &self.cell().as_ref().stage }
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
        self.as_raw().cast_const().cast()
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
        if self.header().node.set(node)
            && let Some(reason) = self.state().became_node()
        {
            node.node().cancel(reason);
        }
    }

    /// The task's link in the list of its node.
    #[inline]
    pub(crate) fn link(&self) -> NonNull<TaskLink> {
        self.0.cast()
    }

    pub(crate) fn as_raw(&self) -> *mut Header<M> {
        self.0.as_ptr()
    }

    /// # Safety
    /// `raw` came from `as_raw`, or is the address of a link, and the answer is used, or dropped, in the place of a
    /// reference that is held.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header<M>>) -> Self {
        Self(raw)
    }

    /// Returns the link of an intrusive list.
    ///
    /// # Safety
    /// While the answer is used, the caller alone changes the link: it holds the lock of the list that the task is in, or
    /// the reference that is about to be in one.
    pub(crate) unsafe fn next(&self) -> &Cell<*mut Header<M>> {
        &self.header().next
    }

    /// Registers the handle's waker, to be woken at the end. False when the task is done already. Called by the handle
    /// alone.
    ///
    /// `ours` says that the waker is that of a blocked thread of this crate (`wait::park`), which runs no user code.
    pub(crate) fn register(&self, waker: &Waker, ours: bool) -> bool {
        if !self.state().clear_waiter() {
            return false;
        }
        // `WAITER` is clear and the task was not done, so the finisher does not look at the waker. The handle is not
        // shared: it registers through `&mut` or by value.
        let waiter = &self.header().waiter;
        match waiter.take() {
            Some(old) if old.will_wake(waker) => waiter.set(Some(old)),
            old => {
                waiter.set(Some(waker.clone()));
                drop(old);
            }
        }
        self.state().set_waiter(ours)
    }

    /// Called by the finisher, once, after its `finish` saw the waiter.
    pub(super) fn wake_waiter(&self) {
        // `finish` saw `WAITER`, so the handle leaves the waker alone. The waker ends with the cell.
        let waiter = &self.header().waiter;
        if let Some(waker) = waiter.take() {
            swallow(|| waker.wake_by_ref());
            waiter.set(Some(waker));
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
        unsafe { self.stage().take((&raw mut output).cast()) };
        output
    }

    /// The handle goes without the result, which the finisher drops, or the handle if the task is done.
    pub(crate) fn abandon(&self) {
        if !self.state().leave_unclaimed() {
            // SAFETY: the task is done, so the stage is the handle's.
            unsafe { self.stage() }.empty();
        }
    }
}

impl<M: 'static> Drop for TaskRef<M> {
    #[inline]
    fn drop(&mut self) {
        if self.state().drop_ref() {
            let cell = self.cell();
            // SAFETY: it was the last reference, and the cell came from a `Box`.
            swallow_drop(unsafe { Box::from_raw(cell.as_ptr()) });
        }
    }
}
