//! [`TaskRef`] and [`Claimed`]: the one allocation of a task, type-erased.
//!
//! A cell holds a header, what the engine wants to remember (`M`), and a stage: first the closure, then the result.
//! Who may touch the stage is decided by [`State`] alone: before `DONE` the claimer, after it the handle.

use std::any::Any;
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::Waker;

use crate::error::TaskError;
use crate::lineage::node::{NodeRef, OnceWeak};
use crate::lineage::queued::TaskLink;
use crate::names::id::{NodeId, TaskId};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::sync::{UnsafeCell, fork};
use crate::task::state::{CancelRequest, Finished, State};

/// What a panic carried.
pub(crate) type Payload = Box<dyn Any + Send>;

/// How a task ends, for its handle.
pub(crate) type Output<T> = Result<T, TaskError>;

/// The part of a cell that does not depend on the closure. The cell begins with it.
pub(crate) struct Header<M: 'static> {
    state: State,
    id: TaskId,
    /// The place it was asked for at, by number: a look from outside keeps nothing alive.
    at: NodeId,
    vtable: &'static VTable<M>,
    /// The queue's link; touched by the queue alone.
    next: UnsafeCell<*mut Header<M>>,
    waiter: UnsafeCell<Option<Waker>>,
    /// The task's own node, once it has one. Weak: a handle keeps the task's result, not its place.
    node: OnceWeak,
    /// Taken by the claimer.
    meta: UnsafeCell<Option<M>>,
    /// In the list of the node that it was submitted at.
    link: TaskLink,
}

struct VTable<M: 'static> {
    run: unsafe fn(NonNull<Header<M>>) -> Result<(), Payload>,
    fail: unsafe fn(NonNull<Header<M>>, TaskError),
    detach: unsafe fn(NonNull<Header<M>>, TaskError) -> Option<Closure>,
    /// The last argument points to an `Option<Output<T>>`.
    take: unsafe fn(NonNull<Header<M>>, *mut ()),
    drop_output: unsafe fn(NonNull<Header<M>>),
    free: unsafe fn(NonNull<Header<M>>),
}

#[repr(C)]
struct Cell<M: 'static, F, T> {
    header: Header<M>,
    stage: UnsafeCell<Stage<F, T>>,
}

enum Stage<F, T> {
    Ready(F),
    Done(Output<T>),
    Empty,
}

impl<M: 'static, F: FnOnce() -> T, T> Cell<M, F, T> {
    const VTABLE: VTable<M> = VTable {
        run: Self::run,
        fail: Self::fail,
        detach: Self::detach,
        take: Self::take,
        drop_output: Self::drop_output,
        free: Self::free,
    };

    /// # Safety
    /// `header` is that of a live `Cell<M, F, T>`, and the caller may touch its stage alone (see the module).
    unsafe fn swap(header: NonNull<Header<M>>, next: Stage<F, T>) -> Stage<F, T> {
        // SAFETY: the cell begins with its header (`repr(C)`), it lives, and the access is exclusive by the contract.
        unsafe { header.cast::<Self>().as_ref().stage.with_mut(|stage| std::mem::replace(&mut *stage, next)) }
    }

    unsafe fn run(header: NonNull<Header<M>>) -> Result<(), Payload> {
        // SAFETY: passed on from the caller, the claimer.
        let stage = unsafe { Self::swap(header, Stage::Empty) };
        let Stage::Ready(f) = stage else { return Ok(()) };
        let ran = catch_unwind(AssertUnwindSafe(f));
        // SAFETY: the claimer's reference keeps the cell.
        fork::end_of(&|| format!("task {}", unsafe { header.as_ref() }.id), ran.is_err());
        let value = ran?;
        // SAFETY: as above.
        unsafe { Self::swap(header, Stage::Done(Ok(value))) };
        Ok(())
    }

    unsafe fn fail(header: NonNull<Header<M>>, error: TaskError) {
        // SAFETY: passed on from the caller, the claimer. The closure is dropped when the cell is in order again.
        let before = unsafe { Self::swap(header, Stage::Done(Err(error))) };
        swallow_drop(before);
    }

    unsafe fn detach(header: NonNull<Header<M>>, error: TaskError) -> Option<Closure> {
        // SAFETY: passed on from the caller, the claimer.
        match unsafe { Self::swap(header, Stage::Done(Err(error))) } {
            // Without anything to drop there is nothing to keep.
            Stage::Ready(f) if needs_drop::<F>() => Some(Closure::new(f)),
            _ => None,
        }
    }

    unsafe fn take(header: NonNull<Header<M>>, to: *mut ()) {
        // SAFETY: passed on from the caller, the handle of a finished task.
        let stage = unsafe { Self::swap(header, Stage::Empty) };
        if let Stage::Done(output) = stage {
            // SAFETY: the caller points to an `Option<Output<T>>` of its own.
            unsafe { *to.cast::<Option<Output<T>>>() = Some(output) };
        }
    }

    unsafe fn drop_output(header: NonNull<Header<M>>) {
        // SAFETY: passed on from the caller: the finisher before `DONE`, or the handle after it.
        swallow_drop(unsafe { Self::swap(header, Stage::Empty) });
    }

    unsafe fn free(header: NonNull<Header<M>>) {
        // SAFETY: the caller held the last reference; the cell came from a `Box` of this type.
        swallow_drop(unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) });
    }
}

