//! A fair pool holds no memory for tenants that have no queued tasks.

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::allocations::bytes;
use crate::common::alone;
use crate::common::pools::Busy;

/// Queues one task for each of so many tenants at once, and waits until all have run.
fn burst(app: &Scope, pool: &PoolManager, tenants: usize) {
    let busy = Busy::on(pool);
    let scopes: Vec<Scope> = (0..tenants).map(|_| Scope::new_in(app, "tenant")).collect();
    for scope in &scopes {
        drop(scope.run(|| pool.submit(|| ())).expect("accepted"));
    }
    busy.end();
    pool.wait_idle().expect("from outside");
    scopes.into_iter().for_each(Scope::finish);
}

fn started(app: &Scope, name: &'static str) -> PoolManager {
    let pool = app.create(name);
    pool.start(PoolConfig::leased(1).fair().priorities(2)).expect("starts");
    pool
}

#[test]
fn memory_comes_back_after_a_burst_and_after_many_tenants_in_turn() {
    const TENANTS: usize = 20_000;
    alone(|| {
        let app = Scope::new("test");
        // The indices of the tree grow to what they need, once.
        let other = started(&app, "other");
        burst(&app, &other, TENANTS);
        drop(other.stop());

        let pool = started(&app, "pool");
        burst(&app, &pool, 8);
        let before = bytes();
        burst(&app, &pool, TENANTS);
        let after_burst = bytes() - before;
        (0..TENANTS / 10).for_each(|_| burst(&app, &pool, 1));
        let after_all = bytes() - before;
        // One word for each tenant would be 160 kB.
        assert!(after_burst < 16_384 && after_all < 16_384, "{after_burst} and {after_all} bytes");
    });
}
