//! [`JoinHandle`] and [`ScopedJoinHandle`]: joining and cancelling a thread.

use std::fmt;
use std::task::Waker;
use std::thread::Thread;

use crate::error::{Error, JoinError};
use crate::lineage::handle::Lineage;
use crate::lineage::thread_state::{Request, ThreadState};
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::report::CancelOutcome;
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;

/// The handle of a started thread. Dropping it detaches the thread, which runs on.
#[must_use = "dropping the handle detaches the thread; its result and its panic are lost"]
pub struct JoinHandle<T> {
    pub(super) inner: std::thread::JoinHandle<T>,
    pub(super) started: Arc<ThreadState>,
}

/// The handle of a thread that may borrow; see [`scope`](crate::thread::scope). Dropping it changes nothing: the scope
/// waits for the thread.
pub struct ScopedJoinHandle<'scope, T> {
    pub(super) inner: std::thread::ScopedJoinHandle<'scope, T>,
    pub(super) started: Arc<ThreadState>,
}

macro_rules! join_handle {
    ($($handle:tt)*) => {
        impl<T> $($handle)* {
            /// Returns `std`'s handle of the thread, with its id and its name.
            #[must_use]
            pub fn thread(&self) -> &Thread {
                self.inner.thread()
            }

            /// Returns the thread's node. `None`: the thread has not become one (see [`current`](crate::current)), or
            /// it has ended and no handle keeps the node.
            #[must_use]
            pub fn lineage(&self) -> Option<Lineage> {
                self.started.node().map(Lineage)
            }

            /// Returns whether the thread has ended, so that `join` returns soon.
            #[must_use]
            pub fn is_finished(&self) -> bool {
                self.inner.is_finished()
            }

            /// Cancels the thread and the work that it started since it became a node, also before its code has begun.
            ///
            /// The thread sees the request at its next [`checkpoint`](crate::checkpoint) or in a
            /// [`sleep`](crate::sleep).
            pub fn cancel(&self) -> CancelOutcome {
                match self.started.cancel() {
                    Request::First => CancelOutcome::Requested,
                    Request::Again => CancelOutcome::AlreadyRequested,
                    Request::TooLate => CancelOutcome::AlreadyFinished,
                }
            }

            /// Blocks until the thread has ended, and returns its result. A task that waits here releases its permit.
            ///
            /// The wait does not run tasks that are queued for a pool [local](crate::LocalPool) to the waiting thread:
            /// if the joined thread waits for such a task, the wait would never end.
            ///
            /// # Errors
            /// A [`JoinError`]: the thread panicked, and [`Error::into_panic`] returns the payload. At once:
            /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock), where the thread waits, directly or through other
            /// waits, for something that the caller owes; the thread goes on then, detached.
            /// [`Forked`](crate::ErrorKind::Forked) in a fork of its process, where the thread does not exist, also if it
            /// had ended before.
            pub fn join(self) -> Result<T, Error> {
                if self.started.is_elsewhere() {
                    // `std` would wait for a thread that does not exist, or panic, also where it had ended before the
                    // fork. There is no thread to detach either.
                    let forked = JoinError::forked(self.thread());
                    std::mem::forget(self.inner);
                    return Err(forked.into());
                }
                if !self.started.is_over() {
                    self.until_over(|_| {})?;
                }
                // It runs no more code than the destructors of its locals.
                let mut released = PermitsReleased::begin();
                let _ = released.waits_for(self.target(), self.label(), Ends::Never);
                let thread = self.thread().clone();
                Ok(self.inner.join().map_err(|payload| JoinError::panic(Some(thread), payload))?)
            }

            /// Blocks until the thread's code has ended; `poll` is called with each look. The error: the wait would
            /// never end.
            fn until_over(&self, mut poll: impl FnMut(&Waker)) -> Result<(), JoinError> {
                let refuse = |why: ClosesCircle| JoinError::deadlock(self.thread(), why.circle);
                let released = PermitsReleased::begin_for(self.target(), self.label(), Ends::WhenTold).map_err(refuse)?;
                let over = self.started.over().register();
                park::block_until(None, |waker| {
                    poll(waker);
                    over.set(waker);
                    self.started.is_over() || released.is_refused()
                });
                match released.refusal() {
                    Some(why) if !self.started.is_over() => Err(refuse(why)),
                    _ => Ok(()),
                }
            }

            fn target(&self) -> Target {
                Target::Thread(self.thread().id())
            }

            fn label(&self) -> Label {
                Label::Thread(self.thread().clone())
            }

            /// Blocks until the thread has ended, and passes each cancel of the caller on to it meanwhile.
            ///
            /// A repeated cancel is passed on too, so a child that acknowledged the first one is cancelled again. The
            /// wait goes on: the child decides. To be able to acknowledge, the child must be started
            /// [shielded](crate::thread::Builder::shielded): any other child also sees the caller's own request, which
            /// it cannot acknowledge.
            ///
            /// # Errors
            /// [`Error::Cancelled`]: the caller was cancelled while it waited. The child has ended then, and its result
            /// is dropped. Otherwise as [`join`](Self::join). If the thread had ended before, its result is returned, and
            /// a cancel stays pending for the caller's next look.
            pub fn join_cancelling(self) -> Result<T, Error> {
                let mut forwarder = None;
                if !self.started.is_over() && !self.started.is_elsewhere() {
                    let passes = |waker: &Waker| {
                        forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
                            self.started.cancel();
                        });
                    };
                    self.until_over(passes)?;
                }
                let out = self.join();
                if forwarder.is_some_and(|forwarder| forwarder.passed()) { Err(interrupted::cancelled().into()) } else { out }
            }
        }

        impl<T> fmt::Debug for $($handle)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("JoinHandle").field("thread", self.thread()).finish_non_exhaustive()
            }
        }
    };
}

impl<T> JoinHandle<T> {
    /// As [`join`](Self::join), without blocking the runtime while the thread's code runs. It blocks then, as `std`
    /// does, for the destructors of the thread's locals. Dropping the future detaches the thread.
    ///
    /// ```
    /// let thread = heirloom::thread::spawn(|| 7)?;
    /// assert_eq!(futures::executor::block_on(thread.join_async())?, 7); // on any runtime
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`join`](Self::join), of which it finds no circle while the thread's code runs.
    pub async fn join_async(self) -> Result<T, Error> {
        if !self.started.is_elsewhere() {
            self.started.over().until(|| self.started.is_over()).await;
        }
        self.join()
    }
}

join_handle!(JoinHandle<T>);
join_handle!(ScopedJoinHandle<'_, T>);
