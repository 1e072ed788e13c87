//! [`Map`]: the results of many tasks, in order.

use std::collections::VecDeque;
use std::fmt;
use std::iter::{Fuse, FusedIterator};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, SubmitError, SubmitErrorKind, TimedOut};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::NodeRef;
use crate::names::task_type::TaskType;
use crate::pool::context::interrupted;
use crate::pool::core::pool::Pool;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::admit;
use crate::subscriber::Scoped;
use crate::sync::os::{Arc, Mutex, Ordering};
use crate::wait::park;

/// An input on its way into a task. The map takes it back when the task is refused.
type Given<A> = Arc<Mutex<Option<A>>>;

/// The outcome of a submission: the task, or the reason of its refusal.
type Submitted<T> = Result<TaskHandle<T>, Error>;

/// Whether a submission waits for capacity in the queue.
#[derive(Clone, Copy)]
enum Capacity {
    AsItIs,
    /// Without a bound, or until the deadline.
    Waits(Option<Instant>),
}

/// Results in the order of their inputs; made by [`PoolManager::map`](crate::PoolManager::map).
///
/// Keeps up to four tasks for each of the pool's permits under way, and submits the next ones as results are taken. So
/// an endless iterator is fine, and a bounded queue is not overrun. Its drop detaches the tasks under way.
///
/// When a task is refused because the pool or the request has ended, or the map's node is cancelled, the map draws no
/// further input: it yields the results under way, then one error with the reason, and ends.
/// [`into_rest`](Self::into_rest) returns the inputs that no task got.
#[must_use = "tasks are submitted as results are taken"]
pub struct Map<I: Iterator, F, T> {
    pool: Arc<Pool>,
    /// The node and the span of the call of `map`. All tasks stand there, whichever thread takes the results.
    place: NodeRef,
    span: tracing::Span,
    subscriber: Option<Scoped>,
    task_type: Option<TaskType>,
    inputs: Fuse<I>,
    /// An input that was drawn from the iterator, and refused.
    held: Option<I::Item>,
    /// A task was refused for good: no further one is submitted.
    ended: bool,
    f: Arc<F>,
    window: usize,
    under_way: VecDeque<Submitted<T>>,
}

impl<I, F, T> Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Submits the first window. A refusal of the very first task is returned instead of a map.
    pub(crate) fn new(pool: Arc<Pool>, task_type: Option<TaskType>, inputs: I, f: F) -> Result<Self, Error> {
        let window = pool.config.most_at_once().saturating_mul(4);
        let mut map = Self {
            pool,
            place: current::nearest(),
            span: tracing::Span::current(),
            subscriber: Scoped::here(),
            task_type,
            inputs: inputs.fuse(),
            held: None,
            ended: false,
            f: Arc::new(f),
            window,
            under_way: VecDeque::new(),
        };
        match map.submit_next(Capacity::AsItIs) {
            Some(Err(reason)) if reason.kind() != ErrorKind::QueueFull => Err(reason),
            Some(first) => {
                map.keep(first);
                map.refill();
                Ok(map)
            }
            None => Ok(map),
        }
    }

    /// Returns the inputs that no task got, in order: the refused one, if there is one, and the rest of the iterator.
    /// Tasks under way are detached.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("work");
    /// pool.start(PoolConfig::leased(1))?;
    /// let mut map = pool.map(1.., |n| n)?;
    /// pool.close();
    /// let seen = map.by_ref().take_while(|result| result.is_ok()).count(); // the tasks under way, then one error
    /// assert!(map.next().is_none());
    /// assert_eq!(map.into_rest().next(), Some(seen + 1));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn into_rest(self) -> impl Iterator<Item = I::Item> {
        self.held.into_iter().chain(self.inputs)
    }

    /// Submits a task for the next input; a refused input is held. Returns `None` when there is no input, or no further
    /// task is to be submitted.
    fn submit_next(&mut self, capacity: Capacity) -> Option<Submitted<T>> {
        if self.ended {
            return None;
        }
        if !self.pool.config.detached && self.place.node().is_cancelled() {
            // The pool would accept the task and cancel it at once. A cancelled scope would refuse it.
            if self.place.node().scope_closed() {
                return Some(Err(admit::scope_has_ended(&self.pool, &self.place).into()));
            }
            interrupted::note_if_cancelled();
            return Some(Err(SubmitError::new(&self.pool.namespace, SubmitErrorKind::Cancelled).into()));
        }
        let input = self.held.take().or_else(|| self.inputs.next())?;
        let (given, f): (Given<I::Item>, _) = (Arc::new(Mutex::new(Some(input))), Arc::clone(&self.f));
        let taken = Arc::clone(&given);
        let job = move || {
            let input = taken.lock().take();
            match input {
                Some(input) => f(input),
                None => unreachable!("an accepted task's input is taken by the task alone"),
            }
        };
        let submitted = {
            let _at = ExitOnDrop(Some(current::enter(self.place.clone(), LazyNode::Nothing)));
            let _default = self.subscriber.as_ref().and_then(Scoped::enter);
            let _in = self.span.enter();
            match capacity {
                Capacity::Waits(deadline) => submit::submit_waiting(&self.pool, self.task_type.clone(), job, deadline),
                Capacity::AsItIs => submit::submit_static(&self.pool, self.task_type.clone(), job),
            }
        };
        Some(submitted.map_err(|refused| {
            self.held = given.lock().take();
            refused.reason
        }))
    }

    /// Keeps an accepted task. Returns false when the queue had no capacity, or the pool accepts no more tasks.
    fn keep(&mut self, next: Submitted<T>) -> bool {
        match next {
            Ok(handle) => {
                self.under_way.push_back(Ok(handle));
                true
            }
            Err(reason) if reason.kind() == ErrorKind::QueueFull => {
                // The input is kept and tried again, so the caller sees no refusal.
                self.pool.counters.refused.fetch_sub(1, Ordering::Relaxed);
                false
            }
            Err(reason) => {
                self.under_way.push_back(Err(reason));
                self.ended = true;
                false
            }
        }
    }

    fn refill(&mut self) {
        while self.under_way.len() < self.window {
            let Some(next) = self.submit_next(Capacity::AsItIs) else { return };
            if !self.keep(next) {
                return;
            }
        }
    }
}

