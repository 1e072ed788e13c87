//! Starting a pool, of either kind, makes no thread; nor do a million that are started and idle.

use heirloom::{PoolConfig, PoolManager, Scope, threads};

use crate::common::alone;
use crate::common::pools::threads_named;

const MILLION: usize = 1_000_000;

#[test]
fn a_million_started_and_idle_managers_have_no_thread() {
    alone(|| {
        let before = threads_named("");
        let scope = Scope::new("test");
        // Each one replaces the one before at its node, and lives on through its handle.
        let pools: Vec<PoolManager> = (0..MILLION)
            .map(|i| {
                let pool = scope.create("idle");
                let config = if i % 1_000 == 0 { PoolConfig::dedicated(4) } else { PoolConfig::leased(4) };
                pool.start(config).expect("starts");
                pool
            })
            .collect();
        assert_eq!(threads_named(""), before);
        assert_eq!(threads::stats().started, 0);
        assert!(pools.iter().all(PoolManager::is_running));
        // Each of them works all the same.
        for pool in pools.iter().step_by(MILLION / 100) {
            assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        }
        drop(pools);
        assert!(threads::stats().live < 10, "{:?}", threads::stats());
    });
}
