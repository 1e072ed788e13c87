//! After `stop`, `start` works again, with any config; each start has fresh state of its own.

use heirloom::{PoolConfig, PoolKind, PoolMode, Scope, SubmitErrorKind, TaskStatus};

use crate::common::bounded;
use crate::common::pools::{self, Busy, started, thread_name};

#[test]
fn counters_begin_at_zero() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "again", PoolConfig::leased(1).task_type("a").log_panics(false));
        pool.submit_as("a", || ()).expect("accepted").join().expect("runs");
        assert!(pool.submit_as("a", || panic!("once")).expect("accepted").join().is_err());
        assert!(pool.submit(|| ()).is_err());
        let before = pool.stop().expect("from outside");
        assert_eq!((before.completed, before.panicked), (1, 1));
        assert_eq!(pool.stats().completed, 1, "of the last start, until the next");
        pool.start(PoolConfig::leased(1)).expect("starts again");
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.panicked, stats.refused, stats.task_type), (0, 0, 0, None));
    });
}

#[test]
fn every_setting_may_differ() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "again", PoolConfig::leased(1).task_type("a").queue_limit(1).holds_permit());
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
        );
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::dedicated(3).daemon().thread_name_prefix("fresh")).expect("starts again");
        let stats = pool.stats();
        assert_eq!((stats.limit, stats.kind, stats.mode), (3, PoolKind::Dedicated, PoolMode::Daemon));
        let name = pool.submit(thread_name).expect("any type, now").join().expect("runs");
        assert!(name.starts_with("fresh-"), "{name}");
        let _ = pool.stop().expect("from outside");
        pool.wait_idle().expect("from outside");
        pool.start(PoolConfig::leased(2)).expect("and again");
        let name = pool.submit(thread_name).expect("accepted").join().expect("runs");
        assert!(!name.starts_with("fresh-"), "{name}");
    });
}

#[test]
fn a_cancelled_pool_starts_clean() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "again", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("accepted");
        pool.cancel();
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));
        busy.end();
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1)).expect("starts again");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("not cancelled"), 7);
    });
}

#[test]
fn results_of_the_last_start_are_still_there() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "again", PoolConfig::leased(1));
        let old = pool.submit(|| String::from("old")).expect("accepted");
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1)).expect("starts again");
        assert_eq!(old.status(), TaskStatus::Finished);
        assert_eq!(old.join().expect("ran"), "old");
        assert_eq!(pool.stats().completed, 0);
    });
}

#[test]
fn a_thousand_starts_of_one_manager_work() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("again");
        for i in 0..1_000_usize {
            pool.start(PoolConfig::leased(1 + i % 3)).expect("starts again");
            assert_eq!(pool.submit(move || i).expect("accepted").join().expect("runs"), i);
            let report = pool.stop().expect("from outside");
            assert_eq!((report.completed, report.is_complete()), (1, true));
        }
    });
}

#[test]
fn dedicated_threads_of_each_start_are_new() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("again");
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            pool.start(PoolConfig::dedicated(1)).expect("starts again");
            assert!(seen.insert(pool.submit(pools::this_thread).expect("accepted").join().expect("runs")));
            assert_eq!(pool.submit(thread_name).expect("accepted").join().expect("runs"), "again-0");
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}
