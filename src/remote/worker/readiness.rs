//! [`ServingState`], and the facts behind it: whether the engine has the queue for this worker.

use std::fmt;

use crate::sync::os::Mutex;
use crate::wait::waker_set::WakerSet;
use crate::wire::fault::Fault;

/// Whether a [`Serving`](crate::remote::Serving) takes jobs, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServingState {
    /// It has not served yet: there is no connection, or the queue is not there.
    Connecting,
    /// It takes jobs.
    Serving,
    /// It has served, and now has no connection, or no queue there. The jobs that are here go on, and the engine connects again
    /// by itself.
    Disconnected,
    /// It was closed, and jobs are here: they run, or tell their end.
    Stopping,
    /// It was closed, and no job is here.
    Stopped,
}

impl ServingState {
    /// Returns the state as one word in lower case, for logs and health checks.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Serving => "serving",
            Self::Disconnected => "disconnected",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ServingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The engine's answers to the declarations of one serving.
pub(super) struct Readiness {
    answers: Mutex<Answers>,
    /// Notified at each change, and when the serving is closed.
    pub(super) changed: WakerSet,
}

#[derive(Default)]
struct Answers {
    /// The number of the newest declaration. An answer to an earlier one is of a lost connection.
    newest: u64,
    found: bool,
    was_found: bool,
    /// The engine's refusal. A missing connection is none.
    fault: Option<Fault>,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self { answers: Mutex::new(Answers::default()), changed: WakerSet::new() }
    }

    /// Begins a declaration. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        let mut answers = self.answers.lock();
        answers.newest += 1;
        answers.newest
    }

    /// The engine has answered the declaration of this number. Returns whether it was the newest one.
    pub(super) fn answered(&self, number: u64, outcome: Result<(), Fault>) -> bool {
        {
            let mut answers = self.answers.lock();
            if answers.newest != number {
                return false;
            }
            answers.found = outcome.is_ok();
            answers.was_found |= answers.found;
            answers.fault = outcome.err().filter(|fault| *fault != Fault::Away);
        }
        self.changed.wake_all();
        true
    }

    /// The connection is lost, or the queue.
    pub(super) fn lost(&self) {
        {
            let mut answers = self.answers.lock();
            answers.newest += 1;
            (answers.found, answers.fault) = (false, None);
        }
        self.changed.wake_all();
    }

    /// Returns the state of an open serving.
    pub(super) fn state(&self) -> ServingState {
        let answers = self.answers.lock();
        match (answers.found, answers.was_found) {
            (true, _) => ServingState::Serving,
            (false, true) => ServingState::Disconnected,
            (false, false) => ServingState::Connecting,
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.answers.lock().fault.clone()
    }
}
