//! Logarithmic buckets for times: two for each doubling, from 1 µs to 36 minutes. Plain arithmetic.

use std::time::Duration;

pub(crate) const BUCKETS: usize = 64;

/// The numbers of times, from the shortest to the longest.
pub(crate) type Buckets = [u64; BUCKETS];

/// The bucket of a time. A time that equals a bucket's upper bound is in that bucket.
#[inline]
pub(crate) fn bucket(nanos: u64) -> usize {
    // In halves of a microsecond, so that the first doubling has two buckets too.
    let halves = nanos.saturating_sub(1) / 500;
    if halves < 2 {
        return 0;
    }
    let doubling = halves.ilog2();
    let upper_half = (halves >> (doubling - 1)) & 1;
    (2 * doubling as usize - 1 + upper_half as usize).min(BUCKETS - 1)
}

/// The upper bound of a bucket. The last bucket has none: its lower bound stands for it.
pub(crate) fn bound(bucket: usize) -> Duration {
    let bucket = bucket.min(BUCKETS - 2) as u32;
    let whole = Duration::from_micros(1 << (bucket / 2));
    if bucket.is_multiple_of(2) { whole } else { whole + whole / 2 }
}

/// The time that so many of a hundred times do not exceed, rounded up to a bound; `None` without a time.
pub(crate) fn percentile(counts: &Buckets, percent: u64) -> Option<Duration> {
    let all: u64 = counts.iter().sum();
    let rank = (u128::from(all) * u128::from(percent)).div_ceil(100);
    let mut below = 0;
    let reached = |count: &u64| {
        below += u128::from(*count);
        below >= rank
    };
    (all > 0).then(|| bound(counts.iter().position(reached).unwrap_or(BUCKETS - 1)))
}

/// The number of bounds that are published.
#[cfg(feature = "metrics")]
pub(crate) const PUBLISHED: usize = 25;

/// Returns upper bounds, one for each doubling from 16 µs to 4.5 minutes, and how many times are at most so long; then how many
/// there are.
#[cfg(feature = "metrics")]
pub(crate) fn cumulative(counts: &Buckets) -> ([(Duration, u64); PUBLISHED], u64) {
    let sum = |to: usize| counts[..=to].iter().sum();
    let published = std::array::from_fn(|i| {
        let bucket = 2 * (i + 4);
        (bound(bucket), sum(bucket))
    });
    (published, sum(BUCKETS - 1))
}
