//! [`CancelOnDrop`]: a handle whose drop asks its work to stop.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::pool::handle::set::TaskSet;
use crate::pool::handle::task::TaskHandle;

/// A handle that stands for work which can be asked to stop.
pub trait Cancel {
    /// Asks the work to stop. Does not wait, and does not panic.
    fn request_cancel(&self);
}

impl<T> Cancel for TaskHandle<T> {
    fn request_cancel(&self) {
        self.cancel();
    }
}

impl<T> TaskHandle<T> {
    /// Cancels the task when the handle is dropped, instead of detaching it: for `timeout(limit, handle)` and `select!`,
    /// which drop what they give up. See [`CancelOnDrop`].
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
    /// Cancels each task that has not ended when the set is dropped, instead of detaching it. See [`CancelOnDrop`].
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
    /// drop(mirrors); // the other task is asked to stop
    /// pool.wait_idle()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<Self> {
        CancelOnDrop::new(self)
    }
}

/// A handle whose drop cancels its task, or each task of a set that has not ended.
///
/// A plain [`TaskHandle`] detaches its task when it is dropped, and a time limit or a `select!` drops what it gives up:
/// the task goes on although its result is lost. This wrapper is for those places. It is made by
/// [`TaskHandle::cancel_on_drop`] and [`TaskSet::cancel_on_drop`], gives the handle's own methods (it derefs to it), and
/// is a [`Future`] where the handle is one. [`into_inner`](Self::into_inner) gives the plain handle back.
///
/// Its drop does not wait. It does what the handle's own `cancel` does: a task that has not started never will, and its
/// closure is dropped on this thread; a running task hears of the request where it looks
/// ([`checkpoint`](crate::checkpoint)). A task that has ended is left as it is. The wrapper costs nothing until then.
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
/// work.wait_idle()?; // the query was asked to stop, and its sleep ended
/// # Ok::<(), Box<dyn std::error::Error>>(())
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

    /// The plain handle, whose drop cancels nothing.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let work = scope.create("work");
    /// work.start(PoolConfig::leased(1))?;
    /// let sum = work.submit(|| 1 + 1)?.cancel_on_drop();
    /// assert_eq!(sum.into_inner().join()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
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
