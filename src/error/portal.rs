//! [`PortalError`]: a portal gave no result.

use std::fmt;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;

/// Why a portal gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortalError {
    /// No portal is bound here or above, or its runtime was shut down, before the call or while the future was under way.
    /// A fork of the runtime's process gets this error too, since the runtime has no threads there.
    #[error(
        "no tokio runtime is running behind a portal at {place} or above it; bind one of a running runtime with \
         `Portal::bind_at`, at a node above"
    )]
    NotRunning {
        /// The node asked, in words.
        place: String,
    },
    /// The calling thread works for a runtime, which the wait would hold up; or the wait would never end, because all
    /// workers of the runtime wait, directly or through others, for the caller.
    #[error("{}", Deadlock(.circle))]
    WouldDeadlock {
        /// The waits that hold each other up; `None` on a thread that works for a runtime.
        circle: Option<Circle>,
    },
    /// The caller, or the future's node, was cancelled. The future has been dropped, or is dropped at its next wait.
    #[error("the future was cancelled, with its caller or with the node that it runs for")]
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

impl From<Cancelled> for PortalError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
