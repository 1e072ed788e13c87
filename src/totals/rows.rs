//! [`Rows`]: the rows of a family's totals, by name, task type and labels, in a bounded number.
//!
//! # Bounded
//! A row stays for ever, so that its counters never start again. From [`MAX_ROWS`] rows on, new names share the common row,
//! and a name with a row of its own keeps it. A label has a bounded number of values ([`LabelValues`]). Of a long text the
//! first 100 characters are kept.

use std::collections::HashMap;
#[cfg(feature = "metrics")]
use std::collections::hash_map::Iter;
use std::ops::AddAssign;

use crate::names::metric_labels::MetricLabels;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::sync::os::Arc;
use crate::totals::label_values::{LabelValues, Unlogged};
use crate::totals::sums::{Counters, PoolName};
use crate::totals::times::Times;

/// The number of names that have a row of their own.
const MAX_ROWS: usize = 500;

/// A manager's namespace, with its pool's task type and labels; `None` is the common row.
pub(super) type Name = Option<(Namespace, Option<TaskType>, MetricLabels)>;

/// One name's counters of ended pools, and the times of all its pools.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub(super) counters: Counters,
    /// Made for the first task that is measured.
    pub(super) times: Option<Arc<Times>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Rows {
    rows: HashMap<Name, Row>,
    values: LabelValues,
}

impl Rows {
    /// The row of a name, and its key. Makes one where there is none.
    pub(super) fn of(&mut self, name: PoolName<'_>) -> (Name, &mut Row) {
        let labels = name.labels.map(|labels| self.values.bounded(labels)).unwrap_or_default();
        let task_type = name.task_type.map(|only| TaskType(only.0.bounded()));
        let own = Some((Namespace(name.namespace.0.bounded()), task_type, labels));
        // The common row is not one of the names.
        let full = self.rows.len() - usize::from(self.rows.contains_key(&None)) >= MAX_ROWS;
        let name = if full && !self.rows.contains_key(&own) { None } else { own };
        (name.clone(), self.rows.entry(name).or_default())
    }

    #[cfg(feature = "metrics")]
    pub(super) fn iter(&self) -> Iter<'_, Name, Row> {
        self.rows.iter()
    }

    /// Returns what is to be logged, once no lock is held.
    pub(super) fn take_unlogged(&mut self) -> Unlogged {
        self.values.take_unlogged()
    }
}

/// Adds each number to its sum.
pub(super) fn add<T: AddAssign + Copy>(all: &mut [T], own: &[T]) {
    for (all, own) in all.iter_mut().zip(own) {
        *all += *own;
    }
}
