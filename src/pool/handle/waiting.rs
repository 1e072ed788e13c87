//! [`Awaited`]: the waits of a task's handle, for every type of result.

use std::ptr;
use std::task::Waker;

use crate::error::{CancelReason, TaskError};
use crate::names::namespace::Namespace;
#[cfg(feature = "tokio")]
use crate::pool::blocking::release::may_run_in_place;
use crate::pool::blocking::release::{PermitsReleased, with_own_pool};
use crate::pool::blocking::{lend, local, release};
use crate::pool::context::frame::{self, Frame};
use crate::pool::context::thread::{Initialising, with_initialising, with_innermost};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{PoolAddress, Task};
use crate::pool::core::{cause, claimed};
use crate::pool::run::evict::Evicted;
use crate::pool::run::worker::Lend;
use crate::pool::run::{depth, evict, task};
#[cfg(feature = "tokio")]
use crate::runtime;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::wait::graph::{self, ClosesCircle, Ends, IsQueued, Label, Target};
use crate::wait::park;

/// An accepted task without the type of its result.
pub(crate) struct Awaited {
    pub(crate) task: Task,
    /// For comparisons, and for use while a claim by this handle keeps the pool alive.
    pub(super) pool: PoolAddress,
}

/// The code that polls a handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Poller {
    /// A future, or a stream.
    Future,
    /// A thread that blocks until the task has ended.
    Waiter,
    /// A thread that blocks until a deadline. A task that ran in place could outlast it.
    Timed,
}

impl Awaited {
    pub(super) fn new(task: Task, pool: &Arc<Pool>) -> Self {
        Self { task, pool: PoolAddress::of(pool) }
    }

    pub(super) fn address(&self) -> *const Pool {
        self.pool.get::<Pool>().as_ptr()
    }

    /// Cancels the task together with others, if it has not begun.
    pub(super) fn evict(&self, evicted: &mut Evicted) {
        let Ok(claimed) = self.task.another().claim().or_else(Task::claim_promised) else { return };
        if let Some((pool, meta)) = claimed::take(&claimed) {
            let cause = cause::at_task(&self.task, CancelReason::Request);
            evicted.add(&pool, claimed, meta, TaskError::cancelled(self.task.id(), &pool.namespace, cause));
        }
    }

    /// The slow half of [`join`](Self::join). It is not inlined, since its locals would be on the stack of every task
    /// that runs inside another one.
    #[inline(never)]
    pub(super) fn wait(&self) -> Result<(), TaskError> {
        let deep = release::release_if_deep();
        if self.ends_without_sleep(deep.is_none() && depth::is_deep()) {
            return Ok(());
        }
        self.block(Ends::WhenTold, |_| {}).map_err(|why| self.would_deadlock(why))
    }

    /// Runs the task here, if that was not tried before, or spins for its end. Returns whether it has ended.
    pub(super) fn ends_without_sleep(&self, may_run: bool) -> bool {
        (may_run && self.run_in_place(true))
            || park::spin_until(|| self.task.state().is_done())
            || (!depth::is_deep() && self.lend(Lend::NextTask))
    }

    /// As `wait`, for a task that borrows.
    #[inline(never)]
    pub(super) fn wait_borrowing(&self) {
        let deep = release::release_if_deep();
        if !self.ends_without_sleep(deep.is_none() && depth::is_deep())
            && let Err(why) = self.block(Ends::WhenTold, |_| {})
            && !self.end_queued(why)
        {
            // The first wait was refused and the task runs, so this one is never refused.
            let _ = self.block(Ends::Never, |_| {});
        }
    }

    /// Ends a queued task with the circle as its error. Returns false if it was claimed before.
    pub(super) fn end_queued(&self, why: ClosesCircle) -> bool {
        let Ok(claimed) = self.task.another().claim() else { return false };
        if let Some((pool, meta)) = claimed::take(&claimed) {
            let error = TaskError::deadlock(self.task.id(), &pool.namespace, why.circle);
            evict::end_unrun(&pool, claimed, meta, error);
        }
        true
    }

    /// Releases the caller's permits and blocks until the task has ended; `poll` is called with each look. The error is
    /// the circle that the wait would close.
    pub(super) fn block(&self, ends: Ends, mut poll: impl FnMut(&Waker)) -> Result<(), ClosesCircle> {
        let mut released = PermitsReleased::begin();
        // The permits are released before the check, because the pool may reach its bound of waits at any time. The
        // awaited task may never get a permit that this wait holds.
        if release::holds_permit(self.address()) {
            // A task that runs in place is no part of a wait.
            drop(released);
            if self.run_in_place(true) {
                return Ok(());
            }
            released = PermitsReleased::begin();
        }
        released.waits_for(Target::Task(self.target()), Label::Task, ends)?;
        park::block_until(None, |waker| {
            poll(waker);
            !self.task.register(waker, true) || released.is_refused()
        });
        match released.refusal() {
            Some(why) if !self.task.state().is_done() => Err(why),
            _ => Ok(()),
        }
    }

