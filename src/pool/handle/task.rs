//! [`TaskHandle`]: one task, from outside.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Cancelled, TaskError};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::polled;
use crate::pool::blocking::release::{self, PermitsReleased, may_run_in_place};
use crate::pool::cancelled_tasks;
use crate::pool::context::frame::{self, Frame};
use crate::pool::context::interrupted;
use crate::pool::core::pool::{Pool, pool_of_claimed};
use crate::pool::kinds::dedicated::state;
use crate::pool::kinds::local;
use crate::pool::run::depth;
use crate::pool::run::evict::Evicted;
use crate::pool::run::worker::{self, Task};
#[cfg(feature = "tokio")]
use crate::runtime;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::task::state::CancelRequest;
use crate::wait::graph::{self, ClosesCircle, Ends, IsQueued, Label, Target};
use crate::wait::park;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Accepted and not started.
    Queued,
    /// Started and not ended.
    Running,
    /// Ended: by value, by panic, cancelled, or because it could not run.
    Finished,
}

/// What a request to cancel found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// The request is noted. What had not started never will; what runs notices where it looks
    /// ([`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep)).
    Requested,
    /// It had been asked before, and has not declined since. Whoever waits for it with `join_cancelling` hears of this
    /// one too.
    AlreadyRequested,
    /// It had ended; the request changes nothing. Of a scope: no task asked for below it is left; what else stands
    /// there hears the request all the same.
    AlreadyFinished,
    /// It is the process, which cannot be asked.
    NotCancellable,
}

impl CancelOutcome {
    /// Of a node that had been asked before or not.
    pub(crate) fn of(first: bool) -> Self {
        if first { Self::Requested } else { Self::AlreadyRequested }
    }
}

/// A task that was accepted. Dropping the handle detaches the task: it runs all the same, and its result is dropped.
/// [`cancel_on_drop`](Self::cancel_on_drop) has the drop cancel it instead.
///
/// It is also a [`Future`], on any runtime. It borrows nothing and may go to any thread.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the handle detaches the task; its result and its panic are lost"]
pub struct TaskHandle<T> {
    task: Task,
    /// To compare, and to use for as long as a claim of ours keeps it.
    pool: NonNull<Pool>,
    result: PhantomData<fn() -> T>,
}

// SAFETY: the pool is `Send + Sync` and used only as the type's protocol allows; the result is handed over by value.
unsafe impl<T: Send> Send for TaskHandle<T> {}
// SAFETY: `&TaskHandle` gives no access to the result.
unsafe impl<T: Send> Sync for TaskHandle<T> {}

impl<T> Unpin for TaskHandle<T> {}

impl<T> TaskHandle<T> {
    /// # Safety
    /// `task` was submitted to `pool`, and its result type is `T`.
    pub(crate) unsafe fn new(task: Task, pool: &Arc<Pool>) -> Self {
        Self { task, pool: NonNull::from(&**pool), result: PhantomData }
    }