/// A closure that was taken out of its task. Dropping this drops it, which is user code.
pub(crate) struct Closure {
    at: NonNull<()>,
    drop: unsafe fn(NonNull<()>),
}

// SAFETY: a task's closure is `Send` (`new_unbounded`), and this owns it.
unsafe impl Send for Closure {}

impl Closure {
    fn new<F>(f: F) -> Self {
        unsafe fn drop_boxed<F>(at: NonNull<()>) {
            // SAFETY: passed on from `Closure::drop`: made by `new` from a box of this type, and dropped once.
            drop(unsafe { Box::from_raw(at.cast::<F>().as_ptr()) });
        }
        Self { at: NonNull::from(Box::leak(Box::new(f))).cast(), drop: drop_boxed::<F> }
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // SAFETY: `new` made both from one type, and nothing else drops it.
        unsafe { (self.drop)(self.at) };
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
    /// `F` and `T` may borrow: the caller lets neither the task nor its result outlive what they borrow.
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

impl<M: 'static> TaskRef<M> {
    #[inline]
    fn header(&self) -> &Header<M> {
        // SAFETY: a reference is held, so the cell lives.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn state(&self) -> &State {
        &self.header().state
    }

    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        self.header().id
    }

    /// The place it was asked for at.
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

    /// Takes the task out of `QUEUED`: for exactly one caller.
    #[inline]
    pub(crate) fn claim(self) -> Result<Claimed<M>, Self> {
        if self.state().claim() { Ok(Claimed(self)) } else { Err(self) }
    }

    /// Asks the task to end early. The claim comes back when it had not started; one that runs is told at its node too,
    /// if it has one.
    pub(crate) fn cancel(&self) -> (CancelRequest, Option<Claimed<M>>) {
        let mut outcome = self.state().request_cancel();
        if outcome == CancelRequest::AtNode {
            outcome = match self.node() {
                Some(place) if place.node().cancel() => CancelRequest::Requested,
                Some(_) => CancelRequest::AskedBefore,
                // The body has ended, and its node with it.
                None => CancelRequest::TooLate,
            };
        }
        let claimed = (outcome == CancelRequest::Claimed).then(|| Claimed(self.another()));
        (outcome, claimed)
    }

    /// The running task's own node, if it has one.
    pub(crate) fn node(&self) -> Option<NodeRef> {
        if self.state().is_node() { self.header().node.upgrade() } else { None }
    }

