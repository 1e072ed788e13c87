//! [`PoolKind`], the source of a pool's threads; [`PoolMode`], the fate of its tasks at an end.

use std::fmt;

/// The source of a pool's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolKind {
    /// Threads borrowed from the process-wide cache as tasks arrive.
    Leased,
    /// Threads of the pool's own, started as tasks arrive and ended with the pool.
    Dedicated,
    /// Threads of a rayon pool, borrowed from the process-wide cache while there is work.
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    WorkStealing,
    /// Threads of other processes, which serve the pool's queue.
    #[cfg(feature = "remote")]
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    Remote,
    /// No threads: the tasks run on the thread that has the [`LocalPool`](crate::LocalPool).
    Local,
}

/// The fate of accepted tasks when the pool ends, and at process exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolMode {
    /// The tasks complete.
    Joining,
    /// The tasks are abandoned: queued ones are cancelled, running ones are not waited for.
    Daemon,
}

impl PoolKind {
    /// The default bound of the extra threads that the waits of one pool cause.
    pub(super) fn most_blocked(self) -> usize {
        match self {
            // No thread could be requested for a released permit, so no wait needs the bound.
            Self::Local => usize::MAX,
            _ => 256,
        }
    }
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leased => "leased",
            Self::Dedicated => "dedicated",
            #[cfg(feature = "rayon")]
            Self::WorkStealing => "work-stealing",
            #[cfg(feature = "remote")]
            Self::Remote => "remote",
            Self::Local => "local",
        })
    }
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Joining => "joining",
            Self::Daemon => "daemon",
        })
    }
}
