//! Starting is a chain with one link under way: 2 000 tasks that do nothing do not start hundreds of threads.

use heirloom::{PoolConfig, Scope, threads};

use crate::common::alone;
use crate::common::pools::started;

#[test]
fn two_thousand_tasks_at_once_start_few_threads() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "wide", PoolConfig::leased(2_000));
        let tasks: Vec<_> = (0..2_000).map(|_| pool.submit(|| ()).expect("accepted")).collect();
        for task in tasks {
            task.join().expect("runs");
        }
        let started_now = threads::stats().started;
        assert!(started_now < 100, "{started_now} threads for tasks that do nothing");
        // One after the other they use one or two, and many pools share them.
        let pools: Vec<_> = (0..200).map(|_| started(&scope, "narrow", PoolConfig::leased(4))).collect();
        for pool in pools.iter().cycle().take(4_000) {
            pool.submit(|| ()).expect("accepted").join().expect("runs");
        }
        let more = threads::stats().started - started_now;
        assert!(more < 20, "{more} threads for tasks one after the other");
    });
}
