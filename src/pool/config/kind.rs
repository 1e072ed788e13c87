//! [`PoolKind`] and [`PoolMode`]: where threads come from, and what an end waits for.

use std::fmt;

/// Where a pool's threads come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolKind {
    /// Borrowed, as tasks arrive, from one process-wide cache.
    Leased,
    /// Its own, started as tasks arrive and ended with the pool.
    Dedicated,
    /// A rayon pool's, borrowed from the process-wide cache while there is work.
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    WorkStealing,
    /// None: its tasks run on the thread that has the [`LocalPool`](crate::LocalPool).
    Local,
}

/// What happens to accepted tasks when the pool ends, and at process exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolMode {
    /// They complete.
    Joining,
    /// They are abandoned: the queued ones are cancelled, the running ones not waited for.
    Daemon,
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leased => "leased",
            Self::Dedicated => "dedicated",
            #[cfg(feature = "rayon")]
            Self::WorkStealing => "work-stealing",
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
