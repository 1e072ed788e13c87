//! A pool starts its tasks first in, first out.

use std::sync::{Arc, Mutex};

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

type Log = Arc<Mutex<Vec<usize>>>;

fn note(log: &Log, i: usize) -> impl FnOnce() + Send + 'static {
    let log = log.clone();
    move || log.lock().expect("nobody panics here").push(i)
}

fn is_sorted(log: &Log) -> bool {
    log.lock().expect("nobody panics here").is_sorted()
}

fn in_order(config: PoolConfig) {
    let scope = Scope::new("test");
    let pool = started(&scope, "one", config);
    let log = Log::default();
    let busy = Busy::on(&pool);
    let tasks: Vec<_> = (0..1_000).map(|i| pool.submit(note(&log, i)).expect("accepted")).collect();
    busy.end();
    for task in tasks {
        task.join().expect("runs");
    }
    assert!(is_sorted(&log));
    assert_eq!(log.lock().expect("nobody panics here").len(), 1_000);
}

#[test]
fn a_leased_pool_starts_tasks_in_order() {
    bounded(|| in_order(PoolConfig::leased(1)));
}

#[test]
fn a_dedicated_pool_starts_tasks_in_order() {
    bounded(|| in_order(PoolConfig::dedicated(1)));
}

#[test]
fn tasks_submitted_while_others_run_start_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let log = Log::default();
        for i in 0..20_000 {
            drop(pool.submit(note(&log, i)).expect("accepted"));
        }
        pool.wait_idle().expect("from outside");
        assert!(is_sorted(&log));
        assert_eq!(log.lock().expect("nobody panics here").len(), 20_000);
    });
}

#[test]
fn tasks_of_each_of_several_producers_start_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let logs: Vec<Log> = (0..4).map(|_| Log::default()).collect();
        std::thread::scope(|threads| {
            for log in &logs {
                threads.spawn(|| {
                    for i in 0..5_000 {
                        drop(pool.submit(note(log, i)).expect("accepted"));
                    }
                });
            }
        });
        pool.wait_idle().expect("from outside");
        for log in &logs {
            assert!(is_sorted(log));
            assert_eq!(log.lock().expect("nobody panics here").len(), 5_000);
        }
    });
}

#[test]
fn tasks_between_cancelled_ones_start_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let log = Log::default();
        let busy = Busy::on(&pool);
        let tasks: Vec<_> = (0..1_000).map(|i| pool.submit(note(&log, i)).expect("accepted")).collect();
        for task in tasks.iter().filter(|task| task.id().as_u64() % 7 != 0) {
            task.cancel();
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        assert!(is_sorted(&log));
        let ran = log.lock().expect("nobody panics here").len();
        assert_eq!(ran, tasks.iter().filter(|task| task.id().as_u64() % 7 == 0).count());
    });
}

#[test]
fn tasks_behind_one_that_waits_start_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let log = Log::default();
        let busy = Busy::on(&pool);
        for i in 0..300 {
            let note = note(&log, i);
            drop(pool.submit(move || {
                note();
                heirloom::blocking(std::thread::yield_now);
            }));
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        assert!(is_sorted(&log));
    });
}

#[test]
fn borrowing_tasks_submitted_from_outside_start_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let log = Log::default();
        pool.scope(|s| (0..100).for_each(|i| drop(s.submit(note(&log, i)).expect("accepted"))));
        assert!(is_sorted(&log));
        assert_eq!(log.lock().expect("nobody panics here").len(), 100);
    });
}

#[test]
fn borrowing_tasks_submitted_on_a_worker_start_in_order() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::leased(1).holds_permit(), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            let log = Log::default();
            let (inner, notes) = (pool.clone(), log.clone());
            pool.submit(move || {
                inner.scope(|s| (0..100).for_each(|i| drop(s.submit(note(&notes, i)).expect("accepted"))))
            })
            .expect("accepted")
            .join()
            .expect("runs");
            assert!(is_sorted(&log), "{:?}", log.lock());
            assert_eq!(log.lock().expect("nobody panics here").len(), 100);
        }
    });
}
