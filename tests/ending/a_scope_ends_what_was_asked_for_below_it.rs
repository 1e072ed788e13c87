//! A `Scope` counts every task asked for below it, in any pool; its verbs end the managers it owns and those tasks;
//! dropping it cancels. Nested scopes count for all above them.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{FutureExt, PoolConfig, PoolManager, Scope, StartErrorKind, StopError, SubmitErrorKind, TaskHandle};

use crate::common::{BOUND, bounded, eventually};

/// A service's shared pool, and a request's scope below the same service.
fn service() -> (Scope, PoolManager, Scope) {
    let service = Scope::new("service");
    let shared = service.create("shared");
    shared.start(PoolConfig::leased(1)).expect("starts");
    let request = Scope::new_in(&service, "request");
    (service, shared, request)
}

/// Takes the only place until the sender is dropped.
fn occupy(pool: &PoolManager, at: &Scope) -> (TaskHandle<i32>, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (started, runs) = mpsc::channel();
    let task = at.run(|| {
        pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
            7
        })
    });
    runs.recv().expect("runs");
    (task.expect("accepted"), go)
}

#[test]
fn it_counts_tasks_in_any_pool() {
    bounded(|| {
        let (service, shared, request) = service();
        let (task, go) = occupy(&shared, &request);
        let other = service.run(|| shared.submit(|| ())).expect("accepted");
        assert_eq!((request.pending(), service.pending()), (1, 2));
        drop(go);
        task.join().expect("ends");
        other.join().expect("ends");
        eventually("nothing is counted", || (request.pending(), service.pending()) == (0, 0));
    });
}

#[test]
fn close_refuses_what_comes_from_below_and_runs_what_was_accepted() {
    bounded(|| {
        let (service, shared, request) = service();
        let own = request.create("own");
        own.start(PoolConfig::leased(1)).expect("starts");
        let (first, go) = occupy(&shared, &request);
        let queued = request.run(|| shared.submit(|| 1)).expect("accepted");
        request.close();
        request.close();
        assert!(request.is_closed());
        let refused = request.run(|| shared.submit(|| ()));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })))
        );
        assert!(
            matches!(own.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. }))),
            "its own manager is closed"
        );
        assert!(own.start(PoolConfig::leased(1)).is_err());
        let late = request.create("late").start(PoolConfig::leased(1));
        assert!(
            matches!(late, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. })))
        );
        assert!(service.run(|| shared.submit(|| ())).is_ok(), "from outside of it nothing has changed");
        drop(go);
        assert_eq!(first.join().expect("ends"), 7);
        assert_eq!(queued.join().expect("it was accepted"), 1);
    });
}

#[test]
fn stop_waits_for_tasks_in_pools_elsewhere() {
    bounded(|| {
        let (service, shared, request) = service();
        let (_first, go) = occupy(&shared, &request);
        let queued = request.run(|| shared.submit(|| 1)).expect("accepted");
        let report = request.stop_timeout(Duration::from_millis(30)).expect("not from an own task");
        assert_eq!((report.remaining, report.is_complete()), (2, false), "{report}");
        drop(go);
        let report = request.stop().expect("not from an own task");
        assert!(report.is_complete(), "{report}");
        assert!(queued.is_finished());
        assert!(shared.is_running(), "the pool elsewhere goes on");
        assert!(service.run(|| shared.submit(|| ())).is_ok());
    });
}

#[test]
fn a_report_counts_what_runs_below_it_in_pools_elsewhere() {
    bounded(|| {
        let (_service, shared, request) = service();
        let (_first, go) = occupy(&shared, &request);
        let report = request.stop_timeout(Duration::ZERO).expect("not from an own task");
        drop(go);
        assert_eq!(report.remaining, 1, "{report}");
        assert!(!report.is_complete());
    });
}

#[test]
fn stop_does_not_wait_for_the_tasks_of_others() {
    bounded(|| {
        let (service, shared, request) = service();
        let (others, go) = occupy(&shared, &service);
        assert!(request.stop().expect("not from an own task").is_complete());
        drop(go);
        others.join().expect("ends");
    });
}

