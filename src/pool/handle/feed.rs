//! [`Feed`]: submits a task for each item of an iterator, at one node.

use std::future::{Future, poll_fn};
use std::iter::Fuse;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::error::{Cancelled, Error, ErrorKind, Refused, SubmitError, SubmitErrorKind};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::{Node, NodeRef};
use crate::lineage::watch::Watch;
use crate::names::task_type::TaskType;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::context::interrupted;
use crate::pool::core::pool::Pool;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::pool::handle::window::Window;
use crate::pool::run::{admit, rank};
use crate::subscriber::Scoped;
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering};
use crate::task::body::Job;

/// The destination of a feed's tasks: a pool, or a scope whose tasks may borrow for `'a`.
pub trait Submitter<'a> {
    #[doc(hidden)]
    fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: Job<Output = T> + Send + 'a,
        T: Send + 'a;
}

/// The pool of one start, for tasks that own all they use.
pub struct ToPool {
    pool: Arc<Pool>,
    task_type: Option<TaskType>,
}

impl ToPool {
    pub(crate) fn new(pool: &Arc<Pool>, task_type: Option<TaskType>) -> Self {
        Self { pool: Arc::clone(pool), task_type }
    }
}

impl Submitter<'static> for ToPool {
    fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: Job<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        submit::submit_static(&self.pool, self.task_type.clone(), f)
    }
}

/// Whether a submission waits for capacity in the queue.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Never,
    /// Without a bound, or until the deadline.
    Until(Option<Instant>),
}

/// The outcome of one step.
pub(crate) enum Fed<T> {
    Accepted(TaskHandle<T>),
    /// The queue has no capacity. The input is held for the next step.
    Full,
    /// The last step: the pool, the scope or the node has ended, or is cancelled.
    Refused(Error),
    /// No input is left.
    Exhausted,
}

/// The code of one input's task. The feed takes the input back when the task is refused.
struct ItemJob<A, F> {
    input: A,
    f: Arc<F>,
}

impl<A, F, T> Job for ItemJob<A, F>
where
    F: Fn(A) -> T,
{
    type Output = T;

    #[inline]
    fn run(self) -> T {
        (self.f)(self.input)
    }
}

/// A wait for capacity, which yields whether it was cancelled.
struct CapacityWait(Option<Pin<Box<dyn Future<Output = bool> + Send + Sync>>>);

impl Drop for CapacityWait {
    fn drop(&mut self) {
        // In a fork's child, threads of the parent may hold the locks of the registrations.
        if fork::is_fork() {
            mem::forget(self.0.take());
        }
    }
}

/// Submits the inputs one by one. All tasks stand at the node and in the span of its creation, on whichever thread a step is
/// taken.
pub(crate) struct Feed<S, I: Iterator, F> {
    pool: Arc<Pool>,
    to: S,
    place: NodeRef,
    span: tracing::Span,
    subscriber: Option<Scoped>,
    inputs: Fuse<I>,
    /// An input that was drawn from the iterator, and refused.
    held: Option<I::Item>,
    ended: bool,
    /// The number of accepted tasks.
    accepted: usize,
    f: Arc<F>,
    window: Window,
    /// The wait for capacity that a poll has begun. The next step that is not held up ends it.
    capacity: Option<CapacityWait>,
}

impl<S, I: Iterator, F> Feed<S, I, F> {
    /// `to` submits to the pool.
    pub(crate) fn new(pool: &Arc<Pool>, to: S, inputs: I, f: F) -> Self {
        Self {
            pool: Arc::clone(pool),
            to,
            place: current::nearest(),
            span: tracing::Span::current(),
            subscriber: Scoped::here(),
            inputs: inputs.fuse(),
            held: None,
            ended: false,
            accepted: 0,
            f: Arc::new(f),
            window: Window::new(pool.config.most_at_once()),
            capacity: None,
        }
    }

    /// Returns how many tasks to have under way, for a caller that has so many. `is_ready`: a result is there for the caller. Then
    /// the next tasks are submitted half a window at a time, which spares most requests for a thread.
    ///
    /// A caller that would wait for a task gets the whole window: an item may itself wait for a later one.
    pub(crate) fn wanted(&mut self, under_way: usize, is_ready: bool) -> usize {
        if is_ready && under_way > self.window.most / 2 {
            return under_way;
        }
        // A refusal is under way, too, and was not accepted.
        self.window.adapt(self.accepted.saturating_sub(under_way));
        self.window.most
    }

    /// Returns the inputs that no task got, in order.
    pub(crate) fn into_rest(self) -> impl Iterator<Item = I::Item> {
        self.held.into_iter().chain(self.inputs)
    }

