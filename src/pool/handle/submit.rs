//! Submitting a task, with each way to wait: for capacity, or for the result.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Refused, SubmitError, SubmitErrorKind};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::NodeRef;
use crate::names::task_type::TaskType;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::blocking::{local, release};
use crate::pool::context::{interrupted, thread};
use crate::pool::core::capacity::{Capacity, Waiter};
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::As;
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::{batch, dispatch, task};
use crate::sync::os::{Arc, Ordering};
use crate::sync::unwind::abort_on_panic;
use crate::task::body::{Body, Job};
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;

/// A handle, or the reason of the refusal with the closure.
type Submitted<F, T> = Tried<F, TaskHandle<T>>;

/// The outcome of one try to submit.
type Tried<F, R> = Result<R, Refused<F>>;

/// Submits without a wait: [`dispatch::submit`] for a closure and a result that borrow nothing.
pub(crate) fn submit_static<F, T>(pool: &Arc<Pool>, submitted: impl Into<As>, f: F) -> Submitted<F, T>
where
    F: Job<Output = T> + Send + 'static,
    T: Send + 'static,
{
    Ok(TaskHandle::new(dispatch::submit(pool, submitted, None, Body::new(f))?, pool))
}

/// Submits all of the jobs without a wait, or none: [`batch::submit_many`] for jobs and results that borrow nothing.
pub(crate) fn submit_many_static<F, T>(
    pool: &Arc<Pool>,
    submitted: impl Into<As>,
    jobs: Vec<F>,
) -> Result<Vec<TaskHandle<T>>, Refused<Vec<F>>>
where
    F: Job<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let handles = batch::submit_many(pool, submitted, None, jobs, Body::new)?;
    Ok(handles.into_iter().map(|task| TaskHandle::new(task, pool)).collect())
}

/// Submits, waiting for capacity in a bounded queue until the deadline, with the running task's permit released
/// meanwhile.
pub(crate) fn submit_waiting<F, T>(
    pool: &Arc<Pool>,
    submitted: impl Into<As>,
    f: F,
    deadline: Option<Instant>,
) -> Submitted<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let submitted = submitted.into();
    submit_waiting_by(pool, f, deadline, |f| submit_static(pool, submitted.clone(), f))
}

/// The same with `submit` for each try, which submits to this pool.
pub(crate) fn submit_waiting_by<F, R>(
    pool: &Arc<Pool>,
    f: F,
    deadline: Option<Instant>,
    submit: impl Fn(F) -> Tried<F, R>,
) -> Tried<F, R> {
    let (mut refused, capacity) = match unless_full(pool, submit(f)) {
        Ok(outcome) => return outcome,
        Err(full) => full,
    };
    let (at, mut cancel_listener) = (current::nearest(), CancelListener::new());
    let mut released = PermitsReleased::begin_until(deadline);
    let waiter = capacity.register();
    loop {
        refused = match submit_as_waiter(pool, &waiter, &at, refused.task, &submit) {
            Ok(outcome) => return outcome,
            Err(full) => full,
        };
        if deadline.is_none() && local::make_room(pool) {
            // No other thread would run the local pool's tasks.
            continue;
        }
        if deadline.is_none() && !released.is_waiting() {
            let label = Label::Capacity(pool.namespace.clone());
            if let Err(why) = released.waits_for(Target::Permit(release::address(pool)), label, Ends::WhenTold) {
                return Err(would_deadlock(pool, refused.task, why));
            }
        }
        let mut cancelled = false;
        let in_time = park::block_until(deadline, |waker| {
            cancelled = cancel_listener.poll(waker, CancelListener::cancel_requested);
            cancelled || scope_ended(pool, &at) || waiter.poll(waker) || released.is_refused()
        });
        if !cancelled && let Some(why) = released.refusal() {
            return Err(would_deadlock(pool, refused.task, why));
        }
        if !in_time {
            return Err(refused);
        }
        if cancelled {
            return Err(cancelled_while_waiting(pool, refused.task));
        }
    }
}

/// The same without blocking.
pub(crate) async fn submit_async<F, T>(pool: &Arc<Pool>, submitted: impl Into<As>, f: F) -> Submitted<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let submitted = submitted.into();
    submit_async_by(pool, f, |f| submit_static(pool, submitted.clone(), f)).await
}

