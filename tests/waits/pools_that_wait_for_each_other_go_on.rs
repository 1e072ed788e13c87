//! Tasks of several narrow pools that wait for one another's tasks never hang.

use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::bounded;
use crate::common::pools::started;

#[test]
fn two_pools_of_one_place_that_call_each_other_go_on() {
    fn ping(pools: &[PoolManager; 2], left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pools.clone();
        1 + pools[left as usize % 2].submit(move || ping(&inner, left - 1)).expect("accepted").join().expect("runs")
    }
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pools = [started(&scope, "a", config.clone()), started(&scope, "b", config)];
            assert_eq!(ping(&pools, 100), 100);
        }
    });
}

#[test]
fn two_pools_of_one_place_that_run_on_each_other_go_on() {
    fn ping(pools: &[PoolManager; 2], left: u32) -> u32 {
        if left == 0 { 0 } else { 1 + pools[left as usize % 2].run(|| ping(pools, left - 1)).expect("runs") }
    }
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pools = [started(&scope, "a", config.clone()), started(&scope, "b", config)];
            assert_eq!(ping(&pools, 100), 100);
        }
    });
}

#[test]
fn two_pools_that_wait_for_each_others_queued_tasks_go_on() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            for _ in 0..50 {
                let scope = Scope::new("test");
                let (a, b) = (started(&scope, "a", config.clone()), started(&scope, "b", config.clone()));
                let both_run = Arc::new(Barrier::new(2));
                let crossed = |mine: &PoolManager, theirs: &PoolManager| {
                    let (theirs, both_run) = (theirs.clone(), both_run.clone());
                    mine.submit(move || {
                        both_run.wait();
                        theirs.submit(|| 7).expect("accepted").join().expect("runs")
                    })
                    .expect("accepted")
                };
                let (x, y) = (crossed(&a, &b), crossed(&b, &a));
                assert_eq!(x.join().expect("runs") + y.join().expect("runs"), 14);
            }
        }
    });
}

#[test]
fn a_ring_of_pools_that_each_wait_for_the_next_goes_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let ring: Vec<_> = (0..8_u64)
            .map(|i| {
                let pool = scope.create(i);
                pool.start(PoolConfig::leased(1)).expect("starts");
                pool
            })
            .collect();
        let all_run = Arc::new(Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (next, all_run) = (ring[(i + 1) % 8].clone(), all_run.clone());
                ring[i]
                    .submit(move || {
                        all_run.wait();
                        next.submit(move || i).expect("accepted").join().expect("runs")
                    })
                    .expect("accepted")
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().expect("runs"), i);
        }
    });
}

#[test]
fn borrowing_scopes_of_two_pools_inside_each_other_go_on() {
    fn nested(outer: &PoolManager, inner: &PoolManager, left: u32) -> u32 {
        if left == 0 {
            return 1;
        }
        let mut sums = [0; 2];
        outer.scope(|s| {
            for sum in &mut sums {
                drop(s.submit(move || *sum = nested(inner, outer, left - 1)).expect("accepted"));
            }
        });
        sums.iter().sum()
    }
    bounded(|| {
        let scope = Scope::new("test");
        let (a, b) = (started(&scope, "a", PoolConfig::leased(1)), started(&scope, "b", PoolConfig::leased(1)));
        assert_eq!(nested(&a, &b, 7), 128);
    });
}

#[test]
fn a_scope_that_a_task_of_the_same_pool_uses_goes_on() {
    // The outside thread's scope hands tasks to a pool whose only worker waits for a task of that scope.
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let answer = pool.scope(|s| {
            s.submit(|| {
                let inner = s.submit(|| 7).expect("accepted");
                inner.join().expect("runs")
            })
            .expect("accepted")
            .join()
            .expect("runs")
        });
        assert_eq!(answer, 7);
    });
}

/// Deeper than the bounds of both pools together.
fn beyond_the_bound(config: &PoolConfig, depth: u32, wait: fn(&PoolManager, Box<dyn FnOnce() -> u32 + Send>) -> u32) {
    type Wait = fn(&PoolManager, Box<dyn FnOnce() -> u32 + Send>) -> u32;
    fn down(pools: &[PoolManager; 2], left: u32, wait: Wait) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pools.clone();
        1 + wait(&pools[left as usize % 2], Box::new(move || down(&inner, left - 1, wait)))
    }
    let scope = Scope::new("test");
    let pools = [started(&scope, "a", config.clone()), started(&scope, "b", config.clone())];
    let inner = pools.clone();
    let task = pools[0].submit(move || down(&inner, depth, wait)).expect("accepted");
    assert_eq!(task.join().expect("runs"), depth);
    for pool in pools {
        let report = pool.stop().expect("from outside");
        assert!(report.is_complete());
        assert_eq!(pool.stats().waiting, 0);
    }
}

fn joins(pool: &PoolManager, f: Box<dyn FnOnce() -> u32 + Send>) -> u32 {
    pool.submit(f).expect("accepted").join().expect("runs")
}

#[test]
fn a_bound_of_waits_that_is_reached_delays_them_and_does_not_stop_them() {
    bounded(|| {
        for config in [
            PoolConfig::leased(1).max_blocked(4),
            PoolConfig::leased(2).max_blocked(0),
            PoolConfig::dedicated(1).max_blocked(4),
            #[cfg(feature = "rayon")]
            PoolConfig::work_stealing(1).max_blocked(4),
        ] {
            beyond_the_bound(&config, 40, joins);
        }
    });
}

#[test]
fn so_it_is_for_any_other_wait_without_a_deadline() {
    bounded(|| {
        let config = PoolConfig::leased(1).max_blocked(2);
        beyond_the_bound(&config, 20, |pool, f| pool.run(f).expect("runs"));
        beyond_the_bound(&config, 20, |pool, f| {
            let mut below = 0;
            pool.scope(|s| drop(s.submit(|| below = f()).expect("accepted")));
            below
        });
        beyond_the_bound(&config, 20, |pool, f| {
            let (tell, told) = std::sync::mpsc::channel();
            pool.submit(move || tell.send(f())).map(drop).expect("accepted");
            heirloom::blocking(|| told.recv()).expect("it is told")
        });
        beyond_the_bound(&config, 20, |pool, f| {
            let mut set: heirloom::TaskSet<u32> = [pool.submit(f).expect("accepted")].into_iter().collect();
            set.join_next().expect("one task is in it").1.expect("runs")
        });
    });
}

#[test]
fn six_hundred_deep_with_the_bounds_that_pools_have() {
    bounded(|| beyond_the_bound(&PoolConfig::leased(1), 600, joins));
}
