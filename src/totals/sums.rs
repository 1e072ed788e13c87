//! [`Sums`]: gauges, counters and times of the pools of one row.

use crate::names::metric_labels::MetricLabels;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
#[cfg(feature = "metrics")]
use crate::totals::times::TimeCounts;

/// Tasks that completed, were interrupted, panicked and were cancelled, and refused submits, in this order.
pub(crate) type Counters = [u64; 5];

/// Gauges of the live pools of one row, and counters of all that it had.
#[derive(Default)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "read by the bridge alone"))]
pub(crate) struct Sums {
    /// Open pools, their limits, running, waiting and queued tasks, in this order.
    pub(crate) gauges: [usize; 5],
    pub(crate) counters: Counters,
    /// `None` if no task was measured.
    #[cfg(feature = "metrics")]
    pub(crate) times: Option<Box<TimeCounts>>,
}

/// The labels of one series, with their values as texts.
#[cfg(feature = "metrics")]
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The name of a pool's row.
#[cfg_attr(
    not(any(feature = "metrics", feature = "inspector")),
    allow(dead_code, reason = "read by the kept totals alone")
)]
pub(crate) struct PoolName<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) task_type: Option<&'a TaskType>,
    pub(crate) labels: Option<&'a MetricLabels>,
}

/// A pool as the totals see it.
#[cfg_attr(
    not(any(feature = "metrics", feature = "inspector")),
    allow(dead_code, reason = "called by the kept totals alone")
)]
pub(crate) trait CountedPool: Send + Sync {
    fn name(&self) -> PoolName<'_>;
    fn sums(&self) -> Sums;
}
