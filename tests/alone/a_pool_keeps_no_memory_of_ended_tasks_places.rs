//! A pool whose tasks became nodes of the tree holds no memory for them once they have ended and nobody holds their
//! places.

use heirloom::{Lineage, PoolConfig, PoolManager, Scope};

use crate::allocations::bytes;
use crate::common::{alone, eventually};

const TASKS: usize = 4_000;

/// Runs tasks that become nodes, and holds their places until all have ended. What was held then comes back.
fn run(pool: &PoolManager) -> isize {
    let tasks: Vec<_> = (0..TASKS).map(|_| pool.submit(heirloom::current).expect("accepted")).collect();
    let places: Vec<Lineage> = tasks.into_iter().map(|task| task.join().expect("runs")).collect();
    let held = bytes();
    drop(places);
    held
}

fn started(scope: &Scope) -> PoolManager {
    let pool = scope.create("work");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

#[test]
fn memory_comes_back_after_all_places_were_held_at_once() {
    alone(|| {
        let scope = Scope::new("test");
        // The indices of the tree grow to what they need, once.
        let other = started(&scope);
        run(&other);
        let _ = other.stop().expect("not from an own task");
        drop(other);

        let pool = started(&scope);
        let before = bytes();
        let node = (run(&pool) - before) / TASKS.cast_signed();
        assert!(node > 64, "a place is worth measuring: {node}");
        eventually("the memory is given back", || bytes() - before < 64 * node);
        drop(pool);
    });
}
