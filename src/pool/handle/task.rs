//! [`TaskHandle`]: the handle of one accepted task.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{CancelReason, Error};
use crate::names::id::TaskId;
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::polled;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Task, TaskMeta};
use crate::pool::handle::waiting::{Awaited, Poller};
use crate::pool::report::{CancelOutcome, TaskStatus};
use crate::pool::run::worker::Lend;
use crate::pool::run::{cancel_task, deadline, depth};
use crate::sync::os::Arc;
use crate::task::cell::{HandleRef, Output};
use crate::task::state::CancelRequest;
use crate::wait::graph::{Ends, Target};
use crate::wait::park;

/// The handle of one accepted task. Its drop detaches the task.
///
/// A detached task runs all the same, and its result is dropped. [`cancel_on_drop`](Self::cancel_on_drop) makes the
/// drop cancel the task instead. The drop does not wait. The handle is also a [`Future`], on any runtime. It borrows
/// nothing and may go to any thread.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(2))?;
/// let sum = pool.submit(|| (1..=10).sum::<i32>())?;
/// assert_eq!(sum.join()?, 55);
///
/// let fails = pool.submit(|| -> i32 { panic!("no") })?;
/// assert!(fails.join().unwrap_err().is_panic());
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping the handle detaches the task; its result and its panic are lost"]
pub struct TaskHandle<T> {
    pub(super) awaited: Awaited,
    result: PhantomData<fn() -> T>,
}

impl<T> Unpin for TaskHandle<T> {}

impl<T> TaskHandle<T> {
    /// The handle of a task that was submitted to the pool.
    pub(crate) fn new<F>(task: HandleRef<TaskMeta, F, T>, pool: &Arc<Pool>) -> Self {
        Self { awaited: Awaited::new(task.into_task(), pool), result: PhantomData }
    }

