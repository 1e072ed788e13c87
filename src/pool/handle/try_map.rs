//! [`TryMap`]: the values of many tasks, in order, up to the first error.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::error::{Error, TimedOut};
use crate::pool::handle::feed::{Submitter, ToPool};
use crate::pool::handle::unordered::MapUnordered;
use crate::wait::park;

/// Values in the order of their inputs, up to the first error; made by
/// [`PoolManager::try_map`](crate::PoolManager::try_map).
///
/// The first error is the first to happen, of whichever item: it is yielded next, before the values of slower items in front
/// of it. At that moment the map submits no further task and cancels those under way, without waiting for them. It ends
/// then. An error is one of the closure's own, or one of this crate (a panic, a cancel, a refusal), converted.
///
/// Each item's task is submitted as a [`Map`](crate::Map) submits it. Values that finish before their turn are kept, and
/// count as under way, so an endless iterator is fine. Its drop cancels the tasks under way, and does not wait for them.
/// With the feature `stream` it is a `futures::Stream` too.
#[must_use = "tasks are submitted as values are taken, and dropping the map cancels those under way"]
pub struct TryMap<I: Iterator, F, T, E, S = ToPool> {
    /// `None` after an error.
    map: Option<MapUnordered<I, F, Result<T, E>, S>>,
    /// The values that wait for their turn, from the position `next` on.
    early: VecDeque<Option<T>>,
    /// A value's turn comes when its task has finished.
    unordered: bool,
    kept: usize,
    next: usize,
    refused: Option<Error>,
    failed: Option<usize>,
}

impl<I: Iterator, F, T, E, S> TryMap<I, F, T, E, S> {
    /// `Err` is the refusal of the first task. It is the first item then.
    pub(crate) fn new(map: Result<MapUnordered<I, F, Result<T, E>, S>, Error>) -> Self {
        let (map, refused) = match map {
            Ok(map) => (Some(map), None),
            Err(refusal) => (None, Some(refusal)),
        };
        Self { map, early: VecDeque::new(), unordered: false, kept: 0, next: 0, refused, failed: None }
    }

    /// Yields values as their tasks finish, instead of in the order of their inputs. Returns the map.
    ///
    /// A slow item holds up no other. The first error ends the map as before.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let lengths = pool.try_map(["Cargo.toml", "README.md"], |name| std::fs::metadata(name).map(|file| file.len()));
    /// let whole: u64 = lengths.unordered().sum::<std::io::Result<u64>>()?;
    /// assert!(whole > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self.early.retain(Option::is_some);
        self
    }

    /// Returns the position of the input whose error ended the map, counted from 0. `None` before an error.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let texts = ["1", "2", "three"];
    /// let mut numbers = pool.try_map(texts, |text| text.parse::<u32>().map_err(|_| heirloom::Error::from(heirloom::TimedOut)));
    /// let all: Result<Vec<u32>, _> = numbers.by_ref().collect();
    /// assert!(all.is_err());
    /// assert_eq!(numbers.failed_at().map(|at| texts[at]), Some("three"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn failed_at(&self) -> Option<usize> {
        self.failed
    }

    /// The value whose turn it is.
    fn take_next(&mut self) -> Option<T> {
        let value = self.early.front_mut()?.take()?;
        self.early.pop_front();
        self.kept -= 1;
        self.next += 1;
        Some(value)
    }

    /// Keeps a value, or ends the map with an error.
    fn keep(&mut self, at: usize, result: Result<Result<T, E>, Error>) -> Result<(), E>
    where
        E: From<Error>,
    {
        match result {
            Ok(Ok(value)) => {
                let turns = if self.unordered { self.early.len() } else { at - self.next };
                if self.early.len() <= turns {
                    self.early.resize_with(turns + 1, || None);
                }
                self.early[turns] = Some(value);
                self.kept += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(self.fail(at, error)),
            Err(error) => {
                let error = E::from(error);
                Err(self.fail(at, error))
            }
        }
    }

    fn fail(&mut self, at: usize, error: E) -> E {
        self.failed = Some(at);
        self.early.clear();
        self.kept = 0;
        // Its drop cancels the tasks under way.
        self.map = None;
        error
    }

    /// A refusal of the very first task.
    fn refused(&mut self) -> Option<Result<T, E>>
    where
        E: From<Error>,
    {
        let refusal = self.refused.take()?;
        self.failed = Some(0);
        Some(Err(refusal.into()))
    }
}

impl<'a, I, F, T, E, S> TryMap<I, F, T, E, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'a,
    T: Send + 'a,
    E: From<Error> + Send + 'a,
{
    /// Returns the next value, waiting at most `d`; `Ok(None)` at the end. As [`Map::next_timeout`](crate::Map::next_timeout).
    ///
    /// # Errors
    /// [`TimedOut`] when it is not there by then; the map is unchanged.
    pub fn next_timeout(&mut self, d: Duration) -> Result<Option<Result<T, E>>, Error> {
        Ok(self.next_by(park::after(d))?)
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<Result<T, E>>, TimedOut> {
        loop {
            if let Some(value) = self.take_next() {
                return Ok(Some(Ok(value)));
            }
            let Some(map) = &mut self.map else { return Ok(self.refused()) };
            let Some((at, result)) = map.next_or_refusal(self.kept, deadline)? else { return Ok(None) };
            if let Err(error) = self.keep(at, result) {
                return Ok(Some(Err(error)));
            }
        }
    }

    /// Returns the next value without blocking the runtime; `None` at the end. The future may be dropped at any time:
    /// neither a value nor an input is lost. The iterator's own `next` runs on the polling thread.
    pub async fn next_async(&mut self) -> Option<Result<T, E>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next value, as a stream is polled. `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        loop {
            if let Some(value) = self.take_next() {
                return Poll::Ready(Some(Ok(value)));
            }
            let Some(map) = &mut self.map else { return Poll::Ready(self.refused()) };
            let Some((at, result)) = ready!(map.poll_next_or_refusal(self.kept, cx)) else { return Poll::Ready(None) };
            if let Err(error) = self.keep(at, result) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<'a, I, F, T, E, S> Iterator for TryMap<I, F, T, E, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'a,
    T: Send + 'a,
    E: From<Error> + Send + 'a,
{
    type Item = Result<T, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_by(None).unwrap_or(None)
    }
}

impl<'a, I, F, T, E, S> FusedIterator for TryMap<I, F, T, E, S>
where
    S: Submitter<'a>,
    I: Iterator,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'a,
    T: Send + 'a,
    E: From<Error> + Send + 'a,
{
}

// No field is pinned.
impl<I: Iterator, F, T, E, S> Unpin for TryMap<I, F, T, E, S> {}

impl<I: Iterator, F, T, E, S> fmt::Debug for TryMap<I, F, T, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryMap").field("under_way", &self.map).field("kept", &self.kept).finish_non_exhaustive()
    }
}