/// The same with `submit` for each try, which submits to this pool.
pub(crate) async fn submit_async_by<F, R>(pool: &Arc<Pool>, f: F, submit: impl Fn(F) -> Tried<F, R>) -> Tried<F, R> {
    let (mut refused, capacity) = match unless_full(pool, submit(f)) {
        Ok(outcome) => return outcome,
        Err(full) => full,
    };
    let at = current::nearest();
    let waiter = capacity.register();
    let mut cancel_listener = None;
    loop {
        refused = match submit_as_waiter(pool, &waiter, &at, refused.task, &submit) {
            Ok(outcome) => return outcome,
            Err(full) => full,
        };
        let cancelled = poll_fn(|cx| {
            // A cancel of the polling code ends the wait, and each poll may be by other code.
            let cancel_listener = cancel_listener.insert(CancelListener::new());
            if cancel_listener.poll(cx.waker(), CancelListener::cancel_requested) {
                return Poll::Ready(true);
            }
            match scope_ended(pool, &at) || waiter.poll(cx.waker()) {
                true => Poll::Ready(false),
                false => Poll::Pending,
            }
        });
        if cancelled.await {
            return Err(cancelled_while_waiting(pool, refused.task));
        }
    }
}

/// The outcome of one try. The outer error: the queue is full, with the capacity that the submitter can wait for.
fn unless_full<F, R>(pool: &Pool, tried: Tried<F, R>) -> Result<Tried<F, R>, (Refused<F>, &Capacity)> {
    match (tried, pool.capacity()) {
        (Err(full), Some(capacity)) if full.reason.kind() == ErrorKind::QueueFull => Err((full, capacity)),
        (outcome, _) => Ok(outcome),
    }
}

/// Submits again after a refusal for want of capacity, which then does not count as a refusal. The task stands at the
/// node of the first try, beside the task that waits: that one may be a node only because it waits. The outer error:
/// the queue is still full.
fn submit_as_waiter<F, R>(
    pool: &Arc<Pool>,
    waiter: &Waiter<'_>,
    at: &NodeRef,
    f: F,
    submit: impl Fn(F) -> Tried<F, R>,
) -> Result<Tried<F, R>, Refused<F>> {
    waiter.rearm();
    pool.cold().refused.fetch_sub(1, Ordering::Relaxed);
    let outcome = {
        let _at = current::enter(at.clone(), LazyNode::Nothing);
        unless_full(pool, submit(f)).map_err(|(full, _)| full)?
    };
    if outcome.is_err() {
        // The waiter may have been notified of capacity that it does not use, so the next one is notified.
        waiter.capacity.notify_one();
    }
    Ok(outcome)
}

/// Whether a wait for capacity is of no more use, because a scope at or above the node accepts no more tasks. A
/// detached pool's tasks are not counted there.
fn scope_ended(pool: &Pool, at: &NodeRef) -> bool {
    !pool.config.rare().detached && at.node().scope_closed()
}

fn would_deadlock<F>(pool: &Pool, task: F, why: ClosesCircle) -> Refused<F> {
    Refused {
        task,
        reason: SubmitError::new(&pool.namespace, SubmitErrorKind::WouldDeadlock { circle: why.circle }).into(),
    }
}

fn cancelled_while_waiting<F>(pool: &Pool, task: F) -> Refused<F> {
    let cause = interrupted::cancelled();
    Refused { task, reason: SubmitError::new(&pool.namespace, SubmitErrorKind::Cancelled { cause }).into() }
}

/// Runs `f` as a task of the pool and waits for it. It runs on this thread if a leased pool has a permit free or the
/// thread is a work-stealing pool's own, else on a worker.
pub(crate) fn run_and_wait<F, T>(pool: &Arc<Pool>, task_type: Option<TaskType>, f: F) -> Result<T, Error>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: the task is run below, and its result taken, before this returns; or a borrowing join does not return before
    // the task is done, its closure dropped and its result taken. That join does not unwind.
    let mut f = unsafe { Body::borrowing(f) };
    let nested = thread::steals_for(Arc::as_ptr(pool));
    let lends = pool.config.lends() && !thread::is_on_a_pools_own_thread();
    if nested || lends {
        match dispatch::submit_here(pool, task_type.clone(), nested, f)? {
            Ok((submitted, claimed)) => {
                let handle = TaskHandle::new(submitted, pool);
                if let Some(meta) = claimed.take_meta() {
                    task::run_here(pool, claimed, meta, lends);
                }
                if nested {
                    return handle.join();
                }
                dispatch::release_permit(pool, false);
                return handle.join();
            }
            Err(back) => f = back,
        }
    }
    let ran: Result<_, Refused<F>> = abort_on_panic(|| {
        let task = dispatch::submit(pool, As { task_type, borrows: true, ..As::default() }, None, f)?;
        Ok(TaskHandle::new(task, pool).join_borrowing())
    });
    // Outside of the guard: the closure's drop is user code.
    ran?
}
