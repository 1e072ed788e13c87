//! [`PortalError`]: a portal gave no result.

use std::fmt;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;

/// Why a portal gave no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum PortalError {
    /// No portal is bound here or above, or its runtime was shut down, before the call or while the future was under
    /// way. A fork of the runtime's process gets this error too, since the runtime has no threads there.
    NotRunning {
        /// The node asked, in words.
        place: String,
    },
    /// The calling thread works for a runtime, which the wait would hold up; or the wait would never end, because all
    /// workers of the runtime wait, directly or through others, for the caller.
    WouldDeadlock {
        /// The waits that hold each other up; `None` on a thread that works for a runtime.
        circle: Option<Circle>,
    },
    /// The caller, or the future's node, was cancelled. The future has been dropped, or is dropped at its next wait.
    Cancelled,
    /// The future panicked.
    Panicked {
        /// The panic's text.
        message: String,
    },
}

impl fmt::Display for PortalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { place } => write!(
                f,
                "no tokio runtime is running behind a portal at {place} or above it; bind one of a running runtime with \
                 `Portal::bind_at`, at a node above"
            ),
            Self::WouldDeadlock { circle: None } => f.write_str(
                "a thread of a tokio runtime would block on a portal, and hold up its runtime; `.await` there, or call this \
                 from a pool's task or in `spawn_blocking`",
            ),
            Self::WouldDeadlock { circle: Some(circle) } => write!(
                f,
                "the wait for a future would never end: {circle}; `.await` on the runtime's threads instead of blocking them"
            ),
            Self::Cancelled => {
                f.write_str("the future was cancelled, with its caller or with the node that it runs for")
            }
            Self::Panicked { message } => write!(f, "the future panicked: {message}"),
        }
    }
}

impl std::error::Error for PortalError {}

impl From<Cancelled> for PortalError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
