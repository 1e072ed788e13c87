//! [`Window`]: how many tasks of a map are under way at once.
//!
//! # Why it grows
//! A window of a few items is too small where items are short. The system may take the CPU from a worker in the middle of an
//! item for some milliseconds. The consumer waits for that item, the other workers finish the rest of the window and go to sleep,
//! and later all of them have to be woken. So the window grows to the items of about 10 ms, within a fixed bound, which also bounds
//! how far a map draws ahead from its iterator.

use std::time::{Duration, Instant};

/// Tasks under way for each permit, at least, unless the map says so.
const LEAST: usize = 4;

/// Tasks under way for each permit, at most.
const MOST: usize = 64;

/// The window holds the items of so long a time.
const AHEAD: Duration = Duration::from_millis(10);

/// How many tasks of a map are under way at once.
pub(super) struct Window {
    pub(super) most: usize,
    permits: usize,
    /// The time of the last measurement, and the number of results that the consumer had taken then.
    measured: (Instant, usize),
}

impl Window {
    pub(super) fn new(permits: usize) -> Self {
        Self { most: permits.saturating_mul(LEAST), permits, measured: (Instant::now(), 0) }
    }

    /// Measures the time of one item, once the consumer has taken a quarter of a window since the last time. It has taken so many
    /// results in all.
    pub(super) fn adapt(&mut self, taken: usize) {
        let (then, before) = self.measured;
        let items = taken.saturating_sub(before);
        if items < self.most.div_ceil(4) {
            return;
        }
        let now = Instant::now();
        self.measured = (now, taken);
        let nanos = now.duration_since(then).as_nanos() / items as u128;
        let fits = usize::try_from(AHEAD.as_nanos() / nanos.max(1)).unwrap_or(usize::MAX);
        let (least, most) = (self.permits.saturating_mul(LEAST), self.permits.saturating_mul(MOST));
        // By doubling: one quick item says little about the next ones.
        self.most = fits.min(self.most.saturating_mul(2)).clamp(least, most.max(least));
    }
}
