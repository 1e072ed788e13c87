//! `stop` returns after `run` used the caller's thread, whatever that run left behind in the queue.

use heirloom::{CancelOutcome, PoolConfig, Scope};

use crate::common::bounded;

#[test]
fn stop_returns_after_a_run_that_closed_its_pool_and_left_a_cancelled_task_behind() {
    bounded(|| {
        for _ in 0..200 {
            let scope = Scope::new("test");
            let pool = scope.create("one");
            pool.start(PoolConfig::leased(1)).expect("starts");
            pool.run(|| {
                let never = pool.submit(|| ()).expect("accepted");
                assert_eq!(never.cancel(), CancelOutcome::Requested);
                pool.close();
            })
            .expect("runs");
            // A thread may be on its way for what is left of the cancelled task; its going must wake whoever waits.
            let report = pool.stop().expect("from outside");
            assert!(report.is_complete(), "{report}");
        }
    });
}
