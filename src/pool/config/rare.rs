//! [`Rare`]: settings that few pools have, in one allocation.

use std::time::Duration;

use crate::names::metric_labels::MetricLabels;
use crate::pool::config::order::Order;

/// Settings that few pools have. A pool without any of them pays for one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) labels: Option<MetricLabels>,
    /// The order of the queue; `None` is first in, first out.
    pub(crate) order: Option<Order>,
}