impl<I, F, T> Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Returns the next result, waiting at most `d`; `Ok(None)` at the end.
    ///
    /// For a program that shows its progress, or checks a flag, while a long task runs. It waits as
    /// [`TaskHandle::join_timeout`] does, and so never runs a task in place. The iterator's own `next` has no time
    /// limit.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// use std::time::Duration;
    ///
    /// let mut squares = pool.map(1..=4, |n: u64| n * n)?;
    /// let (mut sum, mut looks) = (0, 0);
    /// loop {
    ///     match squares.next_timeout(Duration::from_millis(100)) {
    ///         Ok(Some(square)) => sum += square?,
    ///         Ok(None) => break,
    ///         Err(_timed_out) => looks += 1, // a progress line goes on here
    ///     }
    /// }
    /// assert_eq!(sum, 30);
    /// # let _ = looks;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`] when the next result is not there by then; the map is unchanged, and the next call waits on.
    pub fn next_timeout(&mut self, d: Duration) -> Result<Option<Result<T, Error>>, Error> {
        let deadline = park::after(d);
        self.refill();
        if self.under_way.is_empty()
            && let Some(waited) = self.submit_next(Capacity::Waits(deadline))
        {
            self.keep(waited);
            if self.under_way.is_empty() {
                return Err(TimedOut.into());
            }
        }
        match self.under_way.pop_front() {
            Some(Ok(handle)) => {
                let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
                handle.join_timeout(left).map(Some).map_err(|handle| {
                    self.under_way.push_front(Ok(handle));
                    TimedOut.into()
                })
            }
            Some(Err(error)) => Ok(Some(Err(error))),
            None => Ok(None),
        }
    }

    /// Returns the next result without blocking the runtime; `None` at the end. The future may be dropped at any time:
    /// neither a result nor an input is lost. The iterator's own `next` runs on the polling thread.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let mut squares = pool.map(1..=4, |n: u64| n * n)?;
    /// let sum = futures::executor::block_on(async { // on any runtime
    ///     let mut sum = 0;
    ///     while let Some(square) = squares.next_async().await {
    ///         sum += square?;
    ///     }
    ///     Ok::<_, heirloom::Error>(sum)
    /// })?;
    /// assert_eq!(sum, 30);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub async fn next_async(&mut self) -> Option<Result<T, Error>> {
        loop {
            self.refill();
            let out = match self.under_way.front_mut() {
                Some(Ok(handle)) => Some(handle.await),
                Some(Err(_)) => None,
                // Other submitters fill the queue, and no task of this map is under way whose start would free
                // capacity.
                None => {
                    self.held.as_ref().filter(|_| !self.ended)?;
                    submit::await_capacity(&self.pool, &self.place).await;
                    continue;
                }
            };
            let first = self.under_way.pop_front();
            return out.or_else(|| first.and_then(Result::err).map(Err));
        }
    }
}

impl<I, F, T> Iterator for Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.refill();
        if self.under_way.is_empty() {
            // Other submitters fill the queue, and no task of this map is under way whose start would free capacity.
            let waited = self.submit_next(Capacity::Waits(None))?;
            self.keep(waited);
        }
        match self.under_way.pop_front()? {
            Ok(handle) => Some(handle.join()),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<I, F, T> FusedIterator for Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

impl<I: Iterator, F, T> fmt::Debug for Map<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("under_way", &self.under_way.len()).finish_non_exhaustive()
    }
}
