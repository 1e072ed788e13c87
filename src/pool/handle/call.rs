//! [`Call`]: a task and the wait for its result, in one value.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;
use crate::lineage::current;
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::{cancel_listener, release};
use crate::pool::context::interrupted;
use crate::pool::handle::cancel_on_drop::CancelOnDrop;
use crate::pool::handle::task::TaskHandle;
use crate::wait::graph::Ends;
use crate::wait::park;

/// A submitted task whose result the caller waits for. Dropping it cancels the task.
///
/// [`call`](crate::call) and [`PoolManager::call`](crate::PoolManager::call) make it. It is a [`Future`], and
/// [`join`](Self::join) is the same wait for code that blocks. Each returns the closure's own `Result`. An error of this
/// crate (no such manager, a refusal, a panic, a cancel) becomes one of the closure's error type.
///
/// The task is submitted when the call is made, not when it is first polled. So two calls run beside each other, also
/// where the caller awaits one after the other.
///
/// A call that is dropped has no reader for its result: a queued task never starts, and a running one sees the request at
/// its next [`checkpoint`](crate::checkpoint). The drop does not wait. For a task that goes on without its caller, take
/// the plain handle ([`into_handle`](Self::into_handle)), or [`submit`](crate::PoolManager::submit) the task.
#[must_use = "dropping a call cancels its task at once"]
pub struct Call<T, E>(Inner<T, E>);

enum Inner<T, E> {
    Accepted(CancelOnDrop<TaskHandle<Result<T, E>>>),
    /// `None` once a poll has returned the refusal.
    Refused(Option<Error>),
}

impl<T, E> Call<T, E> {
    /// Submits the task of a call. The caller is a node then, so that the task sees the caller's cancel requests also
    /// where the joiner itself runs the task.
    pub(crate) fn submit(submit: impl FnOnce() -> Result<TaskHandle<Result<T, E>>, Error>) -> Self {
        let _caller = current::own();
        Self::new(submit())
    }

    pub(crate) fn new(submitted: Result<TaskHandle<Result<T, E>>, Error>) -> Self {
        Self(match submitted {
            Ok(handle) => Inner::Accepted(handle.cancel_on_drop()),
            Err(refusal) => Inner::Refused(Some(refusal)),
        })
    }

    /// Returns the task's plain handle, whose drop cancels nothing.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let work = scope.create("work");
    /// work.start(PoolConfig::leased(1))?;
    /// let write = work.call(|| std::fs::metadata(".")).into_handle()?;
    /// drop(write); // detached: the task runs all the same
    /// assert_eq!(work.stop()?.completed, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// The refusal, when the task was not accepted.
    pub fn into_handle(self) -> Result<TaskHandle<Result<T, E>>, Error> {
        match self.0 {
            Inner::Accepted(handle) => Ok(handle.into_inner()),
            // Only a poll takes the refusal out, and a polled call that was ready has no more to give.
            Inner::Refused(refusal) => Err(refusal.unwrap_or_else(|| interrupted::cause().into())),
        }
    }

    /// Cancels the task at a deadline, `d` from now. Returns the call.
    ///
    /// As [`TaskHandle::timeout`], whose costs it has.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{Error, PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let work = scope.create("work");
    /// work.start(PoolConfig::leased(1))?;
    /// let slow = work.call(|| heirloom::sleep(Duration::from_secs(3600))).timeout(Duration::from_millis(5));
    /// assert!(slow.join().is_err_and(|error: Error| error.is_cancelled()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn timeout(self, d: Duration) -> Self {
        match self.0 {
            Inner::Accepted(handle) => Self::new(Ok(handle.into_inner().timeout(d))),
            refused => Self(refused),
        }
    }
}

impl<T, E: From<Error>> Call<T, E> {
    /// Waits for the task, and returns the closure's own result.
    ///
    /// The task runs where [`TaskHandle::join`] would run it, perhaps on this thread. Every other wait releases the running
    /// task's permit. While the wait parks, a cancel that reaches the caller is passed on to the task, and the wait goes on
    /// until the task has ended.
    ///
    /// # Errors
    /// The closure's own error. An error of this crate, converted: that of the look-up or the submit, and those of
    /// [`TaskHandle::join`].
    pub fn join(self) -> Result<T, E> {
        flat(self.into_handle().and_then(join_forwarding))
    }
}

/// An error of this crate and the closure's own, as one.
fn flat<T, E: From<Error>>(out: Result<Result<T, E>, Error>) -> Result<T, E> {
    out.unwrap_or_else(|error| Err(error.into()))
}

fn join_forwarding<T>(handle: TaskHandle<T>) -> Result<T, Error> {
    if !handle.is_finished() {
        if let Some(error) = handle.awaited.never_ends() {
            return Err(error.into());
        }
        wait(&handle)?;
    }
    handle.join()
}

/// Not inlined, since its locals would be on the stack of every task that runs inside another one.
#[inline(never)]
fn wait<T>(handle: &TaskHandle<T>) -> Result<(), Error> {
    let deep = release::release_if_deep();
    // No request is forwarded to a task that runs on this thread.
    let ends = match cancel_listener::is_heard_at(handle.awaited.task.at()) {
        true => handle.awaited.ends_without_sleep(deep.is_none()),
        false => park::spin_until(|| handle.is_finished()),
    };
    if ends {
        return Ok(());
    }
    let mut forwarder = None;
    let blocked = handle.awaited.block(Ends::WhenTold, |waker| {
        forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
            handle.cancel();
        });
    });
    blocked.map_err(|why| handle.awaited.would_deadlock(why).into())
}

impl<T, E: From<Error>> Future for Call<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        match &mut self.0 {
            Inner::Accepted(handle) => Pin::new(handle).poll(cx).map(|out| flat(out)),
            Inner::Refused(refusal) => match refusal.take() {
                Some(refusal) => Poll::Ready(Err(refusal.into())),
                // Polled again after it was ready.
                None => Poll::Pending,
            },
        }
    }
}

impl<T, E> fmt::Debug for Call<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Accepted(handle) => f.debug_tuple("Call").field(&**handle).finish(),
            Inner::Refused(refusal) => f.debug_tuple("Call").field(refusal).finish(),
        }
    }
}
