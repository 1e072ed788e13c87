//! A pool's part in its family's totals.

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::core::pool::Pool;
use crate::totals::sums::{CountedPool, Sums};

impl CountedPool for Pool {
    fn name(&self) -> (&Namespace, Option<&TaskType>) {
        (&self.namespace, self.config.task_type.as_ref())
    }

    fn add_to(&self, sums: &mut Sums) {
        let stats = self.stats();
        if !self.tracker.is_closed() {
            sums.pools += 1;
            sums.limit += stats.limit;
        }
        sums.running += stats.running;
        sums.waiting += stats.waiting;
        sums.queued += stats.queued;
        sums.outcomes.completed += stats.completed;
        sums.outcomes.interrupted += stats.interrupted;
        sums.outcomes.panicked += stats.panicked;
        sums.outcomes.cancelled += stats.cancelled;
        sums.outcomes.refused += stats.refused;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.totals.end(self);
    }
}
