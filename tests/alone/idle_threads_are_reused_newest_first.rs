//! Of several idle leased threads the one that fell idle last is used first, so that the others can end.

use heirloom::{PoolConfig, Scope, threads};

use crate::common::pools::{Busy, started, this_thread};
use crate::common::{alone, eventually};

#[test]
fn the_newest_idle_thread_takes_the_next_task() {
    alone(|| {
        let scope = Scope::new("test");
        let pools: Vec<_> = (0..3).map(|_| started(&scope, "some", PoolConfig::leased(1).workers_only())).collect();
        for _ in 0..20 {
            let mut ids = Vec::new();
            let busy: Vec<_> = pools
                .iter()
                .map(|pool| {
                    let busy = Busy::on(pool);
                    ids.push(busy.thread);
                    busy
                })
                .collect();
            for (i, busy) in busy.into_iter().enumerate() {
                busy.end();
                eventually("its thread is idle", || threads::stats().idle == i + 1);
            }
            let ran = pools[0].submit(this_thread).expect("accepted").join().expect("runs");
            assert_eq!(ran, ids[2]);
            eventually("all are idle", || threads::stats().idle == 3);
            assert_eq!(threads::stats().live, 3);
        }
    });
}
