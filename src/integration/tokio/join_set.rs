//! [`JoinSet`]: spawned futures and jobs, returned as they end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::pool::handle::members::Members;

use super::spawn::{SpawnHandle, spawn, spawn_blocking};
use crate::error::Error;

/// Spawned futures and jobs, returned as they end. Dropping the set cancels its members that have not ended.
///
/// As `tokio::task::JoinSet`, but each member stands at the node that spawned it.
///
/// ```
/// use heirloom::{FutureExt, JoinSet, Scope};
///
/// async fn names() -> Result<Vec<String>, heirloom::Error> {
///     let mut set = JoinSet::new();
///     for part in ["head", "body"] {
///         set.spawn(async move { format!("{part} of {}", heirloom::current().name().unwrap_or_default()) })?;
///     }
///     let mut all = Vec::new();
///     while let Some(name) = set.join_next().await {
///         all.push(name?);
///     }
///     all.sort();
///     Ok(all)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// let all = runtime.block_on(names().in_scope(Scope::new("page 7")))?;
/// assert_eq!(all, ["body of page 7", "head of page 7"]);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the set cancels what is in it"]
pub struct JoinSet<T>(Members<SpawnHandle<T>>);

impl<T: Send + 'static> JoinSet<T> {
    /// Adds a future to the set; see [`spawn`](crate::spawn()).
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn()).
    pub fn spawn<F>(&mut self, future: F) -> Result<(), Error>
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.0.insert(spawn(future)?);
        Ok(())
    }

    /// Adds a job to the set; see [`spawn_blocking`](crate::spawn_blocking()).
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn()).
    pub fn spawn_blocking<F>(&mut self, f: F) -> Result<(), Error>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.0.insert(spawn_blocking(f)?);
        Ok(())
    }
}

impl<T> JoinSet<T> {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self(Members::new())
    }

    /// Returns the number of members that were not returned yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the set has no member left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for the next member to end, and returns its result; `None` when the set is empty.
    ///
    /// Members are returned in the order of their ends. Dropping the future loses no result.
    pub async fn join_next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), for futures written by hand.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        let ended = self.0.poll_next(cx, |handle, cx| Pin::new(handle).poll(cx));
        ended.map(|ended| ended.map(|(_, _, output)| output))
    }

    /// Returns the result of a member that has ended; `None` when there is none at the moment. Does not block.
    pub fn try_join_next(&mut self) -> Option<Result<T, Error>> {
        match self.poll_join_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended,
            Poll::Pending => None,
        }
    }

    /// [`Cancel`](SpawnHandle::cancel)s the members that have not ended. Each is still returned.
    pub fn abort_all(&self) {
        for (_, handle) in self.0.iter() {
            handle.cancel();
        }
    }

    /// Cancels the members that have not ended, and waits for their ends. The set is empty then, and may be used again.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Removes all members from the set, without cancelling them.
    pub fn detach_all(&mut self) {
        self.0 = Members::new();
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}
