//! Idle leased threads park, and end after the cache's keep-alive: an idle process has no heirloom threads and uses no
//! CPU.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, threads};

use crate::common::pools::{started, threads_named};
use crate::common::{alone, eventually};

/// What this process has used of the CPU until now.
fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the structure lives for the call, which fills it.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1_000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Makes as many threads as there are pools.
fn all_at_once(pools: &[PoolManager]) {
    let together = Arc::new(Barrier::new(pools.len()));
    let tasks: Vec<_> = pools
        .iter()
        .map(|pool| {
            let together = together.clone();
            pool.submit(move || _ = together.wait()).expect("accepted")
        })
        .collect();
    for task in tasks {
        task.join().expect("runs");
    }
}

#[test]
fn threads_park_and_then_end_and_come_back_with_the_next_task() {
    alone(|| {
        assert_eq!(threads::keep_alive(), Duration::from_secs(10));
        let scope = Scope::new("test");
        let pools: Vec<_> = (0..8).map(|_| started(&scope, "some", PoolConfig::leased(1).workers_only())).collect();
        all_at_once(&pools);
        eventually("all are idle", || threads::stats().idle == threads::stats().live);
        assert_eq!(threads::stats().live, 8);
        assert_eq!(threads_named("heirloom-"), 8);

        // Parked: what they use over a while is next to nothing. Time itself is the subject.
        let before = cpu();
        std::thread::sleep(Duration::from_millis(300));
        let used = cpu() - before;
        assert!(used < Duration::from_millis(60), "idle threads used {used:?} of 300 ms");

        // The keep-alive counts for threads that fall idle from now on.
        threads::set_keep_alive(Duration::from_millis(20));
        assert_eq!(threads::keep_alive(), Duration::from_millis(20));
        for round in 0..5 {
            all_at_once(&pools);
            eventually("all have ended", || threads::stats().live == 0);
            eventually("the system agrees", || threads_named("heirloom-") == 0);
            assert!(pools.iter().all(PoolManager::is_running), "round {round}");
        }

        // One that ends and one that is woken at the same moment do not miss each other.
        threads::set_keep_alive(Duration::ZERO);
        for i in 0..5_000 {
            assert_eq!(pools[i % 8].submit(move || i).expect("accepted").join().expect("runs"), i);
        }
        threads::set_keep_alive(Duration::from_micros(60));
        for i in 0..5_000 {
            assert_eq!(pools[i % 8].submit(move || i).expect("accepted").join().expect("runs"), i);
            for _ in 0..i % 64 {
                std::thread::yield_now();
            }
        }
        eventually("all have ended", || threads::stats().live == 0);
    });
}
