//! [`Rare`]: settings that few pools have, in one allocation.
//!
//! A started pool keeps its settings, and a pool per request has none of these. Submitters and workers read a few of them for
//! each task.

use std::time::Duration;

use crate::names::metric_labels::MetricLabels;
use crate::names::task_type::TaskType;
use crate::pool::config::gate::Gated;
use crate::pool::config::order::Order;
#[cfg(feature = "remote")]
use crate::pool::config::remote::Remote;
use crate::pool::config::threads::ThreadConfig;

/// Settings that few pools have. A pool without any of them pays for one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) task_type: Option<TaskType>,
    pub(crate) queue_limit: Option<usize>,
    /// `None` is the default of the kind.
    pub(super) max_blocked: Option<usize>,
    pub(crate) detached: bool,
    /// No caller lends its thread.
    pub(super) workers_only: bool,
    /// Panics of tasks are not reported through `tracing`.
    pub(crate) hides_panics: bool,
    pub(crate) gate: Option<Gated>,
    /// Settings of dedicated pools alone.
    pub(crate) threads: Option<Box<ThreadConfig>>,
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) labels: Option<MetricLabels>,
    /// The order of the queue; `None` is first in, first out.
    pub(crate) order: Option<Order>,
    /// Of a remote pool alone.
    #[cfg(feature = "remote")]
    pub(crate) remote: Option<Box<Remote>>,
    /// A setting of remote pools that was given to another kind.
    #[cfg(feature = "remote")]
    pub(super) misplaced: Option<&'static str>,
}

impl Rare {
    pub(super) const DEFAULTS: Self = Self {
        task_type: None,
        queue_limit: None,
        max_blocked: None,
        detached: false,
        workers_only: false,
        hides_panics: false,
        gate: None,
        threads: None,
        task_timeout: None,
        labels: None,
        order: None,
        #[cfg(feature = "remote")]
        remote: None,
        #[cfg(feature = "remote")]
        misplaced: None,
    };
}
