//! A closed manager starts again as soon as the tasks of its last start have ended: only they are `StillStopping`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use heirloom::{PoolConfig, Scope};

use crate::common::{bounded, eventually};

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

#[test]
fn a_start_drops_the_settings_of_the_one_before() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("again");
        let setting = Arc::new(());
        let kept = Arc::clone(&setting);
        let first = PoolConfig::dedicated(1).on_worker_start(move |_| {
            let _used = &kept;
            Ok::<_, std::io::Error>(())
        });
        pool.start(first).expect("starts");
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1)).expect("the first one has ended");
        // A thread of the first pool may hold the pool for a moment after the stop.
        eventually("the first pool is dropped", || Arc::strong_count(&setting) == 1);
    });
}

#[test]
fn a_setting_that_panics_when_it_is_dropped_breaks_no_start() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of a setting");
        }
    }

    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("again");
        let bomb = Bomb;
        let first = PoolConfig::dedicated(1).on_worker_start(move |_| {
            let _used = &bomb;
            Ok::<_, std::io::Error>(())
        });
        pool.start(first).expect("starts");
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1)).expect("the panic of the first one's setting ends where it is dropped");
        pool.submit(|| ()).expect("it runs").join().expect("runs");
    });
}

/// A submitter reads the pool without a count, and a start frees the one before. Found by the address sanitizer if not.
#[test]
fn submitters_that_race_with_starts_lose_no_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("again");
        let (accepted, ran, over) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let ran = Arc::clone(&ran);
                        if let Ok(task) = pool.submit(move || ran.fetch_add(1, Ordering::SeqCst)) {
                            drop(task); // detached
                            accepted.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            for _ in 0..100 {
                pool.start(PoolConfig::leased(2)).expect("the one before has ended");
                thread::yield_now();
                assert!(pool.stop().expect("from outside").is_complete());
            }
            over.store(true, Ordering::SeqCst);
        });
        assert_eq!(ran.load(Ordering::SeqCst), accepted.load(Ordering::SeqCst));
        assert!(accepted.load(Ordering::SeqCst) > 0, "no submit met a running pool");
    });
}
