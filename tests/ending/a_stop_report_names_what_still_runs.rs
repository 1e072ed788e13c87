//! A `StopReport` counts how tasks ended, and names each that still runs: its id, its type, whose it is, its age.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{NodeKind, PoolConfig, Registry, Scope, TaskType};

use crate::common::pools::Busy;
use crate::common::{self, bounded};

#[test]
fn a_report_names_id_type_and_age_the_oldest_first() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(3)).expect("starts");
        let mut gates = Vec::new();
        let mut ids = Vec::new();
        for task_type in ["first", "second"] {
            let (go, gate) = mpsc::channel::<()>();
            let (started, runs) = mpsc::channel();
            let task = pool.submit_as(task_type, move || {
                let _ = started.send(());
                let _ = gate.recv();
            });
            runs.recv().expect("runs");
            ids.push(task.expect("accepted").id());
            gates.push(go);
            // Age is the subject: the second is younger.
            std::thread::sleep(Duration::from_millis(20));
        }
        let report = pool.stop_timeout(Duration::ZERO).expect("not from an own task");
        assert_eq!(report.remaining, 2, "{report}");
        let named: Vec<_> = report.still_running.iter().map(|task| (task.id, task.task_type.clone())).collect();
        assert_eq!(named, [(ids[0], Some(TaskType::from("first"))), (ids[1], Some(TaskType::from("second")))]);
        assert!(report.still_running[0].age >= Duration::from_millis(40));
        assert!(report.still_running[0].age > report.still_running[1].age);
        let text = report.to_string();
        assert!(text.contains("first") && text.contains(&ids[1].to_string()), "{text}");
        drop(gates);
    });
}

#[test]
fn a_report_of_a_typed_pool_names_its_type() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::dedicated(1).task_type("only")).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, runs) = mpsc::channel();
        drop(pool.submit_as("only", move || {
            let _ = started.send(());
            let _ = gate.recv();
        }));
        runs.recv().expect("runs");
        let report = pool.stop_timeout(Duration::ZERO).expect("not from an own task");
        drop(go);
        assert_eq!(report.still_running[0].task_type, Some(TaskType::from("only")));
    });
}

#[test]
fn a_task_that_runs_in_place_within_another_is_named_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, runs) = mpsc::channel();
        let this = pool.clone();
        let outer = pool.submit_as("outer", move || {
            let inner = this.submit_as("inner", move || {
                let _ = started.send(());
                let _ = gate.recv();
            });
            inner.expect("accepted").join().expect("ends");
        });
        runs.recv().expect("runs");
        let report = pool.stop_timeout(Duration::ZERO).expect("not from an own task");
        drop(go);
        let mut types: Vec<_> = report.still_running.iter().filter_map(|task| task.task_type.clone()).collect();
        types.sort_by_key(ToString::to_string);
        assert_eq!(types, [TaskType::from("inner"), TaskType::from("outer")], "{report}");
        outer.expect("accepted").join().expect("ends");
    });
}

#[test]
fn what_has_ended_does_not_remain_however_long_its_thread_goes_on() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let pool = scope.create("work");
            pool.start(config).expect("starts");
            let (go, gate) = mpsc::channel::<()>();
            let short: Vec<_> = (0..5).map(|n| pool.submit(move || n).expect("accepted")).collect();
            let (started, runs) = mpsc::channel();
            let long = pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            });
            runs.recv().expect("runs");
            assert!(short.iter().all(heirloom::TaskHandle::is_finished));
            let report = pool.stop_timeout(Duration::ZERO).expect("not from an own task");
            drop(go);
            assert_eq!((report.completed, report.remaining), (5, 1), "{report}");
            long.expect("accepted").join().expect("ends");
        }
    });
}

#[test]
fn how_tasks_ended_is_counted() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1).log_panics(false)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, runs) = mpsc::channel();
        drop(pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        }));
        runs.recv().expect("runs");
        drop(pool.submit(|| std::panic::resume_unwind(Box::new("quietly"))).map(|task: heirloom::TaskHandle<()>| task));
        for _ in 0..2 {
            pool.submit(|| ()).expect("accepted").cancel();
        }
        drop(pool.submit(|| ()));
        drop(go);
        let report = pool.stop().expect("not from an own task");
        assert_eq!((report.completed, report.panicked, report.cancelled, report.remaining), (2, 1, 2, 0), "{report}");
        assert!(report.is_complete() && report.still_running.is_empty());
    });
}