    /// Returns the task's id. Ids are never reused.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.awaited.task.id()
    }

    /// Returns whether the task has ended, so that `join` returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.awaited.task.state().is_done()
    }

    /// Returns the task's step in its life: queued, running or finished.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        let state = self.awaited.task.state();
        if state.is_done() {
            TaskStatus::Finished
        } else if state.is_unbegun() {
            TaskStatus::Queued
        } else {
            TaskStatus::Running
        }
    }

    /// Cancels the task. Does not wait. Returns whether the request is new, a repeated one, or too late.
    ///
    /// A queued task ends now, as cancelled, and never starts. Its waiters are woken before its closure is dropped,
    /// which happens on this thread. A running task sees the request at its next [`checkpoint`](crate::checkpoint) or
    /// [`sleep`](crate::sleep). So do the tasks and threads that it has submitted or started since it became a node of
    /// the tree. In a fork's child it changes nothing, and returns
    /// [`AlreadyFinished`](CancelOutcome::AlreadyFinished): the task is the parent's.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(1))?;
    /// use std::sync::mpsc;
    /// use heirloom::CancelOutcome;
    ///
    /// let (open, gate) = mpsc::channel::<()>();
    /// let first = pool.submit(move || gate.recv())?; // acquires the only permit
    /// let second = pool.submit(|| "never runs")?;
    /// assert_eq!(second.cancel(), CancelOutcome::Requested);
    /// assert!(second.join().is_err_and(|error| error.is_cancelled()));
    /// open.send(()).unwrap();
    /// first.join()?.unwrap();
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn cancel(&self) -> CancelOutcome {
        let outcome = cancel_task::cancel(&self.awaited.task, CancelReason::Request);
        match outcome {
            CancelRequest::Claimed | CancelRequest::Requested => CancelOutcome::Requested,
            CancelRequest::AskedBefore | CancelRequest::AtNode => CancelOutcome::AlreadyRequested,
            CancelRequest::TooLate => CancelOutcome::AlreadyFinished,
        }
    }

    /// Cancels the task at a deadline, `d` from now, whether it is queued or runs then. Returns the handle.
    ///
    /// The time counts from this call, so it contains the time in the queue; for the run alone there is
    /// [`PoolConfig::task_timeout`](crate::PoolConfig::task_timeout). The deadline survives the drop of the handle, and a
    /// task that ends removes it. A further call moves it, earlier or later, until it has passed.
    ///
    /// At the deadline the task is cancelled as by [`cancel`](Self::cancel), with the reason
    /// [`CancelReason::Deadline`](crate::CancelReason::Deadline). The task may acknowledge the request
    /// ([`acknowledge_cancel`](crate::acknowledge_cancel)), which ends the deadline. A time of zero cancels at once. Costs
    /// about 0.3 µs; a task that starts with a deadline becomes a node of the tree, in one or two microseconds. A fork's
    /// child sets none.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(1))?;
    /// use std::time::Duration;
    /// use heirloom::ErrorKind;
    ///
    /// let slow = pool.submit(|| heirloom::sleep(Duration::from_secs(3600)))?.timeout(Duration::from_millis(5));
    /// let kind = match slow.join() {
    ///     Ok(slept) => slept.unwrap_err().kind(),
    ///     Err(queued) => queued.kind(), // it had not started
    /// };
    /// assert_eq!(kind, ErrorKind::DeadlineExceeded);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn timeout(self, d: Duration) -> Self {
        // A time that the clock cannot express never ends.
        match park::after(d) {
            Some(at) => deadline::set_for_task(&self.awaited.task, at),
            None => deadline::remove_from_task(&self.awaited.task),
        }
        self
    }

    /// Waits until the task has ended, and returns its value.
    ///
    /// On a worker of the same pool a queued task runs here and now, in place. A leased pool's task may run here too: where no
    /// worker is quicker, the task is the next to start and a permit is free, the joiner lends its thread. The task then meets
    /// all that this thread holds, such as a lock or a borrowed `RefCell`; see
    /// [which thread runs a task](crate::guide::waiting#which-thread-runs-a-task). Every other wait spins for a moment and
    /// parks. The running task's permit is released meanwhile, and a cancel of the caller does not interrupt the wait.
    ///
    /// # Errors
    /// - The task's panic, with its payload.
    /// - The task was cancelled, or could not run.
    /// - At once, where the wait would never end: the caller joins itself, the process is a fork of the task's process,
    ///   or the task waits, directly or through others, for a result or a permit of the caller
    ///   ([`ErrorKind::WouldDeadlock`](crate::ErrorKind::WouldDeadlock)). In that last case the task goes on, detached.
    pub fn join(self) -> Result<T, Error> {
        self.join_when(Lend::OnlyTask)
    }

    /// As [`join`](Self::join). `when` says how eagerly the joiner lends its thread.
    pub(super) fn join_when(self, when: Lend) -> Result<T, Error> {
        if self.awaited.task.state().is_done() {
            return self.output();
        }
        if let Some(error) = self.awaited.never_ends() {
            return Err(error.into());
        }
        if depth::is_deep() || !(self.awaited.run_in_place(true) || self.awaited.lend(when)) {
            self.awaited.wait()?;
        }
        self.output()
    }

    /// As [`join`](Self::join), for a task that borrows: returns only when it has ended. A queued task that would close
    /// a circle ends as refused. For a running one, other waits of the circle are refused.
    ///
    /// The caller makes sure that the task is not on its own stack, and that this process is no fork.
    pub(crate) fn join_borrowing(self) -> Result<T, Error> {
        if !self.awaited.task.state().is_done()
            && (depth::is_deep() || !(self.awaited.run_in_place(true) || self.awaited.lend(Lend::OnlyTask)))
        {
            self.awaited.wait_borrowing();
        }
        self.output()
    }

    pub(crate) fn task(&self) -> &Task {
        &self.awaited.task
    }

    pub(crate) fn pool_address(&self) -> usize {
        self.awaited.address().addr()
    }

    /// Waits until the task has ended, and forwards the caller's cancel requests to it.
    ///
    /// The first request is forwarded, and every repeated one, so a task that acknowledged one is cancelled again. The
    /// wait goes on after a request: the task decides.
    ///
    /// A task that sees the caller's request itself cannot acknowledge that request. It sees it when it was submitted
    /// by a task that was a node of the tree already ([`current`](crate::current) had been called, or a task or thread
    /// started there).
    ///
    /// Unlike [`join`](Self::join) it does not run the task in place, where no request would reach it, unless the
    /// caller's permit in the task's own pool cannot be released.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let work = scope.create("work");
    /// work.start(PoolConfig::leased(2))?;
    ///
    /// let (starts, started) = std::sync::mpsc::channel();
    /// let outer = scope.run(|| work.submit(move || {
    ///     let inner = heirloom::get("work")?.submit(move || {
    ///         starts.send(()).unwrap();
    ///         heirloom::sleep(std::time::Duration::from_secs(3600))
    ///     });
    ///     inner?.join_cancelling()
    /// }))?;
    /// started.recv().unwrap();
    /// outer.cancel();
    /// assert!(outer.join()?.is_err()); // when the inner one had ended
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the caller was cancelled during the wait; the task has ended then, and its result is
    /// dropped. Otherwise as [`join`](Self::join). If the task had ended before, its result is returned, and a request
    /// stays pending for the caller's next checkpoint.
    pub fn join_cancelling(self) -> Result<T, Error> {
        if self.awaited.task.state().is_done() {
            return self.output();
        }
        if let Some(error) = self.awaited.never_ends() {
            return Err(error.into());
        }
        let mut forwarder = None;
        let blocked = self.awaited.block(Ends::WhenTold, |waker| {
            forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
                self.cancel();
            });
        });
        if let Err(why) = blocked {
            return Err(self.awaited.would_deadlock(why).into());
        }
        if forwarder.is_some_and(|forwarder| forwarder.passed()) {
            Err(interrupted::cancelled().into())
        } else {
            self.output()
        }
    }

    /// As [`join_cancelling`](Self::join_cancelling), without blocking the runtime. Forwards the cancel requests that
    /// reach the node of the first poll. Dropping the future detaches the task.
    ///
    /// # Errors
    /// As [`join_cancelling`](Self::join_cancelling).
    pub async fn join_cancelling_async(mut self) -> Result<T, Error> {
        let mut forwarder = None;
        let out = poll_fn(|cx| {
            if let Poll::Ready(out) = self.poll_output(cx, Poller::Future) {
                return Poll::Ready(out);
            }
            forwarder.get_or_insert_with(CancelForwarder::new).poll(cx.waker(), || {
                self.cancel();
            });
            Poll::Pending
        });
        let out = out.await;
        if forwarder.is_some_and(|forwarder| forwarder.passed()) { Err(interrupted::cancelled().into()) } else { out }
    }

    /// Waits at most `d`, and returns the task's result. Never runs the task in place; releases the running task's
    /// permit.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(1))?;
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (open, gate) = mpsc::channel();
    /// let task = pool.submit(move || gate.recv())?;
    /// let task = match task.join_timeout(Duration::from_millis(1)) {
    ///     Err(not_yet) => not_yet, // the handle, to wait again
    ///     Ok(result) => panic!("the gate is still closed: {result:?}"),
    /// };
    /// open.send("opened").unwrap();
    /// assert_eq!(task.join()?.unwrap(), "opened");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// The handle itself, to wait again, when the task has not ended by then.
    pub fn join_timeout(self, d: Duration) -> Result<Result<T, Error>, Self> {
        let deadline = park::after(d);
        if !self.is_finished() {
            if let Some(error) = self.awaited.is_the_parents() {
                return Ok(Err(error.into()));
            }
            let _released = PermitsReleased::begin_until(deadline);
            // Spinning is part of the time; it is shorter than the clock is exact.
            let spun = !d.is_zero() && park::spin_until(|| self.awaited.task.state().is_done());
            if !spun
                && !park::block_until(deadline, |waker| !self.awaited.task.register(waker, true))
                && !self.is_finished()
            {
                return Err(self);
            }
        }
        Ok(self.output())
    }

    fn output(self) -> Result<T, Error> {
        match self.take() {
            Some(output) => output,
            None => unreachable!("a finished task has its result until its handle takes it"),
        }
    }

    fn take(&self) -> Option<Result<T, Error>> {
        // SAFETY: `T` is the task's own, by the type of `new`'s argument, and this is its handle.
        let output = unsafe { self.awaited.task.take::<T>() };
        // The end of a cancelled task counts as the caller's own interruption, if the same request reaches both.
        let is_by_request = |output: &Output<T>| match output {
            Ok(_) => self.awaited.task.state().was_interrupted(),
            Err(error) => error.is_cancelled(),
        };
        if output.as_ref().is_some_and(is_by_request) {
            interrupted::note_if_cancelled();
        }
        output.map(|output| Ok(output?))
    }

    /// Polls; see the `Future`.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>, by: Poller) -> Poll<Result<T, Error>> {
        if !self.awaited.task.state().is_done()
            && let Some(error) = self.awaited.is_the_parents().or_else(|| self.awaited.needs_a_state_held_here())
        {
            return Poll::Ready(Err(error.into()));
        }
        #[cfg(feature = "tokio")]
        if by == Poller::Future {
            self.awaited.run_outside_a_runtime();
        }
        if !self.awaited.task.state().is_done()
            && (by == Poller::Timed || !self.awaited.run_in_place(by == Poller::Waiter))
            && self.awaited.task.register(cx.waker(), false)
        {
            polled::left_with(cx.waker(), || Target::Task(self.awaited.target()));
            return Poll::Pending;
        }
        match self.take() {
            Some(output) => Poll::Ready(output),
            // Polled again after it was ready.
            None => Poll::Pending,
        }
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_output(cx, Poller::Future)
    }
}

impl<T> Drop for TaskHandle<T> {
    #[inline]
    fn drop(&mut self) {
        self.awaited.task.abandon();
    }
}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("id", &self.id()).field("status", &self.status()).finish()
    }
}
