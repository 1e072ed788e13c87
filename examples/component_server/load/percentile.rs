//! Percentiles of measured times.

use std::time::Duration;

/// The value that `percent` of all are not above; zero where there are none. The values have to be sorted.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}