    /// The running task became this node: whoever asks it to end early finds it there. Called by the task's own thread.
    pub(crate) fn materialized(&self, node: &NodeRef) {
        if self.header().node.set(node) && self.state().became_node() {
            node.node().cancel();
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
        ManuallyDrop::new(Self(unsafe { link.byte_sub(std::mem::offset_of!(Header<M>, link)).cast() }))
    }

    pub(crate) fn into_raw(self) -> NonNull<Header<M>> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` came from `into_raw`, and is turned back once.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header<M>>) -> Self {
        Self(raw)
    }

    /// The link of an intrusive list.
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

    /// Arranges for `waker` to be woken at the end. False when the task is done already. Called by the handle alone.
    /// `ours` is whether it is a blocked thread's of this crate (`pool::park`), which may be woken anywhere.
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
    fn wake_waiter(&self) {
        // SAFETY: `finish` saw `WAITER`, so the handle leaves the waker alone; our reference keeps it.
        unsafe {
            self.header().waiter.with(|slot| {
                if let Some(waker) = &*slot {
                    swallow(|| waker.wake_by_ref());
                }
            });
        }
    }

    /// The result, once, when the task is done.
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

    /// The handle goes without the result: whoever comes last drops it.
    pub(crate) fn abandon(&self) {
        if !self.state().leave_unclaimed() {
            // SAFETY: the task is done, so the stage is the handle's.
            unsafe { (self.header().vtable.drop_output)(self.0) };
        }
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

/// A task taken out of `QUEUED`. Its owner owes its end: [`Claimed::run`] or [`Claimed::fail`], then
/// [`Claimed::finish`].
#[must_use = "a claimed task must be finished, or its handle waits for ever"]
pub(crate) struct Claimed<M: 'static>(TaskRef<M>);

impl<M: 'static> Claimed<M> {
    /// The claim of a task that was claimed by [`State::claim_counted`], with the reference that this added.
    ///
    /// # Safety
    /// Called once after that, with the link of this task.
    pub(crate) unsafe fn from_link(link: NonNull<TaskLink>) -> Self {
        // SAFETY: the added reference keeps the task, and is given to the claim.
        Self(ManuallyDrop::into_inner(unsafe { TaskRef::from_link(link) }))
    }

    #[inline]
    pub(crate) fn task(&self) -> &TaskRef<M> {
        &self.0
    }

    #[inline]
    pub(crate) fn take_meta(&self) -> Option<M> {
        // SAFETY: there is one claimer, and only it touches the memo after the task was made.
        unsafe { self.0.header().meta.with_mut(|meta| (*meta).take()) }
    }

    /// Runs the closure and stores its value; hands back what a panic carried, which is then to be stored by `fail`.
    #[inline]
    pub(crate) fn run(&self) -> Result<(), Payload> {
        // SAFETY: the claimer alone touches the stage before `DONE`.
        unsafe { (self.0.header().vtable.run)(self.0.0) }
    }

    /// Drops the closure, which is not to run. The result is still to be stored by [`fail`](Self::fail).
    pub(crate) fn drop_closure(&self) {
        // SAFETY: the claimer alone touches the stage before `DONE`.
        unsafe { (self.0.header().vtable.drop_output)(self.0.0) };
    }

    /// Stores an error as the result, and drops the closure if it never ran.
    pub(crate) fn fail(&self, error: TaskError) {
        // SAFETY: the claimer alone touches the stage before `DONE`.
        unsafe { (self.0.header().vtable.fail)(self.0.0, error) }
    }

    /// Stores an error as the result and makes it visible, before the closure is dropped: who waits for the result waits
    /// for no user code. Runs none: it wakes blocked threads of ours alone, and hands the rest back.
    pub(crate) fn publish(self, error: TaskError) -> Published<M> {
        // SAFETY: the claimer alone touches the stage before `DONE`.
        let closure = unsafe { (self.0.header().vtable.detach)(self.0.0, error) };
        let task = ManuallyDrop::new(self.0);
        let unwoken = loop {
            match task.state().finish(true) {
                Finished::LetGo => break None,
                Finished::LastOne => {
                    // SAFETY: it was the last reference.
                    unsafe { (task.header().vtable.free)(task.0) };
                    break None;
                }
                Finished::Waited { ours } => {
                    let task = ManuallyDrop::into_inner(task);
                    if !ours {
                        break Some(Unwoken(task));
                    }
                    task.wake_waiter();
                    break None;
                }
                // SAFETY: the task is not done, so the stage is still the claimer's. It holds the error, no user's value.
                Finished::Unclaimed => unsafe { (task.header().vtable.drop_output)(task.0) },
            }
        };
        Published { closure, unwoken }
    }

    /// Makes the result visible and wakes whoever waits for it. An unclaimed result is dropped first.
    ///
    /// Wakers and results' drops are user code: they are run by `foreign`, which calls what it is given once.
    #[inline]
    pub(crate) fn finish(self, mut foreign: impl FnMut(Foreign, &mut dyn FnMut())) {
        let task = ManuallyDrop::new(self.0);
        loop {
            match task.state().finish(true) {
                Finished::LetGo => return,
                Finished::LastOne => {
                    // SAFETY: it was the last reference.
                    unsafe { (task.header().vtable.free)(task.0) };
                    return;
                }
                Finished::Waited { ours } => {
                    let mut wake = || task.wake_waiter();
                    if ours {
                        wake()
                    } else {
                        foreign(Foreign::Waker, &mut wake)
                    }
                    drop(ManuallyDrop::into_inner(task));
                    return;
                }
                Finished::Unclaimed => {
                    foreign(Foreign::Drop, &mut || {
                        // SAFETY: the task is not done, so the stage is still the claimer's.
                        unsafe { (task.header().vtable.drop_output)(task.0) }
                    })
                }
            }
        }
    }
}

/// What is left of a task that was [published](Claimed::publish): user code that is still to run.
#[must_use]
pub(crate) struct Published<M: 'static> {
    pub(crate) closure: Option<Closure>,
    pub(crate) unwoken: Option<Unwoken<M>>,
}

/// A task that has ended and whose waiter is to be told.
pub(crate) struct Unwoken<M: 'static>(TaskRef<M>);

impl<M: 'static> Unwoken<M> {
    pub(crate) fn wake(self) {
        self.0.wake_waiter();
    }
}

/// What `finish` runs of a user's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The drop of a result that nobody takes. The task has not ended before.
    Drop,
    /// A waker. The task has ended.
    Waker,
}

/// A task that never got into a queue, with its closure still of a known type.
///
/// # Safety
/// `task` was made from an `F`, by `new_unbounded`, with result `T`, and the caller has claimed it.
pub(crate) unsafe fn reclaim<M: 'static, F: FnOnce() -> T, T>(claimed: Claimed<M>) -> Option<F> {
    // SAFETY: the claimer alone touches the stage; the types are those the contract names.
    let stage = unsafe { Cell::<M, F, T>::swap(claimed.0.0, Stage::Empty) };
    drop(claimed.take_meta());
    claimed.finish(|_, f| f());
    match stage {
        Stage::Ready(f) => Some(f),
        _ => None,
    }
}
