//! [`Counters`]: the counts that workers change for each task, or for many.
//!
//! Each task ends in one of four counts: `completed` here, and `interrupted`, `panicked`, `cancelled` among the
//! [cold data](super::cold). Together with the tasks that ever entered the tracker, and those that started, they say how many
//! are queued and how many run ([`super::stats`]).
//!
//! The engine decides by counts in two cases: a wait compares [`Pool::waiting`](super::pool::Pool) with
//! [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked), and the queue is swept when most of it is tombstones.

use crate::sync::{atomic, os};

/// The order of the fields is the order in memory: see [`Pool`](super::pool::Pool).
#[derive(Default)]
#[repr(C)]
pub(crate) struct Counters {
    pub(crate) completed: os::AtomicU64,
    /// Starts of tasks that were not popped, less the pops and starts of tasks that did not run after all. Modulo 2^32.
    pub(crate) starts_beside_pops: os::AtomicU32,
    /// Drops of results and closures under way, whose tasks are counted as ended already. Each has memory of its own, so
    /// there are fewer than 2^32.
    pub(crate) dropping: atomic::AtomicU32,
}
