//! [`Sums`]: gauges and counters of the pools of one name.

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;

/// Tasks that completed, were interrupted, panicked and were cancelled, and refused submits, in this order.
pub(crate) type Counters = [u64; 5];

/// Gauges of the live pools of one name, and counters of all that had it.
#[derive(Default)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "read by the bridge alone"))]
pub(crate) struct Sums {
    /// Open pools, their limits, running, waiting and queued tasks, in this order.
    pub(crate) gauges: [usize; 5],
    pub(crate) counters: Counters,
}

/// A pool as the totals see it.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "called by the kept totals alone"))]
pub(crate) trait CountedPool: Send + Sync {
    fn name(&self) -> (&Namespace, Option<&TaskType>);
    fn sums(&self) -> Sums;
}
