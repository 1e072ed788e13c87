//! `use heirloom::prelude::*` beside the crates that this one has bridges to.
#![cfg(all(feature = "metrics", feature = "tower"))]

use heirloom::prelude::*;
use metrics::NoopRecorder;
use tower::ServiceExt;

use crate::common::bounded;

#[test]
fn the_crates_tower_and_metrics_keep_their_names() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool: PoolManager = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let serves = tower::service_fn(move |n: u32| {
            let task = pool.submit(move || n + 1);
            async move { task.map(TaskHandle::join) }
        });
        let answer = futures::executor::block_on(serves.oneshot(6).in_lineage(&scope));
        assert_eq!(answer.expect("accepted").expect("runs"), 7);
        metrics::with_local_recorder(&NoopRecorder, || metrics::counter!("asked").increment(1));
    });
}
