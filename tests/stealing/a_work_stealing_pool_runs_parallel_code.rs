//! A work-stealing pool is a rayon pool: parallel iterators, `join` and `scope` inside a task use its threads. It is a
//! pool like the others for everything else: types, limits, counts, panics, ends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use heirloom::{
    PoolConfig, PoolKind, PoolManager, Scope, StartErrorKind, SubmitError, SubmitErrorKind, TaskKind, TaskType, threads,
};
use rayon::prelude::*;

use crate::common::{alone, bounded, eventually};

fn started(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("math");
    pool.start(config).expect("starts");
    pool
}

#[test]
fn what_is_installed_uses_the_pools_threads_and_may_borrow() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(3));
        let mut numbers: Vec<u64> = (0..10_000).rev().collect();
        let sum = pool
            .install(|| {
                assert_eq!(rayon::current_num_threads(), 3);
                numbers.par_sort();
                numbers.par_iter().sum::<u64>()
            })
            .expect("runs");
        assert_eq!((sum, numbers[0]), (49_995_000, 0));
        // All three meet, so they are three threads of one pool.
        let meet = Barrier::new(3);
        let ids = Mutex::new(HashSet::new());
        pool.install(|| {
            rayon::broadcast(|_| {
                ids.lock().expect("no panic").insert(std::thread::current().id());
                meet.wait();
            });
        })
        .expect("runs");
        assert_eq!(ids.into_inner().expect("no panic").len(), 3);
        let report = pool.stop().expect("not from within");
        assert_eq!((report.completed, report.is_complete()), (2, true));
    });
}

#[test]
fn what_is_submitted_runs_there_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(2));
        let tasks: Vec<_> = (0..200u64)
            .map(|n| pool.submit(move || (0..n).into_par_iter().map(|x| x + 1).sum::<u64>()).expect("accepted"))
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            let n = n as u64;
            assert_eq!(task.join().expect("runs"), n * (n + 1) / 2);
        }
        let halves: u64 = pool.scope(|s| {
            let numbers = [1u64, 2, 3, 4];
            let sum = s.submit(move || numbers.par_iter().sum::<u64>()).expect("accepted");
            sum.join().expect("runs")
        });
        assert_eq!(halves, 10);
        let squares: Result<Vec<u64>, _> = pool.map(0..100u64, |n| n * n).expect("accepted").collect();
        assert_eq!(squares.expect("all run")[99], 9801);
        assert_eq!(pool.run(rayon::current_num_threads).expect("runs"), 2);
        let stats = pool.stats();
        assert_eq!((stats.kind, stats.completed, stats.limit), (PoolKind::WorkStealing, 302, 2));
        assert!(pool.stop().expect("not from within").is_complete());
    });
}

#[test]
fn no_more_tasks_than_its_limit_have_started() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(2).queue_limit(10));
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let running = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
            tasks.push(
                pool.submit(move || {
                    running.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.lock().map(|gate| gate.recv());
                })
                .expect("accepted"),
            );
        }
        eventually("both run", || running.load(Ordering::SeqCst) == 2);
        for _ in 0..10 {
            let running = Arc::clone(&running);
            tasks.push(pool.submit(move || _ = running.fetch_add(1, Ordering::SeqCst)).expect("there is room"));
        }
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { limit: 10, .. })))
        );
        let stats = pool.stats();
        assert_eq!((stats.running, stats.queued, running.load(Ordering::SeqCst)), (2, 10, 2));
        drop(open);
        for task in tasks {
            task.join().expect("runs");
        }
        assert_eq!(running.load(Ordering::SeqCst), 12);
    });
}

#[test]
fn a_typed_one_takes_only_its_type() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(2).task_type("highlight"));
        let refused = pool.install(|| ()).expect_err("it has no type");
        assert!(
            matches!(refused.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::UnknownTaskType { .. })),
            "{refused}"
        );
        assert!(pool.of_type("render").install(|| ()).is_err());
        assert_eq!(pool.of_type("highlight").install(|| 7).expect("runs"), 7);
        assert_eq!(pool.stats().refused, 2);
    });
}

