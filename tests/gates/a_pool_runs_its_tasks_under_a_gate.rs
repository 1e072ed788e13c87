//! A pool with a gate runs each task inside the nearest one bound where the task stands. A task that finds it held, or
//! required and missing, fails before its body runs.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{CancelOutcome, Gate, GateGuard, GateMode, Heirloom, PoolConfig, PoolManager, Scope, StartErrorKind};

use crate::common::pools::{Busy as BusyTask, Crowd, started};
use crate::common::{BOUND, bounded, busy_gate, eventually};

type Key = Heirloom<Gate>;

/// A scope with a gate, and a pool under it.
fn lab(key: &'static Key, gate: Gate, config: PoolConfig) -> (Scope, PoolManager) {
    let lab = Scope::new("lab");
    key.at(&lab).bind(gate).expect("open");
    let pool = started(&lab, "actions", config);
    (lab, pool)
}

fn short(name: &'static str) -> Gate {
    Gate::new(name).default_wait(Duration::from_millis(2))
}

fn patient(name: &'static str) -> Gate {
    Gate::new(name).default_wait(BOUND)
}

fn go_in(lab: &Scope, key: &'static Key) -> GateGuard<'static> {
    lab.run(|| key.enter(GateMode::Require)).expect("free").expect("required")
}

/// Submits at the scope and waits.
fn run<T: Send + 'static>(
    lab: &Scope,
    pool: &PoolManager,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, heirloom::Error> {
    lab.run(|| pool.submit(f)).expect("accepted").join()
}

#[test]
fn a_task_is_inside_while_its_body_runs_and_out_before_its_result_is_seen() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, short("stage"), PoolConfig::leased(4).gate(&KEY, GateMode::IfPresent));
        let gate = KEY.at(&lab).get().expect("bound");
        for _ in 0..200 {
            let holder = run(&lab, &pool, || {
                let gate = KEY.get().expect("bound");
                // What the body calls is inside already.
                drop(gate.try_enter().expect("the same code"));
                (gate.holder().and_then(|holder| holder.task), heirloom::task_id())
            });
            let (holder, own) = holder.expect("runs");
            assert!(holder.is_some() && holder == own);
            assert!(!gate.is_held());
        }
        assert!(run(&lab, &pool, || panic!("inside")).is_err_and(|error| error.is_panic()));
        assert!(!gate.is_held());
    });
}

#[test]
fn tasks_of_one_pool_run_one_at_a_time_and_none_is_refused() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, patient("stage"), PoolConfig::leased(4).gate(&KEY, GateMode::Require));
        let crowd = Arc::new(Crowd::default());
        let visit = {
            let crowd = Arc::clone(&crowd);
            move |_: u32| crowd.visit()
        };
        lab.run(|| assert!(pool.map(0..100, visit).expect("accepted").all(|ran| ran.is_ok())));
        assert_eq!(crowd.most(), 1);
    });
}

#[test]
fn a_task_that_waits_for_it_keeps_its_place() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, patient("stage"), PoolConfig::leased(2).gate(&KEY, GateMode::Require));
        let inside = go_in(&lab, &KEY);
        let tasks: Vec<_> = (0..50).map(|_| lab.run(|| pool.submit(|| ())).expect("accepted")).collect();
        eventually("two are at the gate", || pool.stats().running == 2);
        let stats = pool.stats();
        assert_eq!((stats.waiting, stats.queued), (0, 48));
        drop(inside);
        tasks.into_iter().for_each(|task| task.join().expect("is let in"));
    });
}

