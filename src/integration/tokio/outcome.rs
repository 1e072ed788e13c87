//! [`Outcome`]: the result of a spawned future or job, on its way from the runtime to the handle.
//!
//! # The life of an outcome
//! ```text
//!   AWAITED --end--> ENDED --take--> TAKEN (final)
//!      \----forget----> FORGOTTEN --end--> TAKEN
//! ```
//! The handle's drop forgets. A result that comes later is dropped by the runtime's side, before the scopes count the work
//! out, so a scope's end has waited for that drop.
//!
//! # The race to fear
//! The handle looks, finds no result, and the end comes before its waker is registered. That cannot be: one lock covers the
//! look and the registration, and the end too.

use std::mem;
use std::task::{Poll, Waker};

use crate::lineage::work::Work;
use crate::sync::os::{Arc, Mutex, OnceLock};
use crate::sync::unwind::{swallow, swallow_drop};

use crate::error::JoinError;

pub(super) type Ended<T> = Result<T, JoinError>;

/// The closure of a job that has not begun.
type Queued<T> = Box<dyn FnOnce() -> T + Send>;

/// The state that the runtime's side and the handle share.
pub(super) struct Outcome<T> {
    pub(super) work: Arc<Work>,
    stage: Mutex<Stage<T>>,
    /// `None` for a future, and once the job has begun or ended.
    queued: Mutex<Option<Queued<T>>>,
    /// Ends a future. Set once the runtime has the future.
    pub(super) abort: OnceLock<::tokio::task::AbortHandle>,
}

enum Stage<T> {
    Awaited(Option<Waker>),
    Ended(Ended<T>),
    Forgotten,
    Taken,
}

impl<T> Outcome<T> {
    pub(super) fn new(work: Arc<Work>, queued: Option<Queued<T>>) -> Arc<Self> {
        let (stage, queued) = (Mutex::new(Stage::Awaited(None)), Mutex::new(queued));
        Arc::new(Self { work, stage, queued, abort: OnceLock::new() })
    }

    /// Takes the closure of a job that has not begun. The caller runs it or ends the job.
    pub(super) fn take_queued(&self) -> Option<Queued<T>> {
        self.queued.lock().take()
    }

    /// Ends a job that has not begun. Its closure is dropped on the calling thread, at the job's node.
    pub(super) fn end_queued(&self, why: impl FnOnce() -> JoinError) {
        if let Some(queued) = self.take_queued() {
            self.work.run(|| swallow_drop(queued));
            self.end(Err(why()));
        }
    }

    /// Stores the result. Called once, after the code has ended.
    ///
    /// Runs user code: a waker, the end of a scope, the drop of a result without a handle.
    pub(super) fn end(&self, ended: Ended<T>) {
        let (waker, unclaimed) = {
            let mut stage = self.stage.lock();
            match mem::replace(&mut *stage, Stage::Taken) {
                Stage::Awaited(waker) => {
                    *stage = Stage::Ended(ended);
                    (waker, None)
                }
                Stage::Ended(_) | Stage::Forgotten | Stage::Taken => (None, Some(ended)),
            }
        };
        if unclaimed.is_some() {
            self.work.run(|| swallow_drop(unclaimed));
        }
        self.work.leave();
        if let Some(waker) = waker {
            swallow(|| waker.wake());
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Ended(_) | Stage::Taken)
    }

    /// Takes the result. Pending for ever once it was taken.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Ended<T>> {
        // A waker's clone and drop are user code, so neither is under the lock.
        let mut left = Some(waker.clone());
        let mut stage = self.stage.lock();
        let ended = match &mut *stage {
            Stage::Awaited(before) => {
                mem::swap(before, &mut left);
                None
            }
            Stage::Ended(_) => Some(mem::replace(&mut *stage, Stage::Taken)),
            Stage::Forgotten | Stage::Taken => None,
        };
        drop(stage);
        drop(left);
        match ended {
            Some(Stage::Ended(ended)) => Poll::Ready(ended),
            _ => Poll::Pending,
        }
    }

    /// Notes that the handle was dropped.
    pub(super) fn forget(&self) {
        let before = {
            let mut stage = self.stage.lock();
            let next = match &*stage {
                Stage::Awaited(_) => Stage::Forgotten,
                Stage::Ended(_) | Stage::Forgotten | Stage::Taken => Stage::Taken,
            };
            mem::replace(&mut *stage, next)
        };
        drop(before);
    }
}
