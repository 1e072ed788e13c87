//! [`ThreadStats`]: how many threads the cache has.

/// See [`stats`](fn@crate::threads::stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadStats {
    /// Threads that exist.
    pub live: usize,
    /// Those of them with nothing to do.
    pub idle: usize,
    /// Those of them inside one of heirloom's waits, or at a work-stealing pool's disposal without a task.
    pub waiting: usize,
    /// Places in pools that wait for a thread.
    pub wanted: usize,
    /// The most threads that existed at once since the process began. One that the system refused counts for that
    /// moment.
    pub peak: usize,
    /// Threads started since the process began.
    pub started: u64,
}
