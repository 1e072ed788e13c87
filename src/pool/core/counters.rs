//! [`Counters`]: the numbers behind the reports of a pool.
//!
//! Each task ends in one of four counts: `completed`, `interrupted`, `panicked`, `cancelled`. Together with the tasks that
//! ever entered the tracker, and those that started, they say how many are queued and how many run ([`super::stats`]).
//!
//! The engine decides by them in two cases: a wait compares `waiting` with
//! [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked), and the queue is swept when most of it is tombstones.

use crate::sync::os::{AtomicU64, AtomicUsize};

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) waiting: AtomicUsize,
    /// Starts of tasks that were not popped, less the pops and starts of tasks that did not run after all. Modulo 2^64.
    pub(crate) starts_beside_pops: AtomicU64,
    /// Drops of results and closures under way, whose tasks are counted as ended already.
    pub(crate) dropping: AtomicUsize,
}
