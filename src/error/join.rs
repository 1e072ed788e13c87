//! [`JoinError`]: a spawned future or job gave no value.

use std::any::Any;
use std::error::Error;
use std::fmt;

use crate::error::task::payload_text;
use crate::sync::os::Mutex;
use crate::sync::unwind::swallow_drop;

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
    pub(crate) fn panic(payload: Box<dyn Any + Send>) -> Self {
        let text = payload_text(payload.as_ref()).map(String::from);
        Self(Kind::Panic { payload: Mutex::new(Some(payload)), text })
    }

    /// A cancel request came by the handle, or by the work's node.
    pub(crate) fn cancelled() -> Self {
        Self(Kind::Cancelled { by_runtime: false })
    }

    /// The runtime was shut down.
    pub(crate) fn dropped() -> Self {
        Self(Kind::Cancelled { by_runtime: true })
    }

    pub(crate) fn is_by_runtime(&self) -> bool {
        matches!(self.0, Kind::Cancelled { by_runtime: true })
    }

    /// The future or job panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panic { .. })
    }

    /// The future or job was cancelled: by its handle, by a cancel of its node or a node above, or by the shutdown of
    /// its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled { .. })
    }

    /// The panic's message, when the payload is a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0 {
            Kind::Panic { text, .. } => text.as_deref(),
            Kind::Cancelled { .. } => None,
        }
    }

    /// Returns the panic's payload, to be inspected or resumed with `std::panic::resume_unwind`.
    ///
    /// # Errors
    /// The error itself, when the work did not panic.
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
                f.write_str("spawned work was cancelled, by its handle or with the node that it runs at")
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
