//! A pool's part in its family's totals.

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::core::pool::Pool;
use crate::pool::core::stats;
use crate::totals::sums::{CountedPool, Sums};

impl CountedPool for Pool {
    fn name(&self) -> (&Namespace, Option<&TaskType>) {
        (&self.namespace, self.config.task_type.as_ref())
    }

    fn sums(&self) -> Sums {
        let stats = stats::of(self);
        let (pools, limit) = if self.tracker.is_closed() { (0, 0) } else { (1, stats.limit) };
        Sums {
            gauges: [pools, limit, stats.running, stats.waiting, stats.queued],
            counters: [stats.completed, stats.interrupted, stats.panicked, stats.cancelled, stats.refused],
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.totals.end(self);
    }
}
