//! [`Claimed`]: a task taken out of `QUEUED`, and its end.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};

use crate::error::{CancelReason, TaskError};
use crate::lineage::queued::TaskLink;
use crate::sync::Cell;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow_drop;
use crate::task::body::{Closure, Job};
use crate::task::cell::{HandleRef, Payload, Stage, Staged, TaskCell, TaskRef};
use crate::task::state::{CancelRequest, Finished};
use crate::timer::deadlines::{Owner, deadlines};

/// A task taken out of `QUEUED`. Its owner owes its end: [`Claimed::run`] or [`Claimed::fail`], then
/// [`Claimed::finish`]. Not `Sync`: a reference to it reaches the task's stage.
#[must_use = "a claimed task must be finished, or its handle waits for ever"]
pub(crate) struct Claimed<M: 'static>(TaskRef<M>, NotSync);

type NotSync = PhantomData<std::cell::Cell<()>>;

/// The user code that is left of a task that was [published](Claimed::publish), still to be run.
#[must_use]
pub(crate) struct Published<M: 'static> {
    pub(crate) closure: Option<Closure>,
    pub(crate) unwoken: Option<Unwoken<M>>,
}

/// A task that has ended and whose waiter is to be woken.
pub(crate) struct Unwoken<M: 'static>(TaskRef<M>);

impl<M: 'static> TaskRef<M> {
    /// Takes the task out of `QUEUED`: for exactly one caller.
    #[inline]
    pub(crate) fn claim(self) -> Result<Claimed<M>, Self> {
        if self.state().claim() { Ok(Claimed(self, PhantomData)) } else { Err(self) }
    }

    /// Takes the task out of `PROMISED`: for exactly one caller.
    pub(crate) fn claim_promised(self) -> Result<Claimed<M>, Self> {
        if self.state().claim_promised() { Ok(Claimed(self, PhantomData)) } else { Err(self) }
    }

    /// Returns the pool of a queued task, and `None` once the task has left `QUEUED`.
    ///
    /// # Safety
    /// The caller is the task's handle. The address is that of the `Arc<P>` that the task's finisher gives to
    /// [`Claimed::end`], which lives until the task has finished.
    #[inline]
    pub(crate) unsafe fn look<P>(&self, pool: NonNull<P>) -> Option<Arc<P>> {
        if !self.state().begin_look() {
            return None;
        }
        // SAFETY: the task was queued when the look began. Its finisher comes after the look's end, or sees the look and
        // hands over one reference. So the pool lives until `end_look`, and after that by the reference taken here.
        // `HELD` is the reference that the finisher forgot for this look.
        unsafe {
            Arc::increment_strong_count(pool.as_ptr());
            if self.state().end_look() {
                Arc::decrement_strong_count(pool.as_ptr());
            }
            Some(Arc::from_raw(pool.as_ptr()))
        }
    }

    /// Requests that the task ends early. Returns the claim of a task that had not started. The request to a running
    /// task goes to its node, if it has one.
    pub(crate) fn cancel(&self, reason: CancelReason) -> (CancelRequest, Option<Claimed<M>>) {
        let mut outcome = self.state().request_cancel(reason);
        if outcome == CancelRequest::AtNode {
            outcome = match self.node() {
                Some(place) if place.node().cancel(reason) => CancelRequest::Requested,
                Some(_) => CancelRequest::AskedBefore,
                // The body has ended, and its node with it.
                None => CancelRequest::TooLate,
            };
        }
        let claimed = (outcome == CancelRequest::Claimed).then(|| Claimed(self.another(), PhantomData));
        (outcome, claimed)
    }
}

