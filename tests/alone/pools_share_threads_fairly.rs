//! After a bounded number of tasks a leased thread goes to the back of the line, so a pool with a long queue does not
//! keep another from its first task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heirloom::{PoolConfig, PoolManager, Scope, threads};

use crate::common::alone;
use crate::common::pools::{Busy, started};

fn count_on(pool: &PoolManager, tasks: usize) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..tasks {
        let count = count.clone();
        drop(pool.submit(move || count.fetch_add(1, Ordering::SeqCst)).expect("accepted"));
    }
    count
}

#[test]
fn a_single_task_waits_for_a_few_of_a_long_queue_only() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let (long, short) =
            (started(&scope, "long", PoolConfig::leased(1)), started(&scope, "short", PoolConfig::leased(1)));
        let busy = Busy::on(&long);
        let count = count_on(&long, 20_000);
        let seen = short.submit(move || count.load(Ordering::SeqCst)).expect("accepted");
        busy.end();
        let seen = seen.join().expect("runs");
        assert!(seen < 200, "{seen} tasks of the other pool came first");
        long.wait_idle().expect("from outside");
    });
}

#[test]
fn many_long_queues_come_forward_together() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let first = started(&scope, "first", PoolConfig::leased(1));
        let busy = Busy::on(&first);
        let pools: Vec<_> = (0..8).map(|_| started(&scope, "many", PoolConfig::leased(1))).collect();
        let counts: Vec<_> = pools.iter().map(|pool| count_on(pool, 2_000)).collect();
        let seen = {
            let counts = counts.clone();
            let last = &pools[7];
            let half = last.submit(move || counts.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>());
            half.expect("accepted")
        };
        busy.end();
        let seen = seen.join().expect("runs");
        assert!(seen.iter().all(|count| *count >= 1_800), "when one was done, the others were at {seen:?}");
        for (pool, count) in pools.iter().zip(&counts) {
            pool.wait_idle().expect("from outside");
            assert_eq!(count.load(Ordering::SeqCst), 2_000);
        }
    });
}
