//! [`ThreadStats`]: the cache's threads, counted.

/// See [`stats`](fn@crate::threads::stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadStats {
    /// Threads that exist.
    pub live: usize,
    /// Live threads with nothing to do.
    pub idle: usize,
    /// Live threads inside a heirloom wait, or reserved by a work-stealing pool and without a task.
    pub waiting: usize,
    /// Permits of pools that wait for a thread.
    pub wanted: usize,
    /// The most threads that existed at once since the process began. A thread that the system refused counts for that
    /// moment.
    pub peak: usize,
    /// Threads started since the process began.
    pub started: u64,
}