impl<M: 'static> Claimed<M> {
    /// The claim of a task that [`State::claim_counted`](crate::task::state::State::claim_counted) claimed, with the
    /// reference that it added.
    ///
    /// # Safety
    /// Called once after that, with the link of this task.
    pub(crate) unsafe fn from_link(link: NonNull<TaskLink>) -> Self {
        // SAFETY: the added reference keeps the task, and is given to the claim.
        Self(unsafe { TaskRef::from_raw(link.cast()) }, PhantomData)
    }

    #[inline]
    pub(crate) fn task(&self) -> &TaskRef<M> {
        &self.0
    }

    #[inline]
    fn stage(&self) -> &dyn Staged<'static> {
        // SAFETY: a task has one claim, made when it left `QUEUED`, and the task is not done while the claim exists:
        // `end` consumes it.
        unsafe { self.0.stage() }
    }

    #[inline]
    pub(crate) fn take_meta(&self) -> Option<M> {
        self.0.header().meta.take()
    }

    /// Runs the closure and stores its value. The error is the payload of its panic, which is then to be stored by
    /// `fail`.
    #[inline]
    pub(crate) fn run(&self) -> Result<(), Payload> {
        self.stage().run(self.0.id())
    }

    /// Drops the closure, which is not to run, or the result, which no handle takes.
    pub(crate) fn drop_stage(&self) {
        self.stage().empty();
    }

    /// Stores an error as the result, and then drops the closure if it never ran.
    pub(crate) fn fail(&self, error: TaskError) {
        swallow_drop(self.stage().detach(error));
    }

    /// Stores an error as the result and makes it visible before the closure is dropped, so a waiter for the result
    /// waits for no user code. Runs no user code: it wakes blocked threads of this crate, and returns the rest.
    pub(crate) fn publish<P>(self, pool: &Arc<P>, error: TaskError) -> Published<M> {
        let closure = self.stage().detach(error).map(Closure::new);
        let unwoken = self.end(pool, Self::drop_stage);
        Published { closure, unwoken }
    }

    /// Ends the task with all its user code: the drop of an unclaimed result, and the waker.
    pub(crate) fn finish<P>(self, pool: &Arc<P>) {
        self.end(pool, Self::drop_stage).into_iter().for_each(Unwoken::wake);
    }

    /// Makes the result visible, and wakes a waiter that is a blocked thread of this crate. Returns any other waiter.
    ///
    /// A result that no handle takes is dropped before, by `drop_unclaimed`: user code. A handle that looks at the pool gets
    /// a reference to it.
    #[inline]
    pub(crate) fn end<P>(self, pool: &Arc<P>, mut drop_unclaimed: impl FnMut(&Self)) -> Option<Unwoken<M>> {
        let claimed = ManuallyDrop::new(self);
        loop {
            match claimed.task().state().finish() {
                Finished::LetGo => return None,
                Finished::Timed => deadlines().forget(Owner::Task(claimed.task().id())),
                Finished::Looked => {
                    let kept = Arc::clone(pool);
                    if claimed.task().state().hand_over() {
                        // The handle gives it back: see `TaskRef::look`.
                        mem::forget(kept);
                    }
                }
                Finished::LastOne => {
                    drop(ManuallyDrop::into_inner(claimed));
                    return None;
                }
                Finished::Waited { ours } => {
                    let unwoken = Unwoken(ManuallyDrop::into_inner(claimed).0);
                    if !ours {
                        return Some(unwoken);
                    }
                    unwoken.wake();
                    return None;
                }
                // The task is not done, so the stage is still the claimer's.
                Finished::Unclaimed => drop_unclaimed(&claimed),
            }
        }
    }
}

impl<M: 'static, F: Job, T> HandleRef<M, F, T> {
    /// Ends a task that did not start, and returns its closure. `claimed` is the claim of this very task.
    pub(crate) fn reclaim<P>(&self, claimed: Claimed<M>, pool: &Arc<P>) -> Option<F> {
        let stage = ptr::eq(claimed.task().as_raw(), self.as_raw()).then(|| {
            // SAFETY: `new` made the cell of these types, and the cell lives. The claimer alone touches the stage.
            let cell = unsafe { self.cell().cast::<TaskCell<M, Cell<Stage<F, T>>>>().as_ref() };
            cell.stage.replace(Stage::Empty(PhantomData))
        });
        drop(claimed.take_meta());
        claimed.finish(pool);
        match stage {
            Some(Stage::Ready(f)) => Some(f),
            _ => None,
        }
    }
}

impl<M: 'static> Unwoken<M> {
    #[inline]
    pub(crate) fn wake(self) {
        self.0.wake_waiter();
    }
}
