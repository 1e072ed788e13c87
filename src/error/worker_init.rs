//! [`SharedInitError`]: the error of a worker's initialiser, as it travels to all that it fails.

use std::error::Error;
use std::fmt;
use std::io;

use crate::sync::os::Arc;
use crate::sync::unwind::swallow_drop;

type SharedError = Arc<dyn Error + Send + Sync>;

/// An initialiser's error, shared by every start, submit and task that fails with it.
///
/// The last reference may be dropped on a thread that cannot take a panic, so the drop swallows one.
#[derive(Clone, Debug)]
pub(crate) struct SharedInitError {
    error: Option<SharedError>,
    /// The setting that gave the initialiser.
    setting: &'static str,
}

impl SharedInitError {
    const HOOK: &str = "on_worker_start";
    const STATE: &str = "worker_state";

    pub(crate) fn shared(&self) -> SharedError {
        match &self.error {
            Some(error) => Arc::clone(error),
            None => unreachable!("only the drop takes the error"),
        }
    }

    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }
}

/// The state's, if it is a [`StateFailed`]; the hook's otherwise.
impl From<Box<dyn Error + Send + Sync>> for SharedInitError {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<StateFailed>() {
            Ok(failed) => Self { error: Some(failed.0.into()), setting: Self::STATE },
            Err(error) => Self { error: Some(error.into()), setting: Self::HOOK },
        }
    }
}

impl From<SharedError> for SharedInitError {
    fn from(error: SharedError) -> Self {
        Self { error: Some(error), setting: Self::HOOK }
    }
}

impl fmt::Display for SharedInitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.as_ref().map_or(Ok(()), |error| error.fmt(f))
    }
}

impl Drop for SharedInitError {
    fn drop(&mut self) {
        swallow_drop(self.error.take());
    }
}

/// The error of a worker's state, in the type that the hook's error has. A [`SharedInitError`] unwraps it.
#[derive(Debug)]
pub(crate) struct StateFailed(pub(crate) Box<dyn Error + Send + Sync>);

impl fmt::Display for StateFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StateFailed {}

/// An initialiser's error, in the type that a system's refusal of a thread has.
#[derive(Debug)]
pub(crate) struct WorkerInitFailed(pub(crate) SharedInitError);

impl fmt::Display for WorkerInitFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a worker's initialiser failed: {}", self.0)
    }
}

impl Error for WorkerInitFailed {}

impl WorkerInitFailed {
    pub(super) fn in_io(error: &io::Error) -> Option<&SharedInitError> {
        error.get_ref()?.downcast_ref::<Self>().map(|failed| &failed.0)
    }
}

impl From<WorkerInitFailed> for io::Error {
    fn from(failed: WorkerInitFailed) -> Self {
        io::Error::other(failed)
    }
}

/// An error that is one sentence.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Said {}
