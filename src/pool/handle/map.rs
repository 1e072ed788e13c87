//! [`Map`]: the results of many tasks, in order.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::error::{Error, TimedOut};
use crate::pool::core::pool::Pool;
use crate::pool::handle::cancel_all::cancel_all;
use crate::pool::handle::feed::{Fed, Feed, Submitter, ToPool, Wait};
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::worker::Lend;
use crate::sync::os::Arc;
use crate::wait::park;

/// Results in the order of their inputs; made by [`PoolManager::map`](crate::PoolManager::map).
///
/// Keeps up to four tasks for each of the pool's permits under way, and submits the next ones as results are taken. Where items
/// take less than some milliseconds, more are under way: those of about 10 ms, and never more than 64 for each permit. So an
/// endless iterator is fine, and a bounded queue is not overrun. Each item is submitted before the next one is drawn from the
/// iterator, which may therefore wait for the tasks of earlier items.
///
/// Its drop cancels the tasks under way, whose results no code would read, and does not wait for them.
///
/// A blocking `next` joins the item's task, so the consumer's thread may run items that no worker has begun
/// ([`TaskHandle::join`]). With a limit of one it may run all of them, and no thread wakes.
///
/// When a task is refused because the pool or the request has ended, or the map's node is cancelled, the map draws no
/// further input: it yields the results under way, then one error with the reason, and ends.
/// [`into_rest`](Self::into_rest) returns the inputs that no task got.
///
/// With the feature `stream` it is a `futures::Stream` too.
#[must_use = "tasks are submitted as results are taken, and dropping the map cancels those under way"]
pub struct Map<I: Iterator, F, T, S = ToPool> {
    feed: Feed<S, I, F>,
    under_way: UnderWay<T>,
}

/// The tasks under way, in order, and at the end the reason for which no more follow.
struct UnderWay<T>(VecDeque<Result<TaskHandle<T>, Error>>);

impl<'a, I, F, T, S> Map<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    /// Submits the first window. A refusal of the very first task is returned instead of a map.
    pub(crate) fn new(pool: &Arc<Pool>, to: S, inputs: I, f: F) -> Result<Self, Error> {
        let mut map = Self { feed: Feed::new(pool, to, inputs, f), under_way: UnderWay(VecDeque::new()) };
        match map.feed.step(Wait::Never) {
            Fed::Refused(reason) => Err(reason),
            first => {
                if map.keep(first) {
                    map.refill();
                }
                Ok(map)
            }
        }
    }

    /// Keeps the outcome of a step. Returns whether a further step can follow.
    fn keep(&mut self, next: Fed<T>) -> bool {
        match next {
            Fed::Accepted(handle) => {
                self.under_way.0.push_back(Ok(handle));
                true
            }
            Fed::Refused(reason) => {
                self.under_way.0.push_back(Err(reason));
                false
            }
            Fed::Full | Fed::Exhausted => false,
        }
    }

    fn refill(&mut self) {
        let is_ready =
            self.under_way.0.front().is_some_and(|first| first.as_ref().map_or(true, TaskHandle::is_finished));
        let wanted = self.feed.wanted(self.under_way.0.len(), is_ready);
        while self.under_way.0.len() < wanted {
            let next = self.feed.step(Wait::Never);
            if !self.keep(next) {
                return;
            }
        }
    }

    /// Refills. Where other submitters fill the queue, and no task of this map is under way whose start would free capacity,
    /// it waits for capacity.
    fn refill_waiting(&mut self, deadline: Option<Instant>) {
        self.refill();
        if self.under_way.0.is_empty() {
            let waited = self.feed.step(Wait::Until(deadline));
            self.keep(waited);
        }
    }

    /// Returns the inputs that no task got, in order: the refused one, if there is one, and the rest of the iterator.
    /// Tasks under way have their inputs, and go on, detached.
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
    pub fn into_rest(mut self) -> impl Iterator<Item = I::Item> {
        self.under_way.0.clear();
        self.feed.into_rest()
    }

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
        self.refill_waiting(deadline);
        match self.under_way.0.pop_front() {
            Some(Ok(handle)) => {
                let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
                handle.join_timeout(left).map(Some).map_err(|handle| {
                    self.under_way.0.push_front(Ok(handle));
                    TimedOut.into()
                })
            }
            Some(Err(error)) => Ok(Some(Err(error))),
            None if self.feed.is_held_up() => Err(TimedOut.into()),
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
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next result, as a stream is polled. `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        loop {
            self.refill();
            let out = match self.under_way.0.front_mut() {
                Some(Ok(handle)) => Some(ready!(Pin::new(handle).poll(cx))),
                Some(Err(_)) => None,
                None if self.feed.is_held_up() => {
                    self.under_way.0.extend(ready!(self.feed.poll_capacity(cx)).map(Err));
                    continue;
                }
                None => return Poll::Ready(None),
            };
            let first = self.under_way.0.pop_front();
            return Poll::Ready(out.or_else(|| first.and_then(Result::err).map(Err)));
        }
    }
}

impl<'a, I, F, T, S> Iterator for Map<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.refill_waiting(None);
        match self.under_way.0.pop_front()? {
            Ok(handle) => Some(handle.join_when(Lend::NextTask)),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<'a, I, F, T, S> FusedIterator for Map<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
}

// No field is pinned.
impl<I: Iterator, F, T, S> Unpin for Map<I, F, T, S> {}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        cancel_all(|| self.0.iter().flatten());
    }
}

impl<I: Iterator, F, T, S> fmt::Debug for Map<I, F, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("under_way", &self.under_way.0.len()).finish_non_exhaustive()
    }
}
