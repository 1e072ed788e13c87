//! Why nothing was spawned, and why what was spawned gave no value.

use std::any::Any;
use std::error::Error;
use std::fmt;

use crate::error::payload_text;
use crate::sync::os::Mutex;
use crate::sync::unwind::swallow_drop;

/// Why a future or a job was not spawned. Nothing of it ran, and it was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller runs in no tokio runtime.
    #[error(
        "no tokio runtime is running here, so nothing can be spawned; call it in one (`Runtime::block_on`, \
         `Handle::enter`), or spawn with a `Portal`"
    )]
    NotRunning,
    /// A scope at or above the caller was told to end, and accepts nothing from below it any more.
    #[error(
        "spawned at {place}, below a scope that has ended; spawn before it ends, or from outside of it: \
         `parent.run(|| heirloom::spawn(…))`"
    )]
    ScopeEnded {
        /// Where the caller stands, in words.
        place: String,
    },
}

/// Why a spawned future or job has no value: it panicked, or was cancelled.
pub struct JoinError(Kind);

enum Kind {
    /// The payload may hold anything that is `Send`; the mutex makes the error `Sync` without looking inside.
    Panic {
        payload: Mutex<Option<Box<dyn Any + Send>>>,
        text: Option<String>,
    },
    Cancelled {
        by_runtime: bool,
    },
}

impl JoinError {
    pub(super) fn panic(payload: Box<dyn Any + Send>) -> Self {
        let text = payload_text(payload.as_ref()).map(String::from);
        Self(Kind::Panic { payload: Mutex::new(Some(payload)), text })
    }

    /// Its handle, or its place, was asked to stop.
    pub(super) fn cancelled() -> Self {
        Self(Kind::Cancelled { by_runtime: false })
    }

    /// Its runtime was shut down.
    pub(super) fn dropped() -> Self {
        Self(Kind::Cancelled { by_runtime: true })
    }

    pub(super) fn is_by_runtime(&self) -> bool {
        matches!(self.0, Kind::Cancelled { by_runtime: true })
    }

    /// It panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panic { .. })
    }

    /// It was cancelled: by its handle, by a request to stop that was made to its place or one above that, or by the
    /// shutdown of its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled { .. })
    }

    /// The panic's message, when it carried a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0 {
            Kind::Panic { text, .. } => text.as_deref(),
            Kind::Cancelled { .. } => None,
        }
    }

    /// What the panic carried, to be resumed with `std::panic::resume_unwind` or looked at.
    ///
    /// # Errors
    /// The error itself, when it is no panic.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        let payload = match &self.0 {
            Kind::Panic { payload, .. } => payload.lock().take(),
            Kind::Cancelled { .. } => None,
        };
        payload.ok_or(self)
    }
}

impl Drop for JoinError {
    fn drop(&mut self) {
        if let Kind::Panic { payload, .. } = &mut self.0 {
            // The payload's drop is user code, which may panic.
            swallow_drop(payload.get_mut().take());
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Panic { text, .. } => {
                write!(f, "spawned work panicked: {}", text.as_deref().unwrap_or("(a payload that is no text)"))
            }
            Kind::Cancelled { by_runtime: false } => {
                f.write_str("spawned work was cancelled: its handle, or the place where it runs, was asked to stop")
            }
            Kind::Cancelled { by_runtime: true } => {
                f.write_str("spawned work was cancelled, because its runtime was shut down")
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
