//! An end or a wait that would wait for its own caller is refused as `FromOwnTask` and changes nothing: from any frame
//! of the thread, an inlined join and a run in place included; from outside it is not.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, StopError};

use crate::common::bounded;

fn pool(scope: &Scope, namespace: &'static str, config: PoolConfig) -> PoolManager {
    let pool = scope.create(namespace);
    pool.start(config).expect("starts");
    pool
}

/// Every verb that waits, from where this is called.
fn all_are_refused(pool: &PoolManager) -> bool {
    let refused = |error: &heirloom::Error| {
        matches!(error.as_stop(), Some(StopError::FromOwnTask { .. })) && error.to_string().contains("work")
    };
    let long = Duration::from_secs(600);
    pool.stop().is_err_and(|error| refused(&error))
        && pool.stop_timeout(long).is_err_and(|error| refused(&error))
        && futures::executor::block_on(pool.stop_async()).is_err_and(|error| refused(&error))
        && pool.wait_idle().is_err_and(|error| refused(&error))
        && pool.wait_idle_timeout(long).is_err_and(|error| refused(&error))
        && pool.is_running()
}

#[test]
fn a_task_that_stops_its_own_pool_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).daemon()] {
            let pool = pool(&scope, "work", config);
            let this = pool.clone();
            assert!(pool.submit(move || all_are_refused(&this)).expect("accepted").join().expect("ends"));
        }
    });
}

#[test]
fn a_task_of_another_pool_that_runs_within_it_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        let other = pool(&scope, "other", PoolConfig::leased(1));
        let this = work.clone();
        // The run in place puts a frame of another pool above ours.
        let answer = work.submit(move || other.run(|| all_are_refused(&this)).expect("ends"));
        assert!(answer.expect("accepted").join().expect("ends"));
    });
}

#[test]
fn a_task_that_a_join_runs_in_place_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        let this = work.clone();
        let outer = work.submit(move || {
            let same = this.clone();
            this.submit(move || all_are_refused(&same)).expect("accepted").join().expect("ends")
        });
        assert!(outer.expect("accepted").join().expect("ends"));
    });
}

#[test]
fn a_run_in_place_on_a_thread_that_is_no_worker_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        assert!(work.run(|| all_are_refused(&work)).expect("ends"));
    });
}

#[test]
fn a_borrowing_task_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        assert!(work.scope(|s| s.submit(|| all_are_refused(&work)).expect("accepted").join().expect("ends")));
    });
}

#[test]
fn a_task_may_close_and_cancel_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        let this = work.clone();
        let task = work.submit(move || {
            this.close();
            this.cancel();
            7
        });
        assert_eq!(task.expect("accepted").join().expect("ends"), 7);
        assert!(work.stop().expect("from outside").is_complete());
    });
}

#[test]
fn a_task_of_one_pool_may_stop_another() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        let other = pool(&scope, "other", PoolConfig::leased(1));
        let slow = work.submit(std::thread::yield_now).expect("accepted");
        let stops = other.submit(move || work.stop().is_ok_and(|report| report.is_complete()));
        assert!(stops.expect("accepted").join().expect("ends"));
        slow.join().expect("ends");
    });
}

#[test]
fn another_thread_may_stop_it_while_a_task_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = pool(&scope, "work", PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let task = work.submit(move || gate.recv().is_err());
        let stopper = std::thread::spawn(move || work.stop().is_ok());
        drop(go);
        assert!(stopper.join().expect("stops"));
        assert!(task.expect("accepted").join().expect("ends"));
    });
}
