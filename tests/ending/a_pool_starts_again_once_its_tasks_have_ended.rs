//! A closed manager starts again as soon as the tasks of its last start have ended: only they are `StillStopping`.

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;

fn start_again_after_idle(config: impl Fn() -> PoolConfig) {
    let scope = Scope::new("test");
    let pool = scope.create("again");
    for _ in 0..2_000 {
        pool.start(config()).expect("every task of the last start has ended");
        pool.submit(|| ()).expect("accepted").join().expect("runs");
        pool.close();
        pool.wait_idle().expect("from outside");
    }
}

#[test]
fn a_leased_pool_starts_again_after_close_and_wait_idle() {
    bounded(|| start_again_after_idle(|| PoolConfig::leased(2)));
}

#[test]
fn a_dedicated_pool_starts_again_after_close_and_wait_idle() {
    bounded(|| start_again_after_idle(|| PoolConfig::dedicated(2)));
}
