//! [`SpawnError`]: a future or a job was not spawned.

use std::fmt;

/// Why a future or a job was not spawned. Nothing of it ran, and it was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller runs in no tokio runtime.
    NotRunning,
    /// A scope at or above the caller has ended, and accepts nothing from below it.
    ScopeEnded {
        /// The caller's node, in words.
        place: String,
    },
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str(
                "no tokio runtime is running here, so nothing can be spawned; call it in one (`Runtime::block_on`, \
                 `Handle::enter`), or spawn with a `Portal`",
            ),
            Self::ScopeEnded { place } => write!(
                f,
                "spawned at {place}, below a scope that has ended; spawn before it ends, or from outside of it: \
                 `parent.run(|| heirloom::spawn(…))`"
            ),
        }
    }
}

impl std::error::Error for SpawnError {}