#[test]
fn a_task_that_finds_it_held_fails_and_its_body_never_runs() {
    static KEY: Key = Heirloom::new("stage");
    struct Dropped(mpsc::Sender<Option<String>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(heirloom::current().parent().and_then(|parent| parent.name().map(String::from)));
        }
    }
    bounded(|| {
        let (lab, pool) = lab(&KEY, short("stage"), PoolConfig::leased(1).gate(&KEY, GateMode::IfPresent));
        let inside = go_in(&lab, &KEY);
        let (dropped, is_dropped) = mpsc::channel();
        let closure = Dropped(dropped);
        let task = lab.run(|| {
            pool.submit(move || {
                let _closure = closure;
                panic!("the body ran");
            })
        });
        let task = task.expect("accepted");
        // Without a join, which would tell it at once.
        eventually("it has ended", || task.is_finished());
        let error = task.join().expect_err("this thread is in");
        assert!(
            error.as_busy().is_some()
                && !error.is_panic()
                && !error.is_cancelled()
                && error.kind() != heirloom::ErrorKind::NotBound
        );
        let busy = error.as_busy().expect("busy");
        assert_eq!((busy.gate, busy.holder.thread), ("stage", std::thread::current().id()));
        assert!(busy.waited >= Duration::from_millis(2) && !busy.would_deadlock);
        assert!(error.to_string().contains("did not start: gate \"stage\" is held by"), "{error}");
        assert!(std::error::Error::source(&error).is_some_and(|source| source.is::<heirloom::Busy>()));
        // Its closure was dropped before, where the task stood.
        assert_eq!(is_dropped.try_recv(), Ok(Some("lab".to_string())));
        drop(inside);
        assert_eq!(run(&lab, &pool, || 7).expect("it is free"), 7);
    });
}

#[test]
fn it_counts_as_a_task_that_ended_before_it_started() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, short("stage"), PoolConfig::leased(1).gate(&KEY, GateMode::IfPresent));
        let inside = go_in(&lab, &KEY);
        assert!(run(&lab, &pool, || ()).is_err());
        assert!(lab.run(|| pool.run(|| ())).is_err_and(|error| error.as_busy().is_some()));
        lab.run(|| {
            pool.scope(|s| {
                assert!(s.submit(|| ()).expect("accepted").join().is_err_and(|error| error.as_busy().is_some()))
            })
        });
        drop(inside);
        run(&lab, &pool, || ()).expect("it is free");
        pool.wait_idle().expect("not an own task");
        let stats = pool.stats();
        assert_eq!((stats.running, stats.queued, stats.waiting), (0, 0, 0), "{stats:?}");
        assert_eq!((stats.cancelled, stats.completed, stats.panicked), (3, 1, 0), "{stats:?}");
        let report = pool.stop().expect("not an own task");
        assert!(report.is_complete() && report.cancelled == 3, "{report:?}");
    });
}

#[test]
fn a_task_without_a_bound_gate_runs_unless_one_is_required() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let lax = started(&scope, "lax", PoolConfig::leased(1).gate(&KEY, GateMode::IfPresent));
        let strict = started(&scope, "strict", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        assert_eq!(run(&scope, &lax, || 7).expect("runs without"), 7);
        let error = run(&scope, &strict, || 7).expect_err("none is bound");
        assert!(error.kind() == heirloom::ErrorKind::NotBound && error.kind() != heirloom::ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("its pool requires a gate: no value of \"stage\" is bound at"), "{error}");
        assert_eq!(strict.stats().cancelled, 1);
        KEY.at(&scope).bind(short("stage")).expect("open");
        assert_eq!(run(&scope, &strict, || 7).expect("one is bound"), 7);
    });
}

#[test]
fn the_gate_is_that_of_the_tasks_place_not_of_the_pools() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, short("of the lab"), PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        let bench = Scope::new_in(&lab, "bench");
        KEY.at(&bench).bind(short("of the bench")).expect("open");
        let inside = go_in(&lab, &KEY);
        assert!(run(&lab, &pool, || ()).is_err_and(|error| error.as_busy().is_some()));
        assert!(run(&bench, &pool, || ()).is_ok(), "another gate");
        drop(inside);
    });
}

