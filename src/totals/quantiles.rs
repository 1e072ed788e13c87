//! [`Quantiles`]: a distribution of times in two numbers.

use std::time::Duration;

/// The median and the 99th percentile of the times of tasks.
///
/// Each is the upper bound of the histogram's bucket that it lies in, so at most 1.5 times as long as the exact value. Times
/// below 1 µs count as 1 µs, and times above 36 minutes as 36 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quantiles {
    /// Half of the times are at most this long.
    pub p50: Duration,
    /// 99 of 100 times are at most this long.
    pub p99: Duration,
}