#[test]
fn a_registrys_shutdown_closes_all_waits_in_time_and_names_them() {
    bounded(|| {
        let registry = Registry::new();
        let root = registry.root();
        let (busy, idle, daemon) = (root.create("busy"), root.create("idle"), root.create("daemon"));
        busy.start(PoolConfig::leased(1)).expect("starts");
        idle.start(PoolConfig::dedicated(1)).expect("starts");
        daemon.start(PoolConfig::leased(1).daemon()).expect("starts");
        let never_started = root.create("never started");
        let mut gates = Vec::new();
        for pool in [&busy, &daemon] {
            let (go, gate) = mpsc::channel::<()>();
            let (started, runs) = mpsc::channel();
            drop(pool.submit_as("long", move || {
                let _ = started.send(());
                let _ = gate.recv();
            }));
            runs.recv().expect("runs");
            gates.push(go);
        }
        let queued = daemon.submit(|| ()).expect("accepted");
        let report = registry.shutdown_timeout(Duration::from_millis(40));
        assert!(!report.is_complete(), "{report}");
        let of = |name: &str| {
            let pool = report.pools.iter().find(|pool| pool.namespace.to_string() == name);
            &pool.expect("every pool that was started is in it").report
        };
        assert_eq!((of("busy").remaining, of("idle").remaining, of("daemon").remaining), (1, 0, 1), "{report}");
        assert_eq!(of("busy").still_running[0].task_type, Some(TaskType::from("long")));
        assert_eq!(report.pools.len(), 3, "{report}");
        assert!(report.to_string().contains("busy"), "{report}");
        assert!(queued.join().expect_err("never started").is_cancelled());
        for pool in [&busy, &idle, &daemon, &never_started] {
            assert!(pool.submit(|| ()).is_err(), "{pool:?}");
        }
        drop(gates);
        let report = registry.shutdown_timeout(common::BOUND);
        assert_eq!(report.pools.iter().filter(|pool| pool.namespace.to_string() != "daemon").count(), 2);
        assert!(report.pools.iter().all(|pool| pool.namespace.to_string() == "daemon" || pool.report.is_complete()));
    });
}

#[test]
fn a_registrys_shutdown_names_the_owners() {
    bounded(|| {
        let registry = Registry::new();
        registry.root().create("io").start(PoolConfig::leased(1)).expect("starts");
        let request = Scope::new_in(&registry.root(), "request 7");
        request.create("render").start(PoolConfig::leased(1)).expect("starts");
        let report = registry.shutdown_timeout(common::BOUND);
        let owners: Vec<_> =
            report.pools.iter().map(|pool| (pool.owner_kind.expect("is there"), pool.owner_name.as_deref())).collect();
        assert_eq!(owners, [(NodeKind::Process, None), (NodeKind::Scope, Some("request 7"))]);
        let text = report.to_string();
        assert!(text.contains("\"io\" of the process, joining"), "{text}");
        let owner = request.id();
        assert!(text.contains(&format!("\"render\" of scope \"request 7\" (node {owner}), joining")), "{text}");
    });
}

#[test]
fn a_registrys_shutdown_from_a_task_does_not_wait_for_itself() {
    bounded(|| {
        let registry = Registry::new();
        let pool = registry.root().create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let task = pool.submit(move || registry.shutdown_timeout(Duration::from_secs(600)).is_complete());
        assert!(!task.expect("accepted").join().expect("ends"), "the calling task itself is not over");
    });
}

#[test]
fn a_registrys_shutdown_waits_for_a_pool_that_a_task_starts_meanwhile() {
    let ways: [fn(&Registry) -> heirloom::ShutdownReport; 2] = [
        |registry| registry.shutdown_timeout(common::BOUND),
        |registry| futures::executor::block_on(registry.shutdown_timeout_async(common::BOUND)),
    ];
    for shutdown in ways {
        bounded(move || {
            let registry = Registry::new();
            let root = registry.root();
            let pool = root.create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let early = pool.clone();
            let starter = pool.submit(move || {
                while early.is_running() {
                    std::thread::yield_now();
                }
                let late = root.create("late");
                late.start(PoolConfig::leased(1)).expect("starts");
                late.submit(|| std::thread::sleep(Duration::from_millis(50))).expect("accepted")
            });
            let report = shutdown(&registry);
            assert_eq!(report.pools.len(), 2, "{report}");
            assert!(report.is_complete(), "{report}");
            assert!(starter.expect("accepted").join().expect("ends").is_finished());
        });
    }
}

#[test]
fn a_registrys_shutdown_waits_for_pools_whose_owner_has_ended() {
    bounded(|| {
        let registry = Registry::new();
        let request = Scope::new_in(&registry.root(), "request 7");
        let (go, gate) = mpsc::channel::<()>();
        let (started, runs) = mpsc::channel();
        let task = request.run(|| {
            let pool = heirloom::create("render");
            pool.start(PoolConfig::leased(1)).expect("starts");
            pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            })
        });
        runs.recv().expect("runs");
        drop(request);
        let report = registry.shutdown_timeout(Duration::ZERO);
        assert_eq!((report.pools.len(), report.is_complete()), (1, false), "{report}");
        drop(go);
        assert!(registry.shutdown_timeout(common::BOUND).is_complete());
        assert!(task.expect("accepted").is_finished());
    });
}

