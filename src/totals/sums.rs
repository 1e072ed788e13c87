//! [`Sums`]: gauges and counters of the pools of one name.

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;

/// How tasks and submissions ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) completed: u64,
    pub(crate) interrupted: u64,
    pub(crate) panicked: u64,
    pub(crate) cancelled: u64,
    pub(crate) refused: u64,
}

/// Gauges over the live pools of one name, and counters over all of that name.
#[derive(Default)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "read by the bridge alone"))]
pub(crate) struct Sums {
    /// Open pools.
    pub(crate) pools: usize,
    /// The open pools' limits, added up.
    pub(crate) limit: usize,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) queued: usize,
    pub(crate) outcomes: Outcomes,
}

/// A pool as the totals see it.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "called by the kept totals alone"))]
pub(crate) trait CountedPool: Send + Sync {
    fn name(&self) -> (&Namespace, Option<&TaskType>);
    fn add_to(&self, sums: &mut Sums);
}
