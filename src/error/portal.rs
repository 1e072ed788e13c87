//! [`PortalError`]: a portal ran no future, or a wait for one was refused.

use std::fmt;

use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;

/// Why a portal ran no future, or the wait for one was refused.
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
}

impl PortalError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotRunning { .. } => ErrorKind::NoRuntime,
            Self::WouldDeadlock { .. } => ErrorKind::WouldDeadlock,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match self {
            Self::WouldDeadlock { circle } => circle.as_ref(),
            Self::NotRunning { .. } => None,
        }
    }
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
        }
    }
}

impl std::error::Error for PortalError {}
