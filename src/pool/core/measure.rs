//! A pool's part in its family's totals.

use crate::pool::core::pool::Pool;
use crate::pool::core::stats;
use crate::totals::sums::{CountedPool, PoolName, Sums};

impl CountedPool for Pool {
    fn name(&self) -> PoolName<'_> {
        let labels = self.config.rare().labels.as_ref();
        PoolName { namespace: &self.namespace, task_type: self.config.rare().task_type.as_ref(), labels }
    }

    fn sums(&self) -> Sums {
        let stats = stats::of(self);
        let (pools, limit) = if self.tracker.is_closed() { (0, 0) } else { (1, stats.limit) };
        Sums {
            gauges: [pools, limit, stats.running, stats.waiting, stats.queued],
            counters: [stats.completed, stats.interrupted, stats.panicked, stats.cancelled, stats.refused],
            #[cfg(feature = "metrics")]
            times: None,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.totals.end(self);
    }
}
