//! [`MapUnordered`]: the results of many tasks, as they finish.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::error::{Error, TimedOut};
use crate::pool::core::pool::Pool;
use crate::pool::handle::feed::{Fed, Feed, Submitter, ToPool, Wait};
use crate::pool::handle::set::{Numbered, TaskSet};
use crate::sync::os::Arc;
use crate::wait::park;

/// Results in the order in which the tasks finish; made by
/// [`PoolManager::map_unordered`](crate::PoolManager::map_unordered).
///
/// A slow item holds up no other: results come as soon as they are there. Each item's task is submitted as a
/// [`Map`](crate::Map) submits it, with the same bound on the tasks under way, and the same end after a refusal.
/// [`indexed`](Self::indexed) adds the position of each result's input.
///
/// Its drop cancels the tasks under way, whose results no code would read, and does not wait for them. With the feature
/// `stream` it is a `futures::Stream` too.
#[must_use = "tasks are submitted as results are taken, and dropping the map cancels those under way"]
pub struct MapUnordered<I: Iterator, F, T, S = ToPool> {
    feed: Feed<S, I, F>,
    under_way: UnderWay<T>,
    /// The reason for which no more tasks follow.
    refusal: Option<Error>,
}

/// The tasks under way. The numbers of the set are the positions of the inputs.
struct UnderWay<T>(TaskSet<T>);

/// A result with the position of its input; see [`MapUnordered::indexed`].
#[must_use = "tasks are submitted as results are taken, and dropping the map cancels those under way"]
pub struct Indexed<M>(M);

/// The position of an input, and the result of its task.
type At<T> = (usize, Result<T, Error>);

