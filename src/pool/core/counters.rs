//! [`Counters`]: what the reports of a pool are made from.
//!
//! The counters are for reports, and three places of the engine decide by them: a wait compares `waiting` with
//! [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked); a manager starts again when nothing is unfinished; and
//! tombstones are swept out of the queue when they are most of it.

use crate::sync::os::{AtomicU64, AtomicUsize};

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) waiting: AtomicUsize,
    /// Claimed by somebody who did not pop it.
    pub(crate) claimed: AtomicU64,
    /// Of those, the ones that were run.
    pub(crate) ran_inline: AtomicU64,
    /// Drops of results and closures under way, whose tasks are counted as ended already.
    pub(crate) dropping: AtomicUsize,
    /// Popped, and found claimed by somebody else before.
    pub(crate) tombstones_popped: AtomicU64,
}
