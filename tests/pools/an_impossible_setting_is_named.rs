//! `n == 0`, or a setting that the kind of pool cannot honour, is `StartErrorKind::Invalid` naming the setting; nothing
//! starts.

use std::time::Duration;

use heirloom::{PoolConfig, Scope, StartErrorKind, SubmitErrorKind};

use crate::common::bounded;

fn names(setting: &str, config: PoolConfig) {
    let scope = Scope::new("test");
    let pool = scope.create("render");
    for (way, answer) in [("start", pool.start(config.clone())), ("ensure_started", pool.ensure_started(config))] {
        let Err(error) = answer else { panic!("{way} with an impossible {setting}") };
        match error.as_start().map(|it| it.kind()) {
            Some(StartErrorKind::Invalid { setting: named, .. }) => assert_eq!(*named, setting, "{way}"),
            other => panic!("{way} with an impossible {setting}: {other:?}"),
        }
        let text = error.to_string();
        assert!(text.contains("render") && text.contains(setting) && text.contains("; "), "{way}: {text}");
    }
    assert!(!pool.is_running());
    assert!(
        matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })))
    );
    pool.start(PoolConfig::leased(1)).expect("a refusal changes nothing");
}

#[test]
fn a_pool_without_a_place_is_refused() {
    bounded(|| {
        names("n", PoolConfig::leased(0));
        names("n", PoolConfig::dedicated(0));
    });
}

#[test]
fn more_places_than_any_system_has_threads_are_refused() {
    bounded(|| {
        names("n", PoolConfig::leased(usize::MAX));
        names("n", PoolConfig::dedicated(usize::MAX));
    });
}

#[test]
fn a_queue_that_holds_nothing_is_refused() {
    bounded(|| names("queue_limit", PoolConfig::leased(1).queue_limit(0)));
}

#[test]
fn a_queue_without_a_level_or_with_too_many_is_refused() {
    bounded(|| {
        names("priorities", PoolConfig::leased(1).priorities(0));
        names("priorities", PoolConfig::leased(1).priorities(9).fair());
    });
}

#[test]
fn a_name_for_borrowed_threads_is_refused() {
    bounded(|| names("thread_name_prefix", PoolConfig::leased(1).thread_name_prefix("mine")));
}

#[test]
fn a_stack_size_for_borrowed_threads_is_refused() {
    bounded(|| names("stack_size", PoolConfig::leased(1).stack_size(1 << 20)));
}

#[test]
fn a_keep_alive_for_borrowed_threads_is_refused() {
    bounded(|| names("keep_alive", PoolConfig::leased(1).keep_alive(Duration::from_secs(1))));
}

#[test]
fn a_thread_name_that_no_thread_can_have_is_refused() {
    bounded(|| names("thread_name_prefix", PoolConfig::dedicated(1).thread_name_prefix("a\0b")));
}

#[test]
fn a_namespace_that_no_thread_can_have_is_no_obstacle() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("zero\0byte");
        pool.start(PoolConfig::dedicated(1)).expect("the prefix is made from it");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn the_largest_and_smallest_possible_settings_are_fine() {
    bounded(|| {
        let scope = Scope::new("test");
        let possible = [
            PoolConfig::leased(u16::MAX as usize).queue_limit(usize::MAX).max_blocked(usize::MAX),
            PoolConfig::dedicated(1).stack_size(0).keep_alive(Duration::MAX).max_blocked(0).queue_limit(1),
            PoolConfig::dedicated(1).keep_alive(Duration::ZERO).thread_name_prefix(""),
        ];
        for (i, config) in possible.into_iter().enumerate() {
            let pool = scope.create(i as u64);
            pool.start(config).expect("possible");
            for n in 0..10 {
                assert_eq!(pool.submit(move || n).expect("accepted").join().expect("runs"), n);
            }
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

#[test]
fn a_label_that_no_metric_can_have_is_refused() {
    bounded(|| {
        for key in ["", "7th", "of tenant", "tenant-id", "le", "quantile", "namespace", "task_type", "__name__"] {
            names("label", PoolConfig::leased(1).label(key, "value"));
        }
        let keys = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        names("label", keys.iter().fold(PoolConfig::leased(1), |config, key| config.label(key, "value")));
    });
}
