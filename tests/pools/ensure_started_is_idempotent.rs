//! `ensure_started` is fine when the manager runs with equal settings, and otherwise names the one that differs.

use std::sync::Barrier;
use std::time::Duration;

use heirloom::{PoolConfig, Scope, StartErrorKind};

use crate::common::bounded;
use crate::common::pools::started;

#[test]
fn it_starts_what_does_not_run() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("render");
        pool.ensure_started(PoolConfig::leased(2)).expect("starts");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        assert!(pool.stop().expect("from outside").is_complete());
        pool.ensure_started(PoolConfig::dedicated(1)).expect("starts again, with any config");
        assert_eq!(pool.stats().completed, 0);
    });
}

#[test]
fn equal_settings_change_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let config = || {
            PoolConfig::dedicated(2)
                .task_type("page")
                .queue_limit(9)
                .thread_name_prefix("p")
                .stack_size(1 << 20)
                .keep_alive(Duration::from_secs(1))
                .max_blocked(3)
        };
        let pool = started(&scope, "render", config());
        pool.submit_as("page", || ()).expect("accepted").join().expect("runs");
        pool.ensure_started(config()).expect("it runs with these");
        assert_eq!(pool.stats().completed, 1, "it is the same start");
    });
}

#[test]
fn each_setting_that_differs_is_named() {
    bounded(|| {
        let base = || PoolConfig::dedicated(2);
        let others: [(&str, PoolConfig); 13] = [
            ("kind", PoolConfig::leased(2)),
            ("n", PoolConfig::dedicated(3)),
            ("task_type", base().task_type("page")),
            ("mode", base().daemon()),
            ("queue_limit", base().queue_limit(5)),
            ("detached", base().detached()),
            ("holds_permit", base().holds_permit()),
            ("max_blocked", base().max_blocked(1)),
            ("label", base().label("tenant", "acme")),
            ("log_panics", base().log_panics(false)),
            ("thread_name_prefix", base().thread_name_prefix("other")),
            ("stack_size", base().stack_size(1 << 20)),
            ("keep_alive", base().keep_alive(Duration::from_secs(1))),
        ];
        let scope = Scope::new("test");
        let pool = started(&scope, "render", base());
        for (name, other) in others {
            let Err(error) = pool.ensure_started(other) else { panic!("{name} is the same") };
            match error.as_start().map(|it| it.kind()) {
                Some(StartErrorKind::ConfigMismatch { setting, .. }) => {
                    assert!(setting.contains(name), "{setting} instead of {name}");
                    let text = error.to_string();
                    assert!(text.contains("render") && text.contains(setting), "{text}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(pool.submit(|| 7).expect("nothing changed").join().expect("runs"), 7);
    });
}

#[test]
fn joining_is_the_default() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(1));
        pool.ensure_started(PoolConfig::leased(1).joining()).expect("equal");
    });
}

#[test]
fn many_calls_at_once_all_succeed() {
    bounded(|| {
        for _ in 0..200 {
            let scope = Scope::new("test");
            let pool = scope.create("render");
            let together = Barrier::new(4);
            std::thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| {
                        together.wait();
                        pool.ensure_started(PoolConfig::leased(2)).expect("started, by whomever");
                        assert_eq!(pool.submit(|| 7).expect("it runs").join().expect("runs"), 7);
                    });
                }
            });
            assert_eq!(pool.stats().completed, 4, "one start saw them all");
        }
    });
}