    /// Submits a task for the next input.
    pub(crate) fn step<'a, T>(&mut self, wait: Wait) -> Fed<T>
    where
        S: Submitter<'a>,
        I::Item: Send + 'a,
        F: Fn(I::Item) -> T + Send + Sync + 'a,
        T: Send + 'a,
    {
        if self.ended {
            return Fed::Exhausted;
        }
        if let Some(reason) = self.is_cancelled() {
            return self.refused(reason);
        }
        let Some(input) = self.held.take().or_else(|| self.inputs.next()) else { return Fed::Exhausted };
        let job = ItemJob { input, f: Arc::clone(&self.f) };
        let submitted = {
            // The code that takes results mostly stands where it made the map.
            let is_here = matches!(wait, Wait::Never) && current::nearest().is(&self.place);
            let _at = (!is_here).then(|| ExitOnDrop(Some(current::enter(self.place.clone(), LazyNode::Nothing))));
            let _default = self.subscriber.as_ref().and_then(Scoped::enter);
            let _in = self.span.enter();
            match wait {
                Wait::Until(deadline) => {
                    submit::submit_waiting_by(&self.pool, job, deadline, |job| self.to.submit(job))
                }
                Wait::Never => self.to.submit(job),
            }
        };
        let reason = match submitted {
            Ok(handle) => {
                self.capacity = None;
                self.accepted += 1;
                return Fed::Accepted(handle);
            }
            Err(Refused { task, reason }) => {
                self.held = Some(task.input);
                reason
            }
        };
        if reason.kind() == ErrorKind::QueueFull {
            // The input is kept and tried again, so the caller sees no refusal.
            self.pool.cold().refused.fetch_sub(1, Ordering::Relaxed);
            return Fed::Full;
        }
        self.refused(reason)
    }

    fn refused<T>(&mut self, reason: Error) -> Fed<T> {
        self.end();
        Fed::Refused(reason)
    }

    fn end(&mut self) {
        self.ended = true;
        self.capacity = None;
    }

    /// The refusal of a task at a cancelled node. The pool would accept the task and cancel it at once. A cancelled scope
    /// would refuse it.
    fn is_cancelled(&self) -> Option<Error> {
        let pool = &self.pool;
        if pool.config.rare().detached || !self.place.node().is_cancelled() {
            return None;
        }
        if self.place.node().scope_closed() {
            return Some(admit::scope_has_ended(pool, &self.place).into());
        }
        interrupted::note_if_cancelled();
        // Acknowledged since the look above.
        let cause = self.place.node().cause().unwrap_or_else(interrupted::cause);
        Some(self.cancelled(cause))
    }

    fn cancelled(&self, cause: Cancelled) -> Error {
        SubmitError::new(&self.pool.namespace, SubmitErrorKind::Cancelled { cause }).into()
    }

    /// Whether an input waits for capacity in the queue.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.ended && self.held.is_some()
    }

    /// Polls until a step may find capacity. For a feed without a task under way, whose start would free some. Returns the
    /// refusal when the polling code is cancelled; the feed has ended then.
    pub(crate) fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        let capacity = self.capacity.get_or_insert_with(|| {
            let (pool, place) = (Arc::clone(&self.pool), self.place.clone());
            CapacityWait(Some(Box::pin(async move { await_capacity(&pool, &place).await })))
        });
        let cancelled = match &mut capacity.0 {
            Some(wait) => ready!(wait.as_mut().poll(cx)),
            None => false,
        };
        self.capacity = None;
        Poll::Ready(cancelled.then(|| {
            self.end();
            self.cancelled(interrupted::cancelled())
        }))
    }
}

/// Waits until there may be capacity in the queue, or a submission at the node would be refused. Returns whether a cancel
/// of the polling code ended the wait.
async fn await_capacity(pool: &Pool, at: &NodeRef) -> bool {
    let Some(capacity) = pool.capacity() else { return false };
    let waiter = capacity.register_poll();
    // The polling code may stand elsewhere. A detached pool's tasks do not stand at the node.
    let mut place = (!pool.config.rare().detached).then(|| Watch::new(at));
    let mut cancel_listener = None;
    poll_fn(|cx| {
        // A cancel of the polling code ends the wait, and each poll may be by other code.
        let cancel_listener = cancel_listener.insert(CancelListener::new());
        if cancel_listener.poll(cx.waker(), CancelListener::cancel_requested) {
            return Poll::Ready(true);
        }
        // Registered first, and then a look: see `Capacity`.
        let is_notified = waiter.poll(cx.waker());
        let ended = |node: &Node| node.is_cancelled() || node.scope_closed();
        let is_over = place.as_mut().is_some_and(|place| place.poll(cx.waker(), ended)) || pool.tracker.is_closed();
        if is_notified || is_over || capacity.has_some(rank::at(pool, at)) { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}
