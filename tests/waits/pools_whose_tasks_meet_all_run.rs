//! As many threads come as there are tasks, each in a place of its own, that wait for one another by other means than
//! heirloom's.

use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::started;

fn meet(pools: usize, places: usize) {
    let scope = Scope::new("test");
    let together = Arc::new(Barrier::new(pools * places));
    let pools: Vec<_> = (0..pools).map(|_| started(&scope, "meets", PoolConfig::leased(places))).collect();
    for _ in 0..20 {
        let mut tasks = Vec::new();
        for pool in &pools {
            for _ in 0..places {
                let together = together.clone();
                tasks.push(pool.submit(move || _ = together.wait()).expect("accepted"));
            }
        }
        for task in tasks {
            task.join().expect("runs");
        }
    }
}

#[test]
fn tasks_of_sixteen_pools_of_one_place_meet() {
    bounded(|| meet(16, 1));
}

#[test]
fn tasks_of_one_pool_of_sixteen_places_meet() {
    bounded(|| meet(1, 16));
}

#[test]
fn tasks_of_eight_pools_of_four_places_meet() {
    bounded(|| meet(8, 4));
}

#[test]
fn tasks_that_start_the_ones_they_meet_all_run() {
    bounded(|| {
        let scope = Scope::new("test");
        let pools: Vec<_> = (0..16).map(|_| started(&scope, "meets", PoolConfig::leased(1))).collect();
        let together = Arc::new(Barrier::new(16));
        fn next(pools: Vec<heirloom::PoolManager>, at: usize, together: Arc<Barrier>) {
            if at + 1 < pools.len() {
                let (inner, meets) = (pools.clone(), together.clone());
                drop(pools[at + 1].submit(move || next(inner, at + 1, meets)).expect("accepted"));
            }
            together.wait();
        }
        let inner = pools.clone();
        pools[0].submit(move || next(inner, 0, together)).expect("accepted").join().expect("all meet");
        for pool in &pools {
            pool.wait_idle().expect("from outside");
        }
    });
}
