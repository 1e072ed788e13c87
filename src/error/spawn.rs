//! [`SpawnError`]: a future or a job was not spawned.

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
    /// A scope at or above the caller has ended, and accepts nothing from below it.
    #[error(
        "spawned at {place}, below a scope that has ended; spawn before it ends, or from outside of it: \
         `parent.run(|| heirloom::spawn(…))`"
    )]
    ScopeEnded {
        /// The caller's node, in words.
        place: String,
    },
}
