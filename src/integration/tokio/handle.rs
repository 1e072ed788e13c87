//! [`PortalHandle`]: the handle of a future that a portal spawned.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::handle::cancel_on_drop::{Cancel, CancelOnDrop};
use crate::runtime;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Obligation, Target};
use crate::wait::park;

use super::spawn::SpawnHandle;
use crate::error::{Error, PortalError};

/// The handle of a future on a [`Portal`](super::Portal)'s runtime. Dropping it detaches the future.
///
/// A detached future runs until it ends, its runtime is shut down or its node is cancelled. With
/// [`cancel_on_drop`](Self::cancel_on_drop) the drop cancels it instead. The handle is also a [`Future`], on any runtime.
#[must_use = "dropping the handle detaches the future; its result and its panic are lost"]
pub struct PortalHandle<T> {
    task: SpawnHandle<T>,
    generation: u64,
    /// The runtime's, until the future has ended.
    owed: Arc<Obligation>,
}

impl<T> PortalHandle<T> {
    pub(super) fn new(task: SpawnHandle<T>, generation: u64, owed: Arc<Obligation>) -> Self {
        Self { task, generation, owed }
    }

    /// Returns whether the future runs in the process that this one is a fork of.
    fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Returns whether the future has ended, so that `join` returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Cancels the future: the runtime drops it at its next `.await` at the latest. Does not block.
    ///
    /// A future that has ended keeps its result.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// Cancels the future when the handle is dropped, instead of detaching it. See [`CancelOnDrop`].
    ///
    /// For `timeout(limit, handle)` and `select!`, which drop the handles that they give up.
    pub fn cancel_on_drop(self) -> CancelOnDrop<Self> {
        CancelOnDrop::new(self)
    }

    /// Blocks until the future has ended, and returns its output. In a pool's task this releases the task's permit meanwhile.
    ///
    /// A cancel of the waiting task does not interrupt the wait by itself. It cancels the future, if the future stands below
    /// the cancelled node, as a future spawned by that task does.
    ///
    /// # Errors
    /// A [`JoinError`](crate::JoinError): the future panicked or was cancelled.
    /// [`NotRunning`](PortalError::NotRunning). [`WouldDeadlock`](PortalError::WouldDeadlock) on a thread that runs a
    /// future of a tokio runtime: `.await` the handle there. The same, with the circle, where all of the runtime's workers
    /// wait, directly or through other waits, for the caller. The future goes on then, detached.
    pub fn join(self) -> Result<T, Error> {
        if runtime::runs_a_future() {
            return Err(PortalError::WouldDeadlock { circle: None }.into());
        }
        joined(self, None)
    }

    fn poll_end(&mut self, waker: &Waker) -> Poll<Result<T, Error>> {
        self.task.poll_end(waker).map_err(|error| match error.is_by_runtime() {
            true => PortalError::not_running().into(),
            false => error.into(),
        })
    }
}

/// Waits for the future, and with a listener also for a cancel.
pub(super) fn joined<T>(mut handle: PortalHandle<T>, mut cancel_listener: Option<CancelListener>) -> Result<T, Error> {
    if handle.is_elsewhere() && !handle.is_finished() {
        return Err(PortalError::not_running().into());
    }
    let mut end = None;
    let refuse = |why: ClosesCircle| Error::from(PortalError::WouldDeadlock { circle: Some(why.circle) });
    let released =
        PermitsReleased::begin_for(Target::Obligation(Arc::clone(&handle.owed)), Label::Future, Ends::WhenTold);
    let released = match released {
        Ok(released) => released,
        Err(why) => {
            if cancel_listener.is_some() {
                handle.cancel();
            }
            return Err(refuse(why));
        }
    };
    park::block_until(None, |waker| {
        if let Poll::Ready(out) = handle.poll_end(waker) {
            end = Some(out);
            return true;
        }
        cancel_listener
            .as_mut()
            .is_some_and(|cancel_listener| cancel_listener.poll(waker, CancelListener::cancel_requested))
            || released.is_refused()
    });
    // A cancel ends the wait, and opens the circle.
    let refusal =
        released.refusal().filter(|_| !cancel_listener.as_ref().is_some_and(CancelListener::cancel_requested));
    drop(released);
    end.unwrap_or_else(|| match refusal {
        // A joined future goes on, detached.
        Some(why) if cancel_listener.is_none() => Err(refuse(why)),
        why => {
            handle.cancel();
            let cancelled = interrupted::cancelled();
            Err(why.map_or_else(|| cancelled.into(), refuse))
        }
    })
}

impl<T> Cancel for PortalHandle<T> {
    fn request_cancel(&self) {
        self.cancel();
    }
}

impl<T> Future for PortalHandle<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_end(cx.waker())
    }
}

impl<T> fmt::Debug for PortalHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
