//! [`StopError`]: an end or a wait was refused.

use std::fmt;

use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::names::label::Printed;

/// Why a verb that ends a pool or a scope, or waits for one, was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopError {
    /// The caller is, on some frame of its thread, one of the tasks that the verb would wait for. Nothing was changed.
    FromOwnTask {
        /// The name of the manager or the scope.
        name: String,
    },
    /// One of the awaited tasks waits, directly or through others, for the caller. The pool or scope that the verb was
    /// to close is closed.
    WouldDeadlock {
        /// The name of the manager or the scope.
        name: String,
        /// The waits that hold each other up.
        circle: Circle,
    },
}

impl StopError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::FromOwnTask { .. } => ErrorKind::FromOwnTask,
            Self::WouldDeadlock { .. } => ErrorKind::WouldDeadlock,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match self {
            Self::WouldDeadlock { circle, .. } => Some(circle),
            Self::FromOwnTask { .. } => None,
        }
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromOwnTask { name } => write!(
                f,
                "waiting for {:?} from one of its own tasks would never end; use `close` or `cancel`, or wait from outside",
                Printed(name)
            ),
            Self::WouldDeadlock { name, circle } => write!(
                f,
                "waiting for {:?} would never end: {circle}; release what the others wait for first, or wait with a timeout",
                Printed(name)
            ),
        }
    }
}

impl std::error::Error for StopError {}