    /// The task's id. Never reused.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// Whether the task has ended, so that `join` returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.state().is_done()
    }

    /// Where the task is in its life.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        let state = self.task.state();
        if state.is_done() {
            TaskStatus::Finished
        } else if state.is_queued() {
            TaskStatus::Queued
        } else {
            TaskStatus::Running
        }
    }

    /// Asks the task to end early.
    ///
    /// A task that has not started ends now, as cancelled, and its closure is dropped on this thread; its body never
    /// runs. Its waiters go on before that drop. A running one notices where it looks ([`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep)), and
    /// so does what it submitted or started since it became a node of the tree.
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
    /// let first = pool.submit(move || gate.recv())?; // takes the only place
    /// let second = pool.submit(|| "never runs")?;
    /// assert_eq!(second.cancel(), CancelOutcome::Requested);
    /// assert!(second.join().is_err_and(|error| error.is_cancelled()));
    /// open.send(())?;
    /// first.join()??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) -> CancelOutcome {
        let (outcome, claimed) = self.task.cancel();
        if let Some(claimed) = claimed {
            // SAFETY: we have just claimed a task of this pool, and count it out below.
            let pool = unsafe { pool_of_claimed(self.pool) };
            pool.claimed_in_queue();
            let error = TaskError::cancelled(self.task.id(), &pool.namespace);
            pool.end_unrun(claimed, error);
        }
        if outcome == CancelRequest::Requested {
            cancelled_tasks::note(self.task.another());
        }
        match outcome {
            CancelRequest::Claimed | CancelRequest::Requested => CancelOutcome::Requested,
            CancelRequest::AskedBefore | CancelRequest::AtNode => CancelOutcome::AlreadyRequested,
            CancelRequest::TooLate => CancelOutcome::AlreadyFinished,
        }
    }

    /// Ends the task as cancelled together with others, if it is still queued.
    pub(crate) fn evict(&self, evicted: &mut Evicted) {
        let Ok(claimed) = self.task.another().claim() else { return };
        // SAFETY: we have just claimed a task of this pool, and its end counts it out.
        let pool = unsafe { pool_of_claimed(self.pool) };
        pool.claimed_in_queue();
        if let Some(meta) = claimed.take_meta() {
            evicted.add(&pool, claimed, meta, TaskError::cancelled(self.id(), &pool.namespace));
        }
    }

    /// Waits until the task has ended, and returns its value.
    ///
    /// On a worker of the same pool a task that nobody has started yet runs here and now, in place; every other wait
    /// gives the running task's place to the next one, so a pool is never held up by its own tasks' joins.
    ///
    /// # Errors
    /// The task's panic, with its payload; that it was cancelled or could not run; or, at once, that it would be waited
    /// for in vain: from within itself, in a fork of its process, or because it waits, directly or by others, for what
    /// the caller owes ([`TaskError::is_deadlock`]). In that last case the task goes on, detached.
    pub fn join(self) -> Result<T, TaskError> {
        if self.task.state().is_done() {
            return self.output();
        }
        if let Some(error) = self.never_ends() {
            return Err(error);
        }
        if depth::is_deep() || !self.run_in_place(true) {
            self.wait()?;
        }
        self.output()
    }

    /// The slow half of [`join`](Self::join). It is not inlined, since what it needs would be on the stack of every
    /// task that runs inside another one.
    #[inline(never)]
    fn wait(&self) -> Result<(), TaskError> {
        let deep = release::release_if_deep();
        if self.ends_without_sleep(deep.is_none() && depth::is_deep()) {
            return Ok(());
        }
        self.block(Ends::WhenTold, |_| {}).map_err(|why| self.would_deadlock(why))
    }

    /// The task is run here, if that was not tried before, or ends in a moment.
    fn ends_without_sleep(&self, may_run: bool) -> bool {
        (may_run && self.run_in_place(true)) || park::spin_until(|| self.task.state().is_done())
    }

    /// As [`join`](Self::join), for a task that borrows: comes back when it has ended. One that is queued behind the
    /// caller itself ends as refused; for one that runs, other waits of the circle are told.
    ///
    /// The caller knows that it is no task of its own stack's, and this process no fork.
    pub(crate) fn join_borrowing(self) -> Result<T, TaskError> {
        if !self.task.state().is_done() && (depth::is_deep() || !self.run_in_place(true)) {
            self.wait_borrowing();
        }
        self.output()
    }

    /// As `wait`.
    #[inline(never)]
    fn wait_borrowing(&self) {
        let deep = release::release_if_deep();
        if !self.ends_without_sleep(deep.is_none() && depth::is_deep())
            && let Err(why) = self.block(Ends::WhenTold, |_| {})
            && !self.end_queued(why)
        {
            // It was not to be refused, and is not now.
            let _ = self.block(Ends::Never, |_| {});
        }
    }

    /// Ends the task with the circle, if nobody has started it.
    fn end_queued(&self, why: ClosesCircle) -> bool {
        let Ok(claimed) = self.task.another().claim() else { return false };
        // SAFETY: we have just claimed a task of this pool, and count it out below.
        let pool = unsafe { pool_of_claimed(self.pool) };
        pool.claimed_in_queue();
        pool.end_unrun(claimed, TaskError::deadlock(self.id(), &pool.namespace, why.circle));
        true
    }

    /// Gives the caller's places away and blocks until the task has ended; `poll` is called with each look. The error:
    /// that would never be.
    fn block(&self, ends: Ends, mut poll: impl FnMut(&Waker)) -> Result<(), ClosesCircle> {
        let mut released = PermitsReleased::begin();
        // One decision, not a look and then a decision: the pool may reach its bound of waits at any time. A place that
        // is kept is one that the task may never get.
        if release::holds_permit(self.pool.as_ptr()) {
            // What runs in place is no part of a wait.
            drop(released);
            if self.run_in_place(true) {
                return Ok(());
            }
            released = PermitsReleased::begin();
        }
        released.waits_for(Target::Task(self.awaited()), Label::Task, ends)?;
        park::block_until(None, |waker| {
            poll(waker);
            !self.task.register(waker, true) || released.is_refused()
        });
        match released.refusal() {
            Some(why) if !self.is_finished() => Err(why),
            _ => Ok(()),
        }
    }

    /// The task, for those who look for circles.
    fn awaited(&self) -> graph::Task {
        let queued = self.task.state().is_queued().then(|| Arc::new(self.task.another()) as Arc<dyn IsQueued>);
        graph::Task { id: self.id(), pool: self.pool.as_ptr().addr(), queued }
    }

    fn would_deadlock(&self, why: ClosesCircle) -> TaskError {
        let pool = why.task.map_or(Namespace::DEFAULT, |(_, pool)| pool);
        TaskError::deadlock(self.id(), &pool, why.circle)
    }

    /// The task itself, beside its handle.
    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// The address of its pool.
    pub(crate) fn pool_address(&self) -> usize {
        self.pool.as_ptr().addr()
    }

    /// Waits until the task has ended, and passes each request to stop that reaches the caller meanwhile on to it: the
    /// first one, and every repeated one, so that a task which declined is asked again. It keeps waiting: the task
    /// decides.
    ///
    /// A task that hears the caller's request itself cannot decline that one: it does when it was submitted by a task
    /// that was a node of the tree already ([`current`](crate::current) had been called, or something started
    /// there).
    ///
    /// Unlike [`join`](Self::join) it does not run the task in place, where it could hear of nothing, unless the
    /// caller's place in the task's own pool cannot be given away.
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
    ///     let inner = heirloom::get("work").unwrap().submit(move || {
    ///         starts.send(()).unwrap();
    ///         heirloom::sleep(std::time::Duration::from_secs(3600))
    ///     });
    ///     inner.unwrap().join_cancelling()
    /// }))?;
    /// started.recv()?;
    /// outer.cancel();
    /// assert!(outer.join()?.is_err()); // when the inner one had ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The outer one when the caller was asked to stop while it waited; the task has ended then, and its result is
    /// dropped. The inner one is the task's. If the task had ended before, its result comes back, and a request stays
    /// pending for the caller's next look.
    pub fn join_cancelling(self) -> Result<Result<T, TaskError>, Cancelled> {
        if self.task.state().is_done() {
            return Ok(self.output());
        }
        if let Some(error) = self.never_ends() {
            return Ok(Err(error));
        }
        let mut forwarder = None;
        let blocked = self.block(Ends::WhenTold, |waker| {
            forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
                self.cancel();
            });
        });
        if let Err(why) = blocked {
            return Ok(Err(self.would_deadlock(why)));
        }
        if forwarder.is_some_and(|forwarder| forwarder.passed()) {
            Err(interrupted::cancelled())
        } else {
            Ok(self.output())
        }
    }

    /// As [`join_cancelling`](Self::join_cancelling), without blocking the runtime: requests to stop that reach the place
    /// where this is first polled are passed on. Dropping it detaches the task.
    ///
    /// # Errors
    /// As [`join_cancelling`](Self::join_cancelling).
    pub async fn join_cancelling_async(mut self) -> Result<Result<T, TaskError>, Cancelled> {
        let mut forwarder = None;
        let out = poll_fn(|cx| {
            if let Poll::Ready(out) = self.poll_output(cx, false) {
                return Poll::Ready(out);
            }
            forwarder.get_or_insert_with(CancelForwarder::new).poll(cx.waker(), || {
                self.cancel();
            });
            Poll::Pending
        });
        let out = out.await;
        if forwarder.is_some_and(|forwarder| forwarder.passed()) { Err(interrupted::cancelled()) } else { Ok(out) }
    }

    /// Why a wait here for the task, which has not ended, would itself never end, if so.
    fn never_ends(&self) -> Option<TaskError> {
        let own = self.waits_for_itself().map(|pool| TaskError::from_own_task(self.id(), &pool.namespace));
        own.or_else(|| self.is_the_parents()).or_else(|| self.needs_a_state_held_here())
    }

    /// The task has not started and is to run with a worker's state, and so does a task of its pool on this thread: if
    /// each worker waited so, none would be left for the tasks they wait for.
    fn needs_a_state_held_here(&self) -> Option<TaskError> {
        let state = self.task.state();
        let needs = state.is_stateful() && state.is_queued();
        let pool = state::held_of(self.pool.as_ptr()).filter(|_| needs)?;
        Some(TaskError::state_in_use(self.id(), &pool.namespace))
    }

    /// This process is a fork, where nobody ends the task.
    fn is_the_parents(&self) -> Option<TaskError> {
        // SAFETY: the task has not ended. Nothing counts it out of its pool here, so the pool holds itself.
        fork::is_fork().then(|| TaskError::forked(self.id(), unsafe { &self.pool.as_ref().namespace }))
    }

    /// The task is on this thread's own stack, or needs a worker that this thread is about to become: the pool of
    /// either.
    fn waits_for_itself(&self) -> Option<&Arc<Pool>> {
        // What nobody has started is on no stack, so a deep one is not gone through for it.
        let is_it = |frame: &&Frame| frame.task_address() == Some(self.task.address());
        let own = if self.task.state().is_queued() { None } else { frame::all().find(is_it).map(Frame::pool) };
        let about_to = || frame::initialising().map(|(pool, ..)| pool);
        own.or_else(|| about_to().filter(|pool| ptr::eq(Arc::as_ptr(pool), self.pool.as_ptr())))
    }

    /// Waits at most `d`. The handle comes back when the task has not ended by then. Never runs the task in place.
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
    ///     Ok(result) => panic!("nobody opened the gate: {result:?}"),
    /// };
    /// open.send("opened")?;
    /// assert_eq!(task.join()??, "opened");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The handle itself, to wait again.
    pub fn join_timeout(self, d: Duration) -> Result<Result<T, TaskError>, Self> {
        let deadline = park::after(d);
        if !self.is_finished() {
            if let Some(error) = self.is_the_parents() {
                return Ok(Err(error));
            }
            let _away = PermitsReleased::begin_until(deadline);
            // Spinning is part of the time; it is shorter than the clock is exact.
            let spun = !d.is_zero() && park::spin_until(|| self.task.state().is_done());
            if !spun && !park::block_until(deadline, |waker| !self.task.register(waker, true)) && !self.is_finished() {
                return Err(self);
            }
        }
        Ok(self.output())
    }

    /// Runs the task here if this thread is a worker of its pool and nobody has started it. `waits` is whether the
    /// caller would otherwise block.
    fn run_in_place(&self, waits: bool) -> bool {
        let Some(pool) = may_run_in_place(self.pool.as_ptr()) else {
            return local::run_exactly(&self.task, self.pool.as_ptr(), waits);
        };
        let Ok(claimed) = self.task.another().claim() else { return false };
        worker::run_in_place(pool, claimed, false);
        true
    }

    /// Waits for a task that a poll would run in place inside of a runtime's future, where `block_on` and a portal are
    /// refused: whether the task may use them would depend on whether a worker had started it. Another thread of the
    /// pool runs it. Nothing where the caller's place is kept, and nothing that would close a circle: such a task runs
    /// in place.
    #[cfg(feature = "tokio")]
    fn run_outside_a_runtime(&self) {
        let queued = self.task.state().is_queued() && may_run_in_place(self.pool.as_ptr()).is_some();
        if queued && runtime::runs_a_future() {
            let _ = self.block(Ends::WhenTold, |_| {});
        }
    }

    fn output(self) -> Result<T, TaskError> {
        match self.take() {
            Some(output) => output,
            None => unreachable!("a finished task has its result until its handle takes it"),
        }
    }

    fn take(&self) -> Option<Result<T, TaskError>> {
        // SAFETY: `T` is the task's own by the contract of `new`, and this is its handle.
        let output = unsafe { self.task.take::<T>() };
        // What a request ended says so to whoever asked for it, if the same one reaches both.
        let is_by_request = |output: &Result<T, TaskError>| match output {
            Ok(_) => self.task.state().was_interrupted(),
            Err(error) => error.is_cancelled(),
        };
        if output.as_ref().is_some_and(is_by_request) {
            interrupted::note_if_cancelled();
        }
        output
    }

    /// Polls; see the `Future`. `waits` is whether the caller will block if this is pending.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<Result<T, TaskError>> {
        if !self.task.state().is_done()
            && let Some(error) = self.is_the_parents().or_else(|| self.needs_a_state_held_here())
        {
            return Poll::Ready(Err(error));
        }
        #[cfg(feature = "tokio")]
        if !waits {
            self.run_outside_a_runtime();
        }
        if !self.task.state().is_done() && !self.run_in_place(waits) && self.task.register(cx.waker(), false) {
            polled::left_with(cx.waker(), || Target::Task(self.awaited()));
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
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_output(cx, false)
    }
}

impl<T> Drop for TaskHandle<T> {
    #[inline]
    fn drop(&mut self) {
        self.task.abandon();
    }
}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("id", &self.id()).field("status", &self.status()).finish()
    }
}

impl IsQueued for Task {
    fn is_queued(&self) -> bool {
        self.state().is_queued()
    }
}

/// The deadline of a wait that may be bounded.
pub(crate) fn deadline(d: Option<Duration>) -> Option<Instant> {
    d.and_then(park::after)
}
