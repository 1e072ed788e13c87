//! [`CancelOnDrop`]: a handle whose drop cancels its work.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::pool::handle::set::TaskSet;
use crate::pool::handle::task::TaskHandle;

/// A handle of work that can be cancelled.
pub trait Cancel {
    /// Cancels the work. Does not wait, and does not panic.
    fn request_cancel(&self);
}

impl<T> Cancel for TaskHandle<T> {
    fn request_cancel(&self) {
        self.cancel();
    }
}

impl<T> TaskHandle<T> {
    /// Wraps the handle so that its drop cancels the task instead of detaching it. For `timeout(limit, handle)` and
    /// `select!`, which drop the futures that they give up. See [`CancelOnDrop`].
    pub fn cancel_on_drop(self) -> CancelOnDrop<Self> {
        CancelOnDrop::new(self)
    }
}

impl<T> Cancel for TaskSet<T> {
    fn request_cancel(&self) {
        self.cancel_all();
    }
}

impl<T> TaskSet<T> {
    /// Wraps the set so that its drop cancels each unfinished task instead of detaching it. See [`CancelOnDrop`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{PoolConfig, Scope, TaskSet};
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("work");
    /// pool.start(PoolConfig::leased(2))?;
    /// let mut mirrors = TaskSet::new().cancel_on_drop();
    /// mirrors.push(pool.submit(|| Ok("the fastest"))?);
    /// mirrors.push(pool.submit(|| heirloom::sleep(Duration::from_secs(3600)).map(|()| "the slowest"))?);
    /// let (_, first) = mirrors.join_next().expect("there are two");
    /// assert_eq!(first??, "the fastest");
    /// drop(mirrors); // the other task is cancelled
    /// pool.wait_idle()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<Self> {
        CancelOnDrop::new(self)
    }
}

/// A handle whose drop cancels its task, or each unfinished task of a set.
///
/// A plain [`TaskHandle`] detaches its task when it is dropped, and a time limit or a `select!` drops the handle that
/// it gives up: the task goes on although its result is lost. This wrapper is for those callers.
/// [`TaskHandle::cancel_on_drop`] and [`TaskSet::cancel_on_drop`] make it. It derefs to the handle, and is a [`Future`]
/// where the handle is one. [`into_inner`](Self::into_inner) returns the plain handle.
///
/// The drop does not wait. It does the same as the handle's own `cancel`: a queued task never starts, and its closure
/// is dropped on this thread; a running task sees the request at its next [`checkpoint`](crate::checkpoint). A finished
/// task is left as it is. The wrapper costs nothing until then.
///
/// ```
/// use std::time::Duration;
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(2))?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let query = work.submit(|| heirloom::sleep(Duration::from_secs(3600)))?.cancel_on_drop();
/// let answer = tokio::time::timeout(Duration::from_millis(5), query).await;
/// assert!(answer.is_err());
/// work.wait_idle()?; // the query was cancelled, and its sleep ended
/// # Ok::<(), heirloom::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping this cancels the task at once"]
pub struct CancelOnDrop<H: Cancel> {
    // `None` once it was taken out.
    handle: Option<H>,
}

impl<H: Cancel> CancelOnDrop<H> {
    pub(crate) fn new(handle: H) -> Self {
        Self { handle: Some(handle) }
    }

    /// Returns the plain handle, whose drop cancels nothing.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let work = scope.create("work");
    /// work.start(PoolConfig::leased(1))?;
    /// let sum = work.submit(|| 1 + 1)?.cancel_on_drop();
    /// assert_eq!(sum.into_inner().join()?, 2);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn into_inner(mut self) -> H {
        match self.handle.take() {
            Some(handle) => handle,
            None => unreachable!("the handle is taken out here, and `self` ends here"),
        }
    }
}

impl<H: Cancel> Deref for CancelOnDrop<H> {
    type Target = H;

    fn deref(&self) -> &H {
        match &self.handle {
            Some(handle) => handle,
            None => unreachable!("only `into_inner` takes the handle out"),
        }
    }
}

impl<H: Cancel> DerefMut for CancelOnDrop<H> {
    fn deref_mut(&mut self) -> &mut H {
        match &mut self.handle {
            Some(handle) => handle,
            None => unreachable!("only `into_inner` takes the handle out"),
        }
    }
}

impl<H: Cancel + Future + Unpin> Future for CancelOnDrop<H> {
    type Output = H::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<H::Output> {
        Pin::new(&mut **self).poll(cx)
    }
}

impl<H: Cancel> Drop for CancelOnDrop<H> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.request_cancel();
        }
    }
}

impl<H: Cancel + fmt::Debug> fmt::Debug for CancelOnDrop<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&**self).finish()
    }
}
