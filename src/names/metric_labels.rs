//! [`MetricLabels`]: the labels that a user gives a pool, for its metrics.

use std::borrow::Cow;

/// The most labels of one pool.
const MOST: usize = 8;

/// Keys with a meaning of their own.
const TAKEN: [&str; 4] = ["namespace", "task_type", "le", "quantile"];

/// Keys and values in the order of the keys, so that the order of the calls makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct MetricLabels(Vec<(&'static str, Cow<'static, str>)>);

impl MetricLabels {
    /// Adds a label, or replaces the one of that key.
    pub(crate) fn set(&mut self, key: &'static str, value: Cow<'static, str>) {
        match self.0.binary_search_by(|(before, _)| (*before).cmp(key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Returns why no exporter could publish the labels, if so, with the remedy.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let is_word = |key: &str| {
            let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
            key.bytes().next().is_some_and(letter) && key.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
        };
        if self.0.len() > MOST {
            return Some("was set for more than 8 keys; use at most 8");
        }
        if !self.0.iter().all(|(key, _)| is_word(key)) {
            return Some("has a key that is no label's name; use ASCII letters, digits and `_`, and no digit first");
        }
        if self.0.iter().any(|(key, _)| TAKEN.contains(key) || key.starts_with("__")) {
            return Some(
                "has a key that is taken: `namespace`, `task_type`, `le`, `quantile`, or `__` first; use another",
            );
        }
        None
    }

    /// Keys and values, with each value changed by `f`.
    #[cfg(any(feature = "metrics", feature = "inspector"))]
    pub(crate) fn map(&self, mut f: impl FnMut(&'static str, &str) -> Cow<'static, str>) -> Self {
        Self(self.0.iter().map(|(key, value)| (*key, f(key, value))).collect())
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, &**value))
    }
}
