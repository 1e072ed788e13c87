//! Once a pool has ended it stays ended: a stop that was told so returns, and a start after it works, however late the
//! submitters are that brought the last tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;

const TIME: Duration = Duration::from_secs(4);

/// Submitters and cancellers hammer a manager that is stopped and started again and again.
fn hammered(config: PoolConfig, cancelling: bool) {
    bounded(move || {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let over = Arc::new(AtomicBool::new(false));
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                let (pool, over) = (pool.clone(), Arc::clone(&over));
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        if let Ok(task) = pool.submit(|| ())
                            && cancelling
                        {
                            task.cancel();
                        }
                    }
                })
            })
            .collect();
        let until = Instant::now() + TIME;
        while Instant::now() < until {
            pool.start(config.clone()).expect("a stopped manager starts again");
            std::thread::yield_now();
            let report = pool.stop().expect("not from an own task");
            assert!(report.is_complete(), "{report}");
        }
        over.store(true, Ordering::Relaxed);
        for submitter in submitters {
            submitter.join().expect("submits");
        }
    });
}

#[test]
fn the_end_of_a_leased_pool_is_seen_while_others_submit() {
    hammered(PoolConfig::leased(2), false);
}

#[test]
fn the_end_of_a_leased_pool_is_seen_while_it_is_cancelled() {
    hammered(PoolConfig::leased(1), true);
}

#[test]
fn the_end_of_a_dedicated_pool_is_seen_while_others_submit() {
    hammered(PoolConfig::dedicated(2), false);
}

#[test]
fn the_end_of_a_dedicated_pool_is_seen_while_it_is_cancelled() {
    hammered(PoolConfig::dedicated(1), true);
}