#[test]
fn opted_out_tasks_run_while_another_is_in_until_they_enter_themselves() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, actions) = lab(&KEY, short("stage"), PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        let reads = started(&lab, "reads", PoolConfig::leased(1).gate(&KEY, GateMode::Skip));
        let (leave, told) = mpsc::channel::<()>();
        let (entered, is_in) = mpsc::channel();
        let action = move || {
            entered.send(()).expect("the test listens");
            let _ = told.recv();
        };
        let action = lab.run(|| actions.submit(action)).expect("accepted");
        is_in.recv().expect("it goes in");
        for _ in 0..3 {
            assert_eq!(run(&lab, &reads, || 7).expect("runs"), 7);
            let busy = run(&lab, &reads, || KEY.enter(GateMode::IfPresent).map(drop)).expect("runs");
            let busy = busy.expect_err("the action is in");
            assert_eq!(busy_gate(&busy).holder.task, Some(action.id()));
        }
        leave.send(()).expect("it listens");
        action.join().expect("runs");
    });
}

#[test]
fn a_task_that_another_one_of_the_gate_waits_for_is_told_at_once() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, patient("stage"), PoolConfig::leased(2).gate(&KEY, GateMode::Require));
        let other = started(&lab, "others", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        let [own, inner] = [pool.clone(), other]
            .map(|inner| move || inner.submit(|| ()).expect("accepted").join().expect_err("its submitter is in"));
        for error in [run(&lab, &pool, own), run(&lab, &pool, inner)] {
            let error = error.expect("runs");
            let busy = error.as_busy().expect("busy");
            assert!(busy.would_deadlock && busy.waited < BOUND / 2, "{busy:?}");
        }
    });
}

#[test]
fn a_task_cancelled_while_it_waits_never_starts() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, patient("stage"), PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        let inside = go_in(&lab, &KEY);
        let task = lab.run(|| pool.submit(|| panic!("the body ran"))).expect("accepted");
        eventually("it is at the gate", || pool.stats().running == 1);
        assert_eq!(task.cancel(), CancelOutcome::Requested);
        drop(inside);
        assert!(task.join().expect_err("cancelled").is_cancelled());
        assert_eq!((pool.stats().cancelled, pool.stats().panicked), (1, 0));
    });
}

#[test]
fn the_setting_is_compared_by_key_and_mode() {
    static ONE: Key = Heirloom::new("stage");
    static OTHER: Key = Heirloom::new("stage");
    let config = |key, mode| PoolConfig::leased(1).gate(key, mode);
    assert_eq!(config(&ONE, GateMode::Skip), config(&ONE, GateMode::Skip));
    assert_ne!(config(&ONE, GateMode::Skip), config(&OTHER, GateMode::Skip));
    let scope = Scope::new("test");
    let pool = started(&scope, "work", config(&ONE, GateMode::IfPresent));
    pool.ensure_started(config(&ONE, GateMode::IfPresent)).expect("the same");
    let error = pool.ensure_started(config(&ONE, GateMode::Require)).expect_err("another mode");
    assert!(
        matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ConfigMismatch { setting: "gate", .. })),
        "{error}"
    );
}

#[test]
fn a_dedicated_pool_has_it_too() {
    static KEY: Key = Heirloom::new("stage");
    bounded(|| {
        let (lab, pool) = lab(&KEY, short("stage"), PoolConfig::dedicated(2).gate(&KEY, GateMode::Require));
        assert_eq!(run(&lab, &pool, || 7).expect("runs"), 7);
        let inside = go_in(&lab, &KEY);
        assert!(run(&lab, &pool, || 7).is_err_and(|error| error.as_busy().is_some()));
        drop(inside);
        let busy = lab.run(|| BusyTask::on(&pool));
        assert!(
            run(&lab, &pool, || 7)
                .is_err_and(|error| error.as_busy().is_some_and(|b| b.holder.task == Some(busy.task.id())))
        );
        busy.end();
    });
}
