//! The errors of this bridge: of a spawn, of a spawned future or job, and of a portal.

use std::any::Any;
use std::error::Error;
use std::fmt;

use crate::error::{Cancelled, payload_text};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::sync::os::Mutex;
use crate::sync::unwind::swallow_drop;
use crate::wait::graph::Circle;

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

/// Why a portal gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortalError {
    /// There is no portal here or above, or its runtime has been shut down, perhaps while the future was under way. Also
    /// in a fork of the runtime's process, where the runtime has no threads.
    #[error(
        "no tokio runtime is running behind a portal at {place} or above it; bind one of a running runtime with \
         `Portal::bind_at`, at a place above"
    )]
    NotRunning {
        /// Where it was asked, in words.
        place: String,
    },
    /// The calling thread is at work for a runtime, which would stand still while it waits; or the wait would never end,
    /// because all of the runtime's workers wait, directly or by others, for what the caller owes.
    #[error("{}", Deadlock(.circle))]
    WouldDeadlock {
        /// Who waits for whom; `None` on a thread that is at work for a runtime.
        circle: Option<Circle>,
    },
    /// The caller, or the place where the future stands, was asked to stop. The future has been dropped, or is dropped
    /// when it next waits.
    #[error("the future was cancelled, because the place that it runs for was asked to stop")]
    Cancelled,
    /// The future panicked.
    #[error("the future panicked: {message}")]
    Panicked {
        /// The panic's text.
        message: String,
    },
}

struct Deadlock<'a>(&'a Option<Circle>);

impl fmt::Display for Deadlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(
                "a thread of a tokio runtime would block on a portal, and hold up its runtime; `.await` there, or call this \
                 from a pool's task or in `spawn_blocking`",
            ),
            Some(circle) => write!(
                f,
                "the wait for a future would never end: {circle}; `.await` on the runtime's threads instead of blocking them"
            ),
        }
    }
}

impl PortalError {
    pub(super) fn not_running() -> Self {
        Self::NotRunning { place: Lineage(current::nearest()).to_string() }
    }
}

impl From<Cancelled> for PortalError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
