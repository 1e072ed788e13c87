//! Reading the totals of a family, for the bridge that publishes them.

use std::collections::BTreeMap;

use crate::names::label::cut;
use crate::totals::buckets::BUCKETS;
use crate::totals::label_values::OTHER;
use crate::totals::record::Totals;
use crate::totals::rows::{Name, add};
use crate::totals::sums::{Labels, Sums};
use crate::totals::times::{TimeCounts, Times};

impl Totals {
    /// Returns the sums of live and ended pools, in the order of their labels.
    pub(crate) fn read(&self) -> BTreeMap<Labels, Sums> {
        let mut series: BTreeMap<Labels, Sums> = BTreeMap::new();
        let Some(kept) = &self.0 else { return series };
        // Held until the rows are copied, so that no pool is counted twice.
        let pools = kept.pools.live();
        let mut rows = kept.rows.lock();
        let names: Vec<Name> = pools.iter().map(|pool| rows.of(pool.name()).0).collect();
        let all: Vec<_> = rows.iter().map(|(name, row)| (name.clone(), row.clone())).collect();
        let unlogged = rows.take_unlogged();
        drop(rows);
        unlogged.log();
        for (name, row) in all {
            let sums = series.entry(labels(name)).or_default();
            add(&mut sums.counters, &row.counters);
            if let Some(times) = row.times {
                add_times(sums.times.get_or_insert_with(|| Box::new([[0; BUCKETS]; 2])), &times);
            }
        }
        for (name, pool) in names.into_iter().zip(&pools) {
            let (all, own) = (series.entry(labels(name)).or_default(), pool.sums());
            add(&mut all.gauges, &own.gauges);
            add(&mut all.counters, &own.counters);
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

fn add_times(all: &mut TimeCounts, row: &Times) {
    for (all, row) in all.iter_mut().zip(row.read()) {
        add(all, &row);
    }
}

/// Names with equal texts are one series.
fn labels(name: Name) -> Labels {
    let Some((namespace, task_type, own)) = name else {
        return vec![("namespace", OTHER.to_owned()), ("task_type", String::new())];
    };
    let task_type = task_type.map(|only| cut(&only.raw()).into_owned()).unwrap_or_default();
    let mut labels = vec![("namespace", cut(&namespace.raw()).into_owned()), ("task_type", task_type)];
    labels.extend(own.iter().map(|(key, value)| (key, value.to_owned())));
    labels
}
