//! [`Times`]: histograms of queue waits and run times, and the moments of one task.
//!
//! A histogram has a fixed size, and adding a time is one relaxed increment without a lock.

use crate::sync::clock::Moment;
use crate::sync::os::{AtomicU64, Ordering};
use crate::totals::buckets::{BUCKETS, Buckets, bucket, percentile};
use crate::totals::quantiles::Quantiles;

/// Queue waits and run times of the tasks of one row. 1 KiB.
pub(crate) struct Times {
    wait: Histogram,
    run: Histogram,
}

struct Histogram([AtomicU64; BUCKETS]);

/// The queue waits, and the run times.
pub(crate) type TimeCounts = [Buckets; 2];

/// The moment at which a pool accepted a task, or at which the task began, where a reader wants the times.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accepted(pub(super) Option<Moment>);

const _: () = assert!(size_of::<Accepted>() == 8);

/// A started task whose run time is measured, if it is.
#[must_use]
pub(crate) struct Started<'a>(Option<(Moment, &'a Times)>);

impl Histogram {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    fn add(&self, nanos: u64) {
        self.0[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Buckets {
        std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed))
    }
}

impl Times {
    pub(super) fn new() -> Self {
        Self { wait: Histogram::new(), run: Histogram::new() }
    }

    pub(super) fn read(&self) -> TimeCounts {
        [self.wait.read(), self.run.read()]
    }

    pub(super) fn quantiles(&self) -> [Option<Quantiles>; 2] {
        self.read().map(|counts| {
            let [p50, p99] = [50, 99].map(|percent| percentile(&counts, percent));
            p50.zip(p99).map(|(p50, p99)| Quantiles { p50, p99 })
        })
    }
}

impl<'a> Started<'a> {
    pub(super) const UNMEASURED: Self = Self(None);

    /// Adds the wait of a task that starts now.
    pub(super) fn now(accepted: Moment, times: &'a Times) -> Self {
        let now = Moment::now();
        times.wait.add(now.nanos_since(accepted));
        Self(Some((now, times)))
    }

    pub(super) fn since_then(began: Moment, times: &'a Times) -> Self {
        Self(Some((began, times)))
    }

    /// Returns the moment of the start, for a task that no thread runs.
    pub(crate) fn since(self) -> Accepted {
        Accepted(self.0.map(|(began, _)| began))
    }

    /// Adds the run time of the task, if its body was run.
    #[inline]
    pub(crate) fn ended(self, ran: bool) {
        if let Some((began, times)) = self.0.filter(|_| ran) {
            times.run.add(Moment::now().nanos_since(began));
        }
    }
}
