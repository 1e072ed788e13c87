//! [`SpawnError`]: a thread, a future or a job was not started.

use std::fmt;
use std::io;

use crate::error::cancelled::Cancelled;
use crate::error::kind::ErrorKind;

/// Why a thread, a future or a job was not started. Nothing of it ran, and it was dropped.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller runs in no tokio runtime.
    NotRunning,
    /// A scope at or above the caller has ended, and accepts nothing from below it.
    ScopeEnded {
        /// The caller's node, in words.
        place: String,
        /// The cancel that ended the scope, such as its deadline; `None` when it was closed without one.
        cause: Option<Cancelled>,
    },
    /// The operating system refused a thread, or the thread's settings.
    Thread {
        /// The system's error.
        source: io::Error,
    },
}

impl SpawnError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotRunning => ErrorKind::NoRuntime,
            Self::ScopeEnded { cause, .. } => Cancelled::kind_of(cause.as_ref(), ErrorKind::ScopeEnded),
            Self::Thread { source } if source.kind() == io::ErrorKind::InvalidInput => ErrorKind::Invalid,
            Self::Thread { .. } => ErrorKind::NoThread,
        }
    }

    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::ScopeEnded { cause, .. } => cause.as_ref(),
            _ => None,
        }
    }
}

impl From<io::Error> for SpawnError {
    fn from(source: io::Error) -> Self {
        Self::Thread { source }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str(
                "no tokio runtime is running here, so nothing can be spawned; call it in one (`Runtime::block_on`, \
                 `Handle::enter`), or spawn with a `Portal`",
            ),
            Self::ScopeEnded { place, cause } => write!(
                f,
                "spawned at {place}, below a scope that has ended{}; spawn before it ends, or from outside of it: \
                 `parent.run(|| heirloom::spawn(…))`",
                Cancelled::in_brackets(cause.as_ref())
            ),
            Self::Thread { source } if self.kind() == ErrorKind::Invalid => {
                write!(f, "a thread was not started: {source}; correct its name or its stack size")
            }
            Self::Thread { source } => {
                write!(f, "the system refused a thread: {source}; raise its limits, or use a pool, which has a limit")
            }
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread { source } => Some(source),
            _ => None,
        }
    }
}
