//! [`Totals`] of a family: counters and times that never go down, in a bounded number of [rows](Rows).
//!
//! # Counted once
//! A pool is in the list while it lives, and adds its counters to its row when it is dropped. A reader holds the live pools
//! first and copies the rows second: a held pool has added nothing yet. A reader misses a pool that is being dropped at
//! that moment, until the next read. So a read returns the highest value so far of each counter ([`Kept::published`]),
//! kept for the whole family, because its publishers publish the same counters.
//!
//! # Times
//! Times are added to the row at once, so a pool's end loses none. Tasks are measured from the first reader on
//! ([`Totals::want_times`]), because three looks at a clock are a third of a short task's way. A pool finds its
//! row's histograms once, for its first measured task. Workers of pools of one row meet at its histograms.

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;

use crossbeam_utils::CachePadded;

use crate::sync::clock::Moment;
use crate::sync::os::{Arc, AtomicBool, Mutex, OnceLock, Ordering, Weak};
use crate::sync::weak_list::{Registration, WeakList};
use crate::totals::quantiles::Quantiles;
use crate::totals::rows::{Rows, add};
#[cfg(feature = "metrics")]
use crate::totals::sums::Labels;
use crate::totals::sums::{CountedPool, Counters};
use crate::totals::times::Times;

pub(crate) use crate::totals::times::{Accepted, Started};

/// The totals of one family. A clone is the same.
#[derive(Clone)]
pub(crate) struct Totals(pub(super) Option<Arc<Kept>>);

pub(super) struct Kept {
    /// A reader wants the times of tasks. On a cache line of its own, because each submitter reads it.
    wants_times: CachePadded<AtomicBool>,
    pub(super) pools: WeakList<dyn CountedPool>,
    pub(super) rows: Mutex<Rows>,
    /// The highest counters that a read has returned.
    #[cfg(feature = "metrics")]
    pub(super) published: Mutex<BTreeMap<Labels, Counters>>,
}

/// A pool's membership in its family's totals.
pub(crate) struct PoolRecord {
    listed: OnceLock<(Arc<Kept>, Registration<dyn CountedPool>)>,
    /// The histograms of the pool's row.
    times: OnceLock<Arc<Times>>,
}

impl Totals {
    /// The totals of code that belongs to no family.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new() -> Self {
        Self(Some(Arc::new(Kept {
            wants_times: AtomicBool::new(false).into(),
            pools: WeakList::new(),
            rows: Mutex::default(),
            #[cfg(feature = "metrics")]
            published: Mutex::default(),
        })))
    }

    /// Has the times of tasks that are accepted from now on measured.
    pub(crate) fn want_times(&self) {
        if let Some(kept) = &self.0 {
            kept.wants_times.store(true, Ordering::Relaxed);
        }
    }
}

impl PoolRecord {
    pub(crate) fn new() -> Self {
        Self { listed: OnceLock::new(), times: OnceLock::new() }
    }

    /// Lists the pool. Called once, before its first task.
    pub(crate) fn begin<P: CountedPool + 'static>(&self, totals: &Totals, pool: &Arc<P>) {
        if let Some(kept) = &totals.0 {
            let pool: Weak<P> = Arc::downgrade(pool);
            let _ = self.listed.set((Arc::clone(kept), kept.pools.insert(pool)));
        }
    }

    /// Adds the counters of a pool that is being dropped to its row. A pool whose counters are zero needs no row.
    pub(crate) fn end(&self, pool: &impl CountedPool) {
        let Some((kept, _)) = self.listed.get() else { return };
        let counters = pool.sums().counters;
        if counters != Counters::default() {
            let mut rows = kept.rows.lock();
            add(&mut rows.of(pool.name()).1.counters, &counters);
            let unlogged = rows.take_unlogged();
            drop(rows);
            unlogged.log();
        }
    }

    /// The pool accepts a task. Reads the clock if a reader wants times.
    #[inline]
    pub(crate) fn accepted(&self) -> Accepted {
        let wanted = self.listed.get().is_some_and(|(kept, _)| kept.wants_times.load(Ordering::Relaxed));
        Accepted(wanted.then(Moment::now))
    }

    /// A thread starts a task. Adds its wait, if its acceptance was measured.
    #[inline]
    pub(crate) fn started(&self, pool: &impl CountedPool, accepted: Accepted) -> Started<'_> {
        match accepted.0 {
            Some(moment) => self.started_measured(pool, moment),
            None => Started::UNMEASURED,
        }
    }

    /// Returns the started task again whose [moment](Started::since) this is.
    pub(crate) fn goes_on(&self, began: Accepted) -> Started<'_> {
        began.0.zip(self.times.get()).map_or(Started::UNMEASURED, |(began, times)| Started::since_then(began, times))
    }

    fn started_measured(&self, pool: &impl CountedPool, accepted: Moment) -> Started<'_> {
        let times = self.times.get().or_else(|| self.find_times(pool));
        times.map_or(Started::UNMEASURED, |times| Started::now(accepted, times))
    }

    /// Finds the histograms of the pool's row.
    #[cold]
    fn find_times(&self, pool: &impl CountedPool) -> Option<&Arc<Times>> {
        let (kept, _) = self.listed.get()?;
        let mut rows = kept.rows.lock();
        let times = Arc::clone(rows.of(pool.name()).1.times.get_or_insert_with(|| Arc::new(Times::new())));
        let unlogged = rows.take_unlogged();
        drop(rows);
        // Another worker may have set the same.
        let _ = self.times.set(times);
        // Last: a subscriber may wait for another task of this pool.
        unlogged.log();
        self.times.get()
    }

    /// Returns the quantiles of the queue waits and of the run times in the pool's row.
    pub(crate) fn quantiles(&self) -> [Option<Quantiles>; 2] {
        self.times.get().map_or([None; 2], |times| times.quantiles())
    }
}
