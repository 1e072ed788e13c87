//! A wait with a time limit runs no queued task in place, where the task could outlast the limit; a wait without one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use heirloom::{Error, PoolConfig, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::started;

const LIMIT: Duration = Duration::from_millis(20);

/// Runs the test in a task that keeps the pool's only permit. Its argument is a closure for the pool, and the flag that it sets.
fn on_the_only_permit(test: impl FnOnce(heirloom::PoolManager, Arc<AtomicBool>) + Send + 'static) {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).holds_permit());
        let own = pool.clone();
        pool.submit(move || test(own, Arc::default())).expect("accepted").join().expect("passes");
    });
}

#[test]
fn a_sets_wait_comes_back_and_the_next_wait_runs_the_task() {
    on_the_only_permit(|pool, ran| {
        let runs = Arc::clone(&ran);
        let mut set = TaskSet::new();
        set.push(pool.submit(move || runs.store(true, Ordering::SeqCst)).expect("accepted"));
        assert!(set.join_next_timeout(LIMIT).is_err_and(|error| error.as_timed_out().is_some()));
        assert!(!ran.load(Ordering::SeqCst), "not in place");
        set.join_next().expect("one task").1.expect("runs in place");
    });
}

#[test]
fn an_unordered_maps_wait_comes_back_and_the_next_wait_runs_the_task() {
    on_the_only_permit(|pool, ran| {
        let runs = Arc::clone(&ran);
        let mut map = pool.map_unordered(0..2, move |_| runs.store(true, Ordering::SeqCst)).expect("accepted");
        assert!(map.next_timeout(LIMIT).is_err_and(|error| error.as_timed_out().is_some()));
        assert!(!ran.load(Ordering::SeqCst), "not in place");
        assert_eq!(map.map(|result| result.expect("runs in place")).count(), 2);
    });
}

#[test]
fn a_trying_maps_wait_comes_back_and_the_next_wait_runs_the_task() {
    on_the_only_permit(|pool, ran| {
        let runs = Arc::clone(&ran);
        let mut map = pool.try_map(0..2, move |_| {
            runs.store(true, Ordering::SeqCst);
            Ok::<_, Error>(())
        });
        assert!(map.next_timeout(LIMIT).is_err_and(|error| error.as_timed_out().is_some()));
        assert!(!ran.load(Ordering::SeqCst), "not in place");
        assert_eq!(map.map(|result| result.expect("runs in place")).count(), 2);
    });
}
