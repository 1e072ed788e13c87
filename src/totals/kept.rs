//! [`Totals`] of a family: counters that never go down, in a bounded number of rows.
//!
//! # Counted once
//! A pool is in the list while it lives, and adds its counters to its row when it is dropped. A reader holds the live pools
//! first and copies the rows second: a held pool has added nothing yet. A reader misses a pool that is being dropped at
//! that moment, until the next read. So a read returns the highest value so far of each counter ([`Kept::published`]),
//! kept for the whole family, because its publishers publish the same counters.
//!
//! # Bounded
//! A row stays for ever, so that its counters never start again. From [`MAX_NAMES`] rows on, new names share the common
//! row, and a name with a row of its own keeps it. Of a long name the first 100 characters are kept.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;

use crate::names::label::cut;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::sync::os::{Arc, Mutex, OnceLock, Weak};
use crate::sync::weak_list::{Registration, WeakList};
use crate::totals::sums::{CountedPool, Counters, Sums};

/// The number of names that have a row of their own.
const MAX_NAMES: usize = 500;

/// A manager's namespace and its pool's task type; `None` is the common row.
type Name = Option<(Namespace, Option<TaskType>)>;

/// A namespace and a task type as texts: names with equal texts are one series.
pub(crate) type Labels = (String, String);

/// The totals of one family. A clone is the same.
#[derive(Clone)]
pub(crate) struct Totals(Option<Arc<Kept>>);

struct Kept {
    pools: WeakList<dyn CountedPool>,
    /// Counters of the ended pools.
    rows: Mutex<HashMap<Name, Counters>>,
    /// The highest counters that a read has returned.
    published: Mutex<BTreeMap<Labels, Counters>>,
}

/// A pool's membership in its family's totals.
pub(crate) struct PoolRecord(OnceLock<(Arc<Kept>, Registration<dyn CountedPool>)>);

impl Totals {
    /// The totals of code that belongs to no family.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new() -> Self {
        let pools = WeakList::new();
        Self(Some(Arc::new(Kept { pools, rows: Mutex::default(), published: Mutex::default() })))
    }

    /// Returns the sums of live and ended pools, in the order of their labels.
    pub(crate) fn read(&self) -> BTreeMap<Labels, Sums> {
        let mut series: BTreeMap<Labels, Sums> = BTreeMap::new();
        let Some(kept) = &self.0 else { return series };
        // Held until the rows are copied, so that no pool is counted twice.
        let pools = kept.pools.live();
        let mut rows = kept.rows.lock();
        let names: Vec<Name> = pools.iter().map(|pool| row(&mut rows, pool.name()).0).collect();
        let ended = rows.clone();
        drop(rows);
        for (name, counters) in ended {
            add(&mut series.entry(labels(name)).or_default().counters, counters);
        }
        for (name, pool) in names.into_iter().zip(&pools) {
            let (all, own) = (series.entry(labels(name)).or_default(), pool.sums());
            add(&mut all.gauges, own.gauges);
            add(&mut all.counters, own.counters);
        }
        let mut published = kept.published.lock();
        for (labels, sums) in &mut series {
            let highest = published.entry(labels.clone()).or_default();
            for (highest, now) in highest.iter_mut().zip(&mut sums.counters) {
                *now = (*now).max(*highest);
                *highest = *now;
            }
        }
        series
    }
}

impl PoolRecord {
    pub(crate) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Lists the pool. Called once, before its first task.
    pub(crate) fn begin<P: CountedPool + 'static>(&self, totals: &Totals, pool: &Arc<P>) {
        if let Some(kept) = &totals.0 {
            let pool: Weak<P> = Arc::downgrade(pool);
            let _ = self.0.set((Arc::clone(kept), kept.pools.insert(pool)));
        }
    }

    /// Adds the counters of a pool that is being dropped to its row. A pool whose counters are zero needs no row.
    pub(crate) fn end(&self, pool: &impl CountedPool) {
        let Some((kept, _)) = self.0.get() else { return };
        let counters = pool.sums().counters;
        if counters != Counters::default() {
            add(row(&mut kept.rows.lock(), pool.name()).1, counters);
        }
    }
}

fn add<T: AddAssign, const N: usize>(all: &mut [T; N], own: [T; N]) {
    for (all, own) in all.iter_mut().zip(own) {
        *all += own;
    }
}

/// The row of a name, and its key. Makes one where there is none.
fn row<'a>(
    rows: &'a mut HashMap<Name, Counters>,
    (namespace, task_type): (&Namespace, Option<&TaskType>),
) -> (Name, &'a mut Counters) {
    let own = Some((Namespace(namespace.0.bounded()), task_type.map(|only| TaskType(only.0.bounded()))));
    // The common row is not one of the names.
    let full = rows.len() - usize::from(rows.contains_key(&None)) >= MAX_NAMES;
    let name = if full && !rows.contains_key(&own) { None } else { own };
    (name.clone(), rows.entry(name).or_default())
}

fn labels(name: Name) -> Labels {
    match name {
        Some((namespace, task_type)) => {
            let task_type = task_type.map(|only| cut(&only.raw()).into_owned());
            (cut(&namespace.raw()).into_owned(), task_type.unwrap_or_default())
        }
        None => ("(other)".to_owned(), String::new()),
    }
}
