//! [`LabelValues`]: the values that a family has seen of each label of its pools.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::mem;

use crate::names::label::cut;
use crate::names::metric_labels::MetricLabels;
use crate::sync::unwind::swallow;

/// The number of values of one key that are told apart. The next ones count as [`OTHER`].
const MAX_VALUES: usize = 100;

/// The value of the rows that share one.
pub(super) const OTHER: &str = "(other)";

/// See the module. Its memory is bounded, because keys are a part of the program.
#[derive(Default)]
pub(super) struct LabelValues {
    seen: HashMap<&'static str, HashSet<Box<str>>>,
    full: HashSet<&'static str>,
    /// Keys whose values have become too many since the last [`take_unlogged`](Self::take_unlogged).
    unlogged: Vec<&'static str>,
}

/// Keys whose values have become too many, still to be logged.
#[must_use = "a user who sees `(other)` looks for the reason in the log"]
pub(super) struct Unlogged(Vec<&'static str>);

impl LabelValues {
    /// The labels as they are kept: values are cut, and a value too many is [`OTHER`].
    pub(super) fn bounded(&mut self, labels: &MetricLabels) -> MetricLabels {
        labels.map(|key, value| {
            let value = cut(value);
            let seen = self.seen.entry(key).or_default();
            if seen.contains(&*value) {
                return Cow::Owned(value.into_owned());
            }
            if seen.len() < MAX_VALUES {
                seen.insert(value.clone().into());
                return Cow::Owned(value.into_owned());
            }
            if self.full.insert(key) {
                self.unlogged.push(key);
            }
            Cow::Borrowed(OTHER)
        })
    }

    pub(super) fn take_unlogged(&mut self) -> Unlogged {
        Unlogged(mem::take(&mut self.unlogged))
    }
}

impl Unlogged {
    /// Logs each key, once in the life of a family. A subscriber is user code, so no lock is held.
    pub(super) fn log(self) {
        for key in self.0 {
            swallow(|| {
                tracing::warn!(
                    target: "heirloom",
                    label = key,
                    "pools have more than {MAX_VALUES} values of the label `{key}`: the metrics of the others are summed up \
                     under the value `{OTHER}`",
                );
            });
        }
    }
}