    /// The task as a target for the search for circles.
    pub(super) fn target(&self) -> graph::Task {
        let queued = self.task.state().is_queued().then(|| Arc::new(self.task.another()) as Arc<dyn IsQueued>);
        graph::Task { id: self.task.id(), pool: self.address().addr(), queued }
    }

    pub(super) fn would_deadlock(&self, why: ClosesCircle) -> TaskError {
        let pool = why.task.map_or(Namespace::DEFAULT, |(_, pool)| pool);
        TaskError::deadlock(self.task.id(), &pool, why.circle)
    }

    /// The error of a wait here that would never end by itself, for a task that has not ended.
    pub(super) fn never_ends(&self) -> Option<TaskError> {
        self.waits_for_itself().or_else(|| self.is_the_parents()).or_else(|| self.needs_a_state_held_here())
    }

    /// The error for a join of a queued task that needs the calling thread's state, which an outer task uses.
    pub(super) fn needs_a_state_held_here(&self) -> Option<TaskError> {
        let state = self.task.state();
        if !(state.is_stateful() && state.is_queued()) {
            return None;
        }
        // A thread with a state is one of the pool's own, where the outermost task brought a permit.
        let lent = |pool: &&Arc<Pool>| pool.kind.state_is_lent();
        with_innermost(|inner| {
            let pool =
                frame::bringers(inner).find(|frame| frame.is_of(self.address())).map(Frame::pool).filter(lent)?;
            Some(TaskError::state_in_use(self.task.id(), &pool.namespace))
        })
    }

    /// The error in a fork, where no thread ends the task.
    pub(super) fn is_the_parents(&self) -> Option<TaskError> {
        // SAFETY: the task has not ended. Nothing counts it out of its pool here, so the pool holds itself.
        fork::is_fork()
            .then(|| TaskError::forked(self.task.id(), unsafe { &self.pool.get::<Pool>().as_ref().namespace }))
    }

    /// The error for a join that waits for the calling code itself: for a task of this stack, or from the initialiser
    /// that the task's pool needs first.
    fn waits_for_itself(&self) -> Option<TaskError> {
        // A queued task is on no stack.
        let is_it = |frame: &&Frame<'_>| frame.task_address() == Some(self.task.address());
        let own = |inner: Option<&Frame<'_>>| {
            let pool = inner.filter(|_| !self.task.state().is_queued())?.outwards_to_joiner().find(is_it)?.pool();
            Some(TaskError::from_own_task(self.task.id(), &pool.namespace))
        };
        let needs_initialiser = |this: Option<&Initialising>| {
            let pool = this.map(|this| this.pool).filter(|pool| ptr::eq(Arc::as_ptr(pool), self.address()))?;
            Some(TaskError::from_own_task(self.task.id(), &pool.namespace))
        };
        with_innermost(own).or_else(|| with_initialising(needs_initialiser))
    }

    /// Runs the task here if it is queued and this thread is a worker of its pool. `waits` is whether the caller would
    /// otherwise block.
    pub(super) fn run_in_place(&self, waits: bool) -> bool {
        with_own_pool(self.address(), |own| match own {
            None => local::run_exactly(&self.task, self.address(), waits),
            Some(pool) => {
                let Ok(claimed) = self.task.another().claim() else { return false };
                task::run_in_place(pool, claimed, false);
                true
            }
        })
    }

    /// Runs the task here if it is the next to start in a leased pool with a free permit, and this thread may.
    #[inline]
    pub(super) fn lend(&self, when: Lend) -> bool {
        lend::lend(&self.task, self.pool, when)
    }

    /// Waits for a task that a poll would run in place inside of a runtime's future, where `block_on` and a portal are
    /// refused: whether the task may use them would depend on whether a worker had started it. Another thread of the
    /// pool runs it. Does not wait where the caller's permit is held, or where the wait would close a circle: such a
    /// task runs in place.
    #[cfg(feature = "tokio")]
    pub(super) fn run_outside_a_runtime(&self) {
        let queued = self.task.state().is_queued() && may_run_in_place(self.address());
        if queued && runtime::runs_a_future() {
            let _ = self.block(Ends::WhenTold, |_| {});
        }
    }
}

impl IsQueued for Task {
    fn is_queued(&self) -> bool {
        self.state().is_queued()
    }
}
