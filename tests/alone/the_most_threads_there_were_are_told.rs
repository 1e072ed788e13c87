//! `ThreadStats::peak` is the most threads that the cache had at once, also after they have ended.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{PoolConfig, Scope, threads};

use crate::common::pools::started;
use crate::common::{alone, eventually};

#[test]
fn the_peak_stays_when_the_threads_have_ended() {
    alone(|| {
        assert_eq!(threads::stats().peak, 0);
        threads::set_keep_alive(Duration::ZERO);
        let scope = Scope::new("test");
        for (at_once, peak) in [(2, 2), (3, 3), (1, 3)] {
            let pool = started(&scope, "some", PoolConfig::leased(at_once).workers_only());
            let together = Arc::new(Barrier::new(at_once));
            let tasks: Vec<_> = (0..at_once)
                .map(|_| {
                    let together = together.clone();
                    pool.submit(move || _ = together.wait()).expect("accepted")
                })
                .collect();
            for task in tasks {
                task.join().expect("runs");
            }
            eventually("the threads have ended", || threads::stats().live == 0);
            assert_eq!(threads::stats().peak, peak);
        }
    });
}