#[test]
fn a_kinds_task_is_installed() {
    struct Highlight;
    impl TaskKind for Highlight {}
    bounded(|| {
        let scope = Scope::new("test");
        let typed = started(&scope, PoolConfig::work_stealing(2).task_type(TaskType::of::<Highlight>()));
        let typed = typed.typed::<Highlight>().expect("it takes this kind");
        let lines = [1, 2, 3];
        assert_eq!(typed.install(Highlight::task(|| lines.par_iter().sum::<i32>())).expect("runs"), 6);
    });
}

#[test]
fn nothing_is_installed_in_another_kind() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        let refused = pool.install(|| ()).expect_err("not started");
        assert!(
            matches!(refused.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::NotStarted { .. })),
            "{refused}"
        );
        for config in [PoolConfig::leased(2), PoolConfig::dedicated(2)] {
            pool.start(config).expect("starts");
            let refused = pool.install(|| ()).expect_err("another kind");
            assert!(
                matches!(refused.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::NotWorkStealing)),
                "{refused}"
            );
            assert!(refused.to_string().contains("work_stealing"), "{refused}");
            let _ = pool.stop().expect("not from within");
        }
    });
}

#[test]
fn a_panic_is_handed_over_and_costs_no_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(2).log_panics(false));
        let direct = pool.install(|| -> u32 { panic!("here") }).expect_err("panics");
        assert_eq!(direct.panic_message(), Some("here"));
        let inner = pool.install(|| (0..100).into_par_iter().for_each(|n| assert_ne!(n, 77, "not this one")));
        assert!(inner.expect_err("panics").panic_message().is_some_and(|text| text.contains("not this one")));
        // A job nobody waits for ends nothing but itself.
        let (ran, runs) = mpsc::channel::<()>();
        pool.install(|| {
            rayon::spawn(move || {
                let _ran = ran;
                panic!("nobody hears this");
            });
        })
        .expect("runs");
        assert!(runs.recv().is_err());
        assert_eq!(pool.install(|| rayon::join(|| 1, || 2)).expect("runs"), (1, 2));
        let report = pool.stop().expect("not from within");
        assert_eq!((report.completed, report.panicked), (2, 2));
    });
}

#[test]
fn a_setting_it_cannot_honour_is_named() {
    bounded(|| {
        static GATE: heirloom::Heirloom<heirloom::Gate> = heirloom::Heirloom::new("gate");
        let scope = Scope::new("test");
        let pool = scope.create("math");
        let n = || PoolConfig::work_stealing(2);
        let wrong = [
            ("n", PoolConfig::work_stealing(0)),
            ("n", PoolConfig::work_stealing(1 << 20)),
            ("stack_size", n().stack_size(1 << 20)),
            ("thread_name_prefix", n().thread_name_prefix("math")),
            ("keep_alive", n().keep_alive(Duration::from_secs(1))),
            ("warm", n().warm(1)),
            ("gate", n().gate(&GATE, heirloom::GateMode::IfPresent)),
            ("on_worker_start", n().on_worker_start(|_| Ok::<(), String>(()))),
        ];
        for (named, config) in wrong {
            match pool.start(config).as_ref().map_err(|it| it.as_start().expect("it did not start").kind()) {
                Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, named),
                other => panic!("{named}: {other:?}"),
            }
        }
        // These say what is so anyway.
        pool.start(n().joining()).expect("starts");
        pool.ensure_started(n()).expect("runs so");
        assert!(pool.ensure_started(n().detached()).is_err());
        assert!(pool.ensure_started(PoolConfig::work_stealing(3)).is_err());
        assert!(pool.stats().to_string().starts_with("work-stealing joining"));
    });
}

#[test]
fn its_threads_are_the_caches_and_go_back() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, PoolConfig::work_stealing(2));
        for _ in 0..50 {
            let name = pool.install(|| std::thread::current().name().map(String::from)).expect("runs");
            assert!(name.is_some_and(|name| name.starts_with("heirloom-")));
        }
        // Idle, though the pool is still there.
        eventually("its threads go back", || pool.is_running() && threads::stats().idle == threads::stats().live);
        assert_eq!(pool.install(rayon::current_num_threads).expect("runs"), 2);
        assert!(pool.stop().expect("not from within").is_complete());
        pool.start(PoolConfig::work_stealing(4)).expect("starts again");
        assert_eq!(pool.install(rayon::current_num_threads).expect("runs"), 4);
    });
}