#[test]
fn an_async_stop_waits_too() {
    bounded(|| {
        let (_service, shared, request) = service();
        let (task, go) = occupy(&shared, &request);
        let mut stops = Box::pin(request.stop_async());
        assert!(stops.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
        drop(go);
        assert!(futures::executor::block_on(stops).expect("not from an own task").is_complete());
        assert!(task.is_finished());
    });
}

#[test]
fn cancel_ends_what_has_not_started_in_any_pool() {
    bounded(|| {
        let (service, shared, request) = service();
        let own = request.create("own");
        own.start(PoolConfig::leased(1)).expect("starts");
        let (first, go) = occupy(&shared, &service);
        let (second, go_own) = occupy(&own, &request);
        let in_shared = request.run(|| shared.submit(|| ())).expect("accepted");
        let in_own = request.run(|| own.submit(|| ())).expect("accepted");
        let others = service.run(|| shared.submit(|| 3)).expect("accepted");
        request.cancel();
        request.cancel();
        assert!(in_own.join().expect_err("never started").is_cancelled(), "at once, in a pool it owns");
        drop((go, go_own));
        assert!(in_shared.join().expect_err("never started").is_cancelled());
        assert_eq!(first.join().expect("ends"), 7);
        assert_eq!(second.join().expect("what runs goes on"), 7);
        assert_eq!(others.join().expect("not below it"), 3);
    });
}

#[test]
fn dropping_it_cancels() {
    bounded(|| {
        let (service, shared, request) = service();
        let (first, go) = occupy(&shared, &service);
        let queued = request.run(|| shared.submit(|| ())).expect("accepted");
        drop(request);
        drop(go);
        assert!(queued.join().expect_err("never started").is_cancelled());
        first.join().expect("ends");
    });
}

#[test]
fn finishing_it_lets_what_was_accepted_run() {
    bounded(|| {
        let (service, shared, request) = service();
        let (first, go) = occupy(&shared, &service);
        let queued = request.run(|| shared.submit(|| 1)).expect("accepted");
        request.finish();
        drop(go);
        first.join().expect("ends");
        assert_eq!(queued.join().expect("it was accepted"), 1);
    });
}

#[test]
fn nested_scopes_count_for_all_above_them() {
    bounded(|| {
        let (service, shared, request) = service();
        let part = Scope::new_in(&request, "part");
        let (task, go) = occupy(&shared, &part);
        assert_eq!((part.pending(), request.pending(), service.pending()), (1, 1, 1));
        assert!(!request.stop_timeout(Duration::from_millis(10)).expect("outside").is_complete());
        let refused = part.run(|| shared.submit(|| ()));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. }))),
            "an ended scope ends those below"
        );
        assert_eq!((part.pending(), request.pending(), service.pending()), (1, 1, 1), "a refusal counts nothing");
        drop(go);
        task.join().expect("ends");
        assert!(request.stop().expect("outside").is_complete());
        assert!(!service.is_closed());
    });
}

#[test]
fn cancelling_an_outer_scope_reaches_the_inner_ones_tasks() {
    bounded(|| {
        let (service, shared, request) = service();
        let part = Scope::new_in(&request, "part");
        let (first, go) = occupy(&shared, &service);
        let queued = part.run(|| shared.submit(|| ())).expect("accepted");
        request.cancel();
        drop(go);
        assert!(queued.join().expect_err("never started").is_cancelled());
        first.join().expect("ends");
    });
}

#[test]
fn tasks_of_tasks_are_counted_too() {
    bounded(|| {
        let (service, shared, request) = service();
        let own = request.create("own");
        own.start(PoolConfig::leased(1)).expect("starts");
        let (blocker, go) = occupy(&shared, &service);
        let elsewhere = shared.clone();
        let nested = request.run(|| own.submit(move || elsewhere.submit(|| 5).expect("accepted")));
        let nested = nested.expect("accepted").join().expect("ends");
        eventually("only the nested one is left", || request.pending() == 1);
        drop(go);
        assert!(request.stop().expect("outside").is_complete());
        assert_eq!(nested.join().expect("ends"), 5);
        blocker.join().expect("ends");
    });
}

#[test]
fn a_detached_pools_tasks_are_not_below_the_submitters_scope() {
    bounded(|| {
        let service = Scope::new("service");
        let detached = service.create("detached");
        detached.start(PoolConfig::leased(1).detached()).expect("starts");
        let request = Scope::new_in(&service, "request");
        let (task, go) = occupy(&detached, &request);
        assert_eq!((request.pending(), service.pending()), (0, 1));
        assert!(request.stop().expect("outside").is_complete());
        drop(go);
        task.join().expect("ends");
    });
}

