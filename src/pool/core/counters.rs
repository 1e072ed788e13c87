//! [`Counters`]: the numbers behind the reports of a pool.
//!
//! The engine decides by them in three cases: a wait compares `waiting` with
//! [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked); a manager starts again when no task is unfinished; and
//! the queue is swept when most of it is tombstones.

use crate::sync::os::{AtomicU64, AtomicUsize};

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) waiting: AtomicUsize,
    /// Tasks claimed in the queue by a cancel or a joiner. Accepted tasks that were never queued count too.
    pub(crate) claimed: AtomicU64,
    /// The claimed tasks that then ran in place.
    pub(crate) ran_inline: AtomicU64,
    /// Drops of results and closures under way, whose tasks are counted as ended already.
    pub(crate) dropping: AtomicUsize,
    /// Tombstones that a worker popped.
    pub(crate) tombstones_popped: AtomicU64,
}
