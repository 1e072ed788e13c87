//! `start` starts one pool; a running manager refuses, so does one whose old tasks have not ended yet, and a refusal
//! changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, PoolKind, PoolMode, Scope, StartErrorKind, SubmitError, SubmitErrorKind};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

#[test]
fn a_manager_that_was_not_started_refuses_tasks_and_says_what_to_do() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("render");
        assert!(!pool.is_running());
        let error = pool.submit(|| ()).expect_err("it was not started");
        assert!(matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })));
        assert!(error.to_string().contains("render") && error.to_string().contains("start"), "{error}");
        assert!(
            pool.run(|| ()).is_err_and(|e| matches!(
                e.as_submit().map(SubmitError::kind),
                Some(SubmitErrorKind::NotStarted { .. })
            ))
        );
        assert!(pool.stop().expect("there is nothing to stop").is_complete());
    });
}

#[test]
fn a_running_manager_refuses_another_start_and_goes_on_as_it_was() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(2).task_type("page"));
        let error = pool.start(PoolConfig::dedicated(7).daemon()).expect_err("it runs");
        assert!(
            matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::AlreadyRunning))
                && error.namespace() == Some(pool.namespace())
        );
        assert!(error.to_string().contains("render"), "{error}");
        let stats = pool.stats();
        assert_eq!((stats.limit, stats.kind, stats.mode), (2, PoolKind::Leased, PoolMode::Joining));
        assert_eq!(pool.task_type(), Some("page".into()));
        assert_eq!(pool.submit_as("page", || 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn equal_settings_are_refused_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(2));
        assert!(
            matches!(pool.start(PoolConfig::leased(2)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::AlreadyRunning)))
        );
    });
}

#[test]
fn a_closed_manager_with_a_running_task_is_still_stopping() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| 7).expect("accepted");
        pool.close();
        assert!(!pool.is_running());
        let error = pool.start(PoolConfig::leased(1)).expect_err("two tasks have not ended");
        assert!(
            matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::StillStopping { remaining: 2, .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains("render") && error.to_string().contains('2'), "{error}");
        assert!(
            matches!(pool.ensure_started(PoolConfig::leased(1)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::StillStopping { .. })))
        );
        // Nothing changed: it still finishes what it accepted, and takes nothing new.
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
        busy.end();
        assert_eq!(queued.join().expect("a joining pool runs what it accepted"), 7);
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1)).expect("it has ended");
    });
}

#[test]
fn what_has_ended_does_not_count_among_what_remains() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pool = started(&scope, "render", config);
            let first = Busy::on(&pool);
            for _ in 0..5 {
                drop(pool.submit(|| ()).expect("accepted"));
            }
            let (here, starts) = std::sync::mpsc::channel();
            let (go, gate) = std::sync::mpsc::channel::<()>();
            let last = pool.submit(move || {
                here.send(()).expect("the test listens");
                let _ = gate.recv();
            });
            first.end();
            starts.recv().expect("it starts after the others");
            pool.close();
            let error = pool.start(PoolConfig::leased(1)).expect_err("one task has not ended");
            assert!(
                matches!(
                    error.as_start().map(|it| it.kind()),
                    Some(StartErrorKind::StillStopping { remaining: 1, .. })
                ),
                "{error:?}"
            );
            go.send(()).expect("the task listens");
            last.expect("accepted").join().expect("runs");
        }
    });
}

#[test]
fn a_stopped_daemon_with_a_running_task_is_still_stopping() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(1).daemon());
        let busy = Busy::on(&pool);
        assert_eq!(pool.stop().expect("from outside").remaining, 1);
        assert!(
            matches!(pool.start(PoolConfig::leased(1)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::StillStopping { remaining: 1, .. })))
        );
        busy.end();
        pool.wait_idle().expect("from outside");
        pool.start(PoolConfig::leased(1)).expect("its task has ended");
    });
}

#[test]
fn one_of_many_starts_at_once_wins() {
    bounded(|| {
        for _ in 0..200 {
            let scope = Scope::new("test");
            let pool = scope.create("render");
            let (won, together) = (AtomicUsize::new(0), Barrier::new(4));
            std::thread::scope(|threads| {
                for n in 1..=4 {
                    let (pool, won, together) = (&pool, &won, &together);
                    threads.spawn(move || {
                        together.wait();
                        match pool.start(PoolConfig::leased(n)) {
                            Ok(()) => {
                                won.fetch_add(n, Ordering::SeqCst);
                            }
                            Err(error) => assert!(
                                matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::AlreadyRunning)),
                                "{error}"
                            ),
                        }
                    });
                }
            });
            // Each would have added another number, so this also says that the winner's settings are the ones that
            // count.
            assert_eq!(pool.stats().limit, won.into_inner());
        }
    });
}

#[test]
fn a_start_in_a_scope_that_ended_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("render");
        scope.close();
        assert!(
            matches!(pool.start(PoolConfig::leased(1)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. })))
        );
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. }))),
            "nothing changed"
        );
    });
}

#[test]
fn a_task_can_start_and_stop_other_managers() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "outer", PoolConfig::leased(1));
        let here = Arc::new(scope.create("inner"));
        let inner = here.clone();
        let answer = pool.submit(move || {
            inner.start(PoolConfig::dedicated(1)).expect("starts");
            let answer = inner.submit(|| 7).expect("accepted").join().expect("runs");
            assert!(inner.stop().expect("no task of its own").is_complete());
            answer
        });
        assert_eq!(answer.expect("accepted").join().expect("runs"), 7);
        assert!(!here.is_running());
    });
}
