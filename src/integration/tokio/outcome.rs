//! [`Outcome`]: what came of a spawned future or job, handed from the runtime to its handle.
//!
//! # The life of an outcome
//! ```text
//!   AWAITED --end--> ENDED --take--> TAKEN (final)
//!      \----forget----> FORGOTTEN --end--> TAKEN
//! ```
//! The handle's drop forgets. What ends then is dropped by the runtime's side, before the scopes count it out, so a
//! scope's end has waited for it.
//!
//! # The race to fear
//! The handle looks, finds nothing, and the end comes before its waker is left. It cannot: the waker is left and the
//! stage looked at under one lock, and so is the end.

use std::mem;
use std::task::{Poll, Waker};

use crate::lineage::work::Work;
use crate::sync::os::{Arc, Mutex, OnceLock};
use crate::sync::unwind::{swallow, swallow_drop};

use crate::error::JoinError;

pub(super) type Ended<T> = Result<T, JoinError>;

/// A closure that has not begun.
type Queued<T> = Box<dyn FnOnce() -> T + Send>;

/// What the runtime's side and the handle share.
pub(super) struct Outcome<T> {
    pub(super) work: Arc<Work>,
    stage: Mutex<Stage<T>>,
    /// A blocking job that has not begun.
    queued: Mutex<Option<Queued<T>>>,
    /// Ends a future. Set once the runtime has it.
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

    /// Whoever takes it runs it or ends it.
    pub(super) fn take_queued(&self) -> Option<Queued<T>> {
        self.queued.lock().take()
    }

    /// Ends a job that has not begun: its closure is dropped here, at its place.
    pub(super) fn end_queued(&self, why: JoinError) {
        if let Some(queued) = self.take_queued() {
            self.work.run(|| swallow_drop(queued));
            self.end(Err(why));
        }
    }

    /// Its code has ended. Called once. Runs user code: a waker, the end of a scope, the drop of what nobody awaits.
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

    /// Pending for ever once it was taken.
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

    /// What it ends with is awaited by nobody.
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