impl<'a, I, F, T, S> MapUnordered<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    /// Submits the first window. A refusal of the very first task is returned instead of a map.
    pub(crate) fn new(pool: &Arc<Pool>, to: S, inputs: I, f: F) -> Result<Self, Error> {
        let mut map = Self { feed: Feed::new(pool, to, inputs, f), under_way: UnderWay(TaskSet::new()), refusal: None };
        map.refill_beside(0);
        match map.refusal.take_if(|_| map.under_way.0.is_empty()) {
            Some(refusal) => Err(refusal),
            None => Ok(map),
        }
    }

    /// Keeps the outcome of a step. Returns whether a further step can follow.
    fn keep(&mut self, next: Fed<T>) -> bool {
        match next {
            Fed::Accepted(handle) => {
                self.under_way.0.push(handle);
                true
            }
            Fed::Refused(reason) => {
                self.refusal = Some(reason);
                false
            }
            Fed::Full | Fed::Exhausted => false,
        }
    }

    /// Submits up to the window, which the caller's `kept` results are a part of.
    fn refill_beside(&mut self, kept: usize) {
        let wanted = self.feed.wanted(self.under_way.0.len() + kept, false);
        while self.under_way.0.len() + kept < wanted {
            let next = self.feed.step(Wait::Never);
            if !self.keep(next) {
                return;
            }
        }
    }

    /// Refills. Where other submitters fill the queue, and no task of this map is under way whose start would free capacity,
    /// it waits for capacity.
    fn refill_waiting(&mut self, kept: usize, deadline: Option<Instant>) {
        self.refill_beside(kept);
        if self.under_way.0.is_empty() && self.refusal.is_none() {
            let waited = self.feed.step(Wait::Until(deadline));
            self.keep(waited);
        }
    }

    /// The next result, for a caller that wants a refusal before the results under way. The caller keeps `kept` earlier
    /// ones. `Ok(None)` at the end. The error is the deadline's.
    pub(super) fn next_or_refusal(
        &mut self,
        kept: usize,
        deadline: Option<Instant>,
    ) -> Result<Option<At<T>>, TimedOut> {
        self.refill_waiting(kept, deadline);
        match self.end() {
            Some(refusal) => Ok(Some(refusal)),
            None => self.join(deadline),
        }
    }

    /// As [`next_or_refusal`](Self::next_or_refusal), as a poll.
    pub(super) fn poll_next_or_refusal(&mut self, kept: usize, cx: &mut Context<'_>) -> Poll<Option<At<T>>> {
        self.refill_beside(kept);
        match self.end() {
            Some(refusal) => Poll::Ready(Some(refusal)),
            None => self.poll_refilled(kept, cx),
        }
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<At<T>>, TimedOut> {
        self.refill_waiting(0, deadline);
        Ok(self.join(deadline)?.or_else(|| self.end()))
    }

    fn join(&mut self, deadline: Option<Instant>) -> Result<Option<At<T>>, TimedOut> {
        match self.under_way.0.join_until(deadline)? {
            // The deadline has passed in the wait for capacity.
            None if self.feed.is_held_up() => Err(TimedOut),
            ended => Ok(ended.map(at)),
        }
    }

    fn next_at(&mut self) -> Option<At<T>> {
        self.next_by(None).unwrap_or(None)
    }

    fn poll_at(&mut self, cx: &mut Context<'_>) -> Poll<Option<At<T>>> {
        self.refill_beside(0);
        self.poll_refilled(0, cx)
    }

    /// Polls a map that was just refilled. A second refill would try the input that a full queue has refused again.
    fn poll_refilled(&mut self, kept: usize, cx: &mut Context<'_>) -> Poll<Option<At<T>>> {
        loop {
            if let Some(ended) = ready!(self.under_way.0.poll_numbered(cx)) {
                return Poll::Ready(Some(at(ended)));
            }
            if !self.feed.is_held_up() {
                return Poll::Ready(self.end());
            }
            self.refusal = ready!(self.feed.poll_capacity(cx));
            self.refill_beside(kept);
        }
    }

    /// The refusal, as the last result. Its position is that of the refused input.
    fn end(&mut self) -> Option<At<T>> {
        self.refusal.take().map(|refusal| (self.under_way.0.pushed(), Err(refusal)))
    }

    /// Returns results with the positions of their inputs, counted from 0.
    ///
    /// So a failed item is known by its index, where the caller has the items still. It costs nothing.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2).log_panics(false))?;
    /// let names = ["a.txt", "b.txt", "c.txt"];
    /// let lengths = pool.map_unordered(names, |name| if name == "b.txt" { panic!("unreadable") } else { name.len() })?;
    /// let failed = lengths.indexed().filter_map(|(at, length)| length.err().map(|error| (names[at], error)));
    /// for (name, error) in failed {
    ///     assert_eq!((name, error.to_string().contains("unreadable")), ("b.txt", true));
    /// }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn indexed(self) -> Indexed<Self> {
        Indexed(self)
    }

    /// Returns the inputs that no task got, in order: the refused one, if there is one, and the rest of the iterator.
    /// Tasks under way have their inputs, and go on, detached.
    pub fn into_rest(mut self) -> impl Iterator<Item = I::Item> {
        self.under_way.0 = TaskSet::new();
        self.feed.into_rest()
    }

    /// Returns the next result, waiting at most `d`; `Ok(None)` at the end. As [`Map::next_timeout`](crate::Map).
    ///
    /// # Errors
    /// [`TimedOut`] when no result is there by then; the map is unchanged.
    pub fn next_timeout(&mut self, d: Duration) -> Result<Option<Result<T, Error>>, Error> {
        Ok(self.next_by(park::after(d))?.map(|(_, result)| result))
    }

    /// Returns the next result without blocking the runtime; `None` at the end. The future may be dropped at any time:
    /// neither a result nor an input is lost. The iterator's own `next` runs on the polling thread.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let mut squares = pool.map_unordered(1..=4, |n: u64| n * n)?;
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
        self.poll_at(cx).map(|next| next.map(|(_, result)| result))
    }
}

fn at<T>((number, (_, result)): Numbered<T>) -> At<T> {
    (number, result)
}

impl<'a, I, F, T, S> Indexed<MapUnordered<I, F, T, S>>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    /// As [`MapUnordered::next_async`], with the position of the input.
    pub async fn next_async(&mut self) -> Option<(usize, Result<T, Error>)> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`MapUnordered::poll_next`], with the position of the input.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Result<T, Error>)>> {
        self.0.poll_at(cx)
    }
}

impl<'a, I, F, T, S> Iterator for MapUnordered<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_at().map(|(_, result)| result)
    }
}

impl<'a, I, F, T, S> Iterator for Indexed<MapUnordered<I, F, T, S>>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
    type Item = (usize, Result<T, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_at()
    }
}

impl<'a, I, F, T, S> FusedIterator for MapUnordered<I, F, T, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
}

impl<'a, I, F, T, S> FusedIterator for Indexed<MapUnordered<I, F, T, S>>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> T + Send + Sync + 'a,
    T: Send + 'a,
{
}

// No field is pinned.
impl<I: Iterator, F, T, S> Unpin for MapUnordered<I, F, T, S> {}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.0.cancel_all();
    }
}

impl<I: Iterator, F, T, S> fmt::Debug for MapUnordered<I, F, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").field("under_way", &self.under_way.0.len()).finish_non_exhaustive()
    }
}

impl<M: fmt::Debug> fmt::Debug for Indexed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indexed").field(&self.0).finish()
    }
}