#[test]
fn a_report_says_whose_each_task_is_that_still_runs() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("work");
        pool.start(PoolConfig::leased(3)).expect("starts");
        let (started, runs) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
        let blocks = || {
            let (started, gate) = (started.clone(), std::sync::Arc::clone(&gate));
            move || {
                let _ = started.send(());
                let _ = gate.lock().map(|gate| gate.recv());
            }
        };
        let request = Scope::new_in(&root, "GET /t/acme/export");
        let (own, asks) = (pool.clone(), blocks());
        let of_request = request.run(|| pool.submit(move || own.submit_as("inner", asks).expect("accepted").id()));
        let inner = of_request.expect("accepted").join().expect("ends");
        let of_nobody = root.run(|| pool.submit(blocks())).expect("accepted");
        (0..2).for_each(|_| runs.recv().expect("runs"));

        let report = family.shutdown_timeout(Duration::ZERO);
        let place = |id| {
            let running = &report.pools[0].report.still_running;
            running.iter().find(|task| task.id == id).expect("it runs").place.clone()
        };
        assert_eq!((place(inner), place(of_nobody.id())), (Some(request.to_string()), None));
        let text = report.to_string();
        assert!(text.contains(&format!("task {inner} (inner) below {request}, for ")), "{text}");
        assert!(text.contains(&format!("task {}, for ", of_nobody.id())), "{text}");

        // The scope may have been dropped: its node lives as long as the task.
        let name = request.to_string();
        drop(request);
        let report = family.shutdown_timeout(Duration::ZERO);
        assert!(report.to_string().contains(&name), "{report}");
        drop(go);
        assert!(family.shutdown_timeout(common::BOUND).is_complete());
    });
}

#[test]
fn the_head_of_a_shutdowns_report_counts_what_is_left_and_begins_with_it() {
    bounded(|| {
        let family = Registry::new();
        let pool = |name: &'static str, config: PoolConfig| {
            let pool = family.root().create(name);
            pool.start(config).expect("starts");
            pool
        };
        let (_idle, daemon) = (pool("a", PoolConfig::leased(1)), pool("b", PoolConfig::leased(1).daemon()));
        let work = pool("c", PoolConfig::leased(1));
        let blockers = [Busy::on(&daemon), Busy::on(&work)];
        let queued = work.submit(|| ()).expect("accepted");
        let names = |report: &heirloom::ShutdownReport| {
            let text = report.to_string();
            let named = |line: &str| line.strip_prefix("  \"").and_then(|line| line.chars().next());
            (text.lines().next().map(String::from), text.lines().filter_map(named).collect::<String>())
        };
        let report = family.shutdown_timeout(Duration::ZERO);
        assert_eq!(
            names(&report),
            (Some("shutdown not complete: 2 tasks remain in 1 of 3 pools".into()), "cab".into())
        );
        assert_eq!(report.pools[0].namespace, "a".into(), "the list itself stays in the order of names");
        queued.cancel();
        let report = family.shutdown_timeout(Duration::ZERO);
        assert_eq!(names(&report).0.as_deref(), Some("shutdown not complete: 1 task remains in 1 of 3 pools"));
        blockers.into_iter().for_each(Busy::end);
        let report = family.shutdown_timeout(common::BOUND);
        assert_eq!(names(&report), (Some("shutdown complete: 3 pools".into()), "abc".into()));
    });
}

#[test]
fn a_task_has_the_last_name_that_it_gave_itself() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(2)).expect("it starts");
        let (begins, begun) = mpsc::channel();
        let named = |name: &'static str| {
            let begins = begins.clone();
            let task = pool.submit(move || {
                heirloom::name_task("first");
                heirloom::name_task(name.to_owned());
                begins.send(()).expect("the test listens");
                heirloom::sleep(Duration::from_secs(3600))
            });
            let task = task.expect("accepted");
            begun.recv().expect("it runs");
            task
        };
        let tasks = [named("page \"/index\""), named("page /about")];
        let report = pool.stop_timeout(Duration::ZERO).expect("it is no task");
        let mut names: Vec<_> = report.still_running.iter().filter_map(|task| task.name.as_deref()).collect();
        names.sort_unstable();
        assert_eq!(names, ["page \"/index\"", "page /about"]);
        assert!(report.to_string().contains(r#""page \"/index\"""#), "{report}");
        for task in tasks {
            task.cancel();
            assert!(task.join().expect("it ran").is_err());
        }
        heirloom::name_task("no task"); // names nothing
    });
}

#[test]
fn the_next_task_of_a_thread_does_not_inherit_a_name() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("it starts");
        pool.submit(|| heirloom::name_task("the task before")).expect("accepted").join().expect("it runs");
        let (begins, begun) = mpsc::channel();
        let next =
            pool.submit(move || (begins.send(()), heirloom::sleep(Duration::from_secs(3600)))).expect("accepted");
        begun.recv().expect("it runs");
        let report = pool.stop_timeout(Duration::ZERO).expect("it is no task");
        assert_eq!(report.still_running[0].name, None);
        next.cancel();
    });
}
