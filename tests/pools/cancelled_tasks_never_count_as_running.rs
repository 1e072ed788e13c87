//! A task that was cancelled in the queue leaves a tombstone there. A worker that pops the tombstone starts nothing, and no
//! reader of the statistics sees a running task then.

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

#[test]
fn the_running_tasks_are_exact_while_a_worker_pops_tombstones() {
    bounded(|| {
        let scope = Scope::new("test");
        let configs = [PoolConfig::leased(2), PoolConfig::dedicated(2), PoolConfig::leased(2).fair().priorities(2)];
        for config in configs {
            let pool = started(&scope, "some", config);
            for _ in 0..100 {
                // Both workers are in a task until all others are tombstones, which are too few for a sweep.
                let (ends, stays) = (Busy::on(&pool), Busy::on(&pool));
                let queued: Vec<_> = (0..60).map(|_| pool.submit(|| ()).expect("accepted")).collect();
                queued.iter().for_each(|task| _ = task.cancel());
                ends.end();
                for _ in 0..200 {
                    let stats = pool.stats();
                    assert_eq!((stats.queued, stats.running, stats.waiting), (0, 1, 0));
                }
                stays.end();
            }
        }
    });
}