#[test]
fn run_stops_it_and_hands_the_value_on() {
    bounded(|| {
        let service = Scope::new("service");
        let shared = service.create("shared");
        shared.start(PoolConfig::leased(1)).expect("starts");
        let (said, heard) = mpsc::channel();
        let value = Scope::run("request", |_| {
            drop(shared.submit(move || {
                std::thread::yield_now();
                let _ = said.send(());
            }));
            7
        });
        assert_eq!((value, heard.try_recv()), (7, Ok(())), "the task has ended");
    });
}

#[test]
fn run_cancels_it_when_it_panics() {
    bounded(|| {
        let service = Scope::new("service");
        let shared = service.create("shared");
        shared.start(PoolConfig::leased(1)).expect("starts");
        let (first, go) = occupy(&shared, &service);
        let (tell, told) = mpsc::channel();
        let pool = shared.clone();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            Scope::run("request", |_| {
                tell.send(pool.submit(|| ()).expect("accepted")).expect("somebody listens");
                panic!("the request");
            })
        }));
        assert!(caught.is_err());
        drop(go);
        assert!(told.recv().expect("it was submitted").join().expect_err("never started").is_cancelled());
        first.join().expect("ends");
    });
}

#[test]
fn a_future_in_it_that_finishes_closes_it() {
    bounded(|| {
        let (service, shared, request) = service();
        let (first, go) = occupy(&shared, &service);
        let pool = shared.clone();
        let queued = futures::executor::block_on(async move { pool.submit(|| 1) }.in_scope(request));
        drop(go);
        assert_eq!(queued.expect("accepted").join().expect("not cancelled"), 1);
        first.join().expect("ends");
    });
}

#[test]
fn a_future_in_it_that_is_dropped_early_cancels_it() {
    bounded(|| {
        let (service, shared, request) = service();
        let (first, go) = occupy(&shared, &service);
        let (tell, told) = mpsc::channel();
        let pool = shared.clone();
        let future = async move {
            tell.send(pool.submit(|| ()).expect("accepted")).expect("somebody listens");
            std::future::pending::<()>().await;
        };
        let mut future = Box::pin(future.in_scope(request));
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
        drop(future);
        drop(go);
        assert!(told.recv().expect("it was submitted").join().expect_err("never started").is_cancelled());
        first.join().expect("ends");
    });
}

#[test]
fn a_stop_from_a_task_below_it_is_refused_in_whatever_pool() {
    bounded(|| {
        let service = Scope::new("service");
        let shared = service.create("shared");
        shared.start(PoolConfig::leased(1)).expect("starts");
        let request = std::sync::Arc::new(Scope::new_in(&service, "request"));
        let same = std::sync::Arc::clone(&request);
        let answer = request.run(|| {
            shared.submit(move || (same.stop().map(drop), futures::executor::block_on(same.stop_async()).map(drop)))
        });
        let (blocking, waiting) = answer.expect("accepted").join().expect("ends");
        assert!(matches!(blocking, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
        assert!(matches!(waiting, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
        assert!(!request.is_closed(), "nothing was changed");
        let elsewhere = std::sync::Arc::clone(&request);
        let from_outside = service.run(|| shared.submit(move || elsewhere.stop_timeout(BOUND).is_ok()));
        assert!(from_outside.expect("accepted").join().expect("ends"), "a task that is not below it may");
    });
}

#[test]
fn submits_that_race_its_end_are_refused_or_counted() {
    bounded(|| {
        let service = Scope::new("service");
        let shared = service.create("shared");
        shared.start(PoolConfig::leased(2)).expect("starts");
        for _ in 0..300 {
            let request = Scope::new_in(&service, "request");
            let submitters: Vec<_> = (0..2)
                .map(|_| {
                    let (at, pool) = (request.lineage().clone(), shared.clone());
                    std::thread::spawn(move || {
                        let mut accepted = Vec::new();
                        while let Ok(task) = at.run(|| pool.submit(|| ())) {
                            accepted.push(task);
                        }
                        accepted
                    })
                })
                .collect();
            assert!(request.stop().expect("outside").is_complete());
            for submitter in submitters {
                let accepted = submitter.join().expect("is refused in the end");
                assert!(accepted.iter().all(TaskHandle::is_finished), "what was accepted had ended at the stop");
            }
        }
    });
}
