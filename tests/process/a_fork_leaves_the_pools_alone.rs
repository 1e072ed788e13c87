//! A forked child has none of the pools' threads: its exit does nothing, at once; its inherited pools refuse; ends do
//! not wait for what cannot happen there. The parent is not affected.
//!
//! Each check is a child process that plays a part, and forks.

use std::sync::mpsc;

use heirloom::{PoolConfig, PoolManager, StartErrorKind, SubmitErrorKind};

use crate::check::Check;
use crate::forks::forked;

/// A pool of one with a task that runs and one that is queued, until the sender is dropped.
fn busy(config: PoolConfig) -> (PoolManager, mpsc::Sender<()>) {
    let pool = heirloom::create("work");
    pool.start(config).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    drop(pool.submit(move || {
        let _ = started.send(());
        let _ = gate.recv();
        println!("task");
    }));
    drop(pool.submit(|| println!("task")));
    running.recv().expect("runs");
    (pool, go)
}

/// The parent's pool still works.
fn goes_on(pool: &PoolManager, go: mpsc::Sender<()>) {
    drop(go);
    println!("{}", pool.submit(|| "works").expect("accepted").join().expect("ends"));
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "the_childs_exit_does_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            println!("{:?}", forked(|| 4));
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(4)", 1).says("task", 2).says("works", 1);
        },
    },
    Check {
        name: "the_childs_process_exit_does_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::dedicated(1));
            println!("{:?}", forked(|| std::process::exit(5)));
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(5)", 1).says("task", 2).says("works", 1);
        },
    },
    Check {
        name: "the_childs_copy_of_the_guard_does_nothing",
        play: || {
            let exit = heirloom::exit_guard();
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            let exit = std::cell::Cell::new(Some(exit));
            let child = forked(|| {
                drop(exit.take());
                4
            });
            println!("{child:?}");
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(4)", 1).says("task", 2).says("works", 1);
        },
    },
    Check {
        name: "the_child_is_refused",
        play: || {
            use heirloom::{PoolConfig, SubmitError};
            let (pool, go) = busy(PoolConfig::leased(1));
            let idle = heirloom::create("idle");
            let child = forked(|| {
                let submit = matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Forked)));
                let back =
                    pool.try_submit(|| 7).is_err_and(|refused| !refused.is_temporary() && refused.into_task()() == 7);
                let start = matches!(idle.start(PoolConfig::leased(1)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Forked)));
                let run = pool.run(|| ()).is_err_and(|error| {
                    matches!(error.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::Forked))
                });
                i32::from(submit) + 2 * i32::from(back) + 4 * i32::from(start) + 8 * i32::from(run)
            });
            println!("{child:?}");
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(15)", 1).says("works", 1);
        },
    },
    Check {
        name: "the_child_may_look_at_the_pools",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            let child = forked(|| i32::from(pool.is_running()) + 2 * i32::from(heirloom::get("work").is_ok()));
            println!("{child:?}");
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(3)", 1).says("works", 1);
        },
    },
    Check {
        name: "a_task_that_forks_and_waits_in_the_child_runs_nothing_there",
        play: || {
            let pool = heirloom::create("work");
            pool.start(heirloom::PoolConfig::leased(1)).expect("starts");
            let (at, parent) = (pool.clone(), std::process::id());
            let forks = pool.submit(move || {
                let next = move || println!("{}", if std::process::id() == parent { "parent" } else { "child" });
                let queued = at.submit(next).expect("accepted");
                let code = forked(|| {
                    let slept = heirloom::sleep(std::time::Duration::from_millis(200));
                    i32::from(slept.is_ok()) + 2 * heirloom::blocking(|| 1)
                });
                (code, queued)
            });
            let (code, queued) = forks.expect("accepted").join().expect("runs");
            queued.join().expect("runs");
            println!("{code:?}");
        },
        expect: |seen| {
            seen.code(0).says("Some(3)", 1).says("parent", 1).says("child", 0);
        },
    },
    Check {
        name: "a_task_that_forks_and_joins_in_the_child_is_refused_and_runs_nothing_there",
        play: || {
            let pool = heirloom::create("work");
            pool.start(heirloom::PoolConfig::leased(1)).expect("starts");
            let (at, parent) = (pool.clone(), std::process::id());
            let forks = pool.submit(move || {
                let next = move || println!("{}", if std::process::id() == parent { "parent" } else { "child" });
                let queued = [at.submit(next), at.submit(next), at.submit(next)].map(Result::unwrap);
                let mut queued = Some(queued);
                let code = forked(|| {
                    let [joined, passed_on, awaited] = queued.take().expect("taken once, here");
                    let joined = joined.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::Forked);
                    let passed_on =
                        passed_on.join_cancelling().is_err_and(|error| error.kind() == heirloom::ErrorKind::Forked);
                    let awaited = futures::executor::block_on(awaited)
                        .is_err_and(|error| error.kind() == heirloom::ErrorKind::Forked);
                    i32::from(joined) + 2 * i32::from(passed_on) + 4 * i32::from(awaited)
                });
                (code, queued)
            });
            let (code, queued) = forks.expect("accepted").join().expect("runs");
            queued.into_iter().flatten().for_each(|queued| queued.join().expect("runs"));
            println!("{code:?}");
        },
        expect: |seen| {
            seen.code(0).says("Some(7)", 1).says("parent", 3).says("child", 0);
        },
    },
    Check {
        name: "a_stop_in_the_child_waits_for_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            println!("{:?}", forked(|| i32::from(pool.stop().is_ok())));
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1).says("works", 1);
        },
    },
    Check {
        name: "a_scopes_stop_in_the_child_waits_for_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            let scope = heirloom::Scope::new("request");
            drop(scope.run(|| pool.submit(|| println!("task"))));
            println!("{:?}", forked(|| i32::from(scope.stop().is_ok())));
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1).says("works", 1).says("task", 3);
        },
    },
    Check {
        name: "a_wait_for_idleness_in_the_child_waits_for_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            println!("{:?}", forked(|| i32::from(pool.wait_idle().is_ok())));
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1).says("works", 1);
        },
    },
    Check {
        name: "a_shutdown_in_the_child_waits_for_nothing",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1));
            let child = forked(|| {
                let report = heirloom::shutdown_timeout(std::time::Duration::from_secs(60));
                i32::from(!report.is_complete())
            });
            println!("{child:?}");
            goes_on(&pool, go);
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1).says("works", 1);
        },
    },
    Check {
        name: "a_fork_within_a_task_ends_as_quickly",
        play: || {
            let pool = heirloom::create("work");
            pool.start(heirloom::PoolConfig::leased(1)).expect("starts");
            let child = pool.submit(|| forked(|| 6)).expect("accepted").join().expect("ends");
            println!("{child:?}");
            println!("{}", pool.submit(|| "works").expect("accepted").join().expect("ends"));
        },
        expect: |seen| {
            seen.code(0).says("Some(6)", 1).says("works", 1);
        },
    },
    Check {
        name: "the_child_may_let_go_of_everything",
        play: || {
            let (pool, go) = busy(heirloom::PoolConfig::leased(1).daemon());
            let scope = heirloom::Scope::new("request");
            let task = scope.run(|| pool.submit(|| println!("task"))).expect("accepted");
            let held = std::cell::Cell::new(Some((scope, task)));
            println!("{:?}", forked(|| i32::from(held.take().is_some())));
            goes_on(&pool, go);
            // In this process they are still there.
            if let Some((scope, task)) = held.take() {
                println!("{}", task.join().is_ok());
                scope.finish();
            }
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1).says("works", 1).says("true", 1);
        },
    },
    Check {
        name: "a_fork_before_the_first_pool_changes_nothing",
        play: || {
            let child = forked(|| {
                let pool = heirloom::create("in the child");
                pool.start(heirloom::PoolConfig::leased(1)).expect("starts");
                pool.submit(|| 9).expect("accepted").join().expect("ends")
            });
            println!("{child:?}");
        },
        expect: |seen| {
            seen.code(0).says("Some(9)", 1);
        },
    },
    #[cfg(feature = "tower")]
    Check {
        name: "a_time_limit_is_noticed_in_the_child_when_its_request_is_polled",
        play: || {
            use std::convert::Infallible;
            use std::pin::pin;
            use std::task::{Context, Waker};
            use std::time::Duration;

            use heirloom::tower::ScopeLayer;
            use tower_layer::Layer;
            use tower_service::Service;

            let never = tower::service_fn(|_: http::Request<()>| {
                std::future::pending::<Result<http::Response<String>, Infallible>>()
            });
            let mut service = ScopeLayer::new().timeout(Duration::from_millis(10)).layer(never);
            let hour = ScopeLayer::new().timeout(Duration::from_secs(3600)).layer(never).call(http::Request::new(()));
            let held = std::cell::Cell::new(Some(hour));
            let child = forked(|| {
                // One of the parent's timer, whose lock is nobody's here.
                drop(held.take());
                let cx = &mut Context::from_waker(Waker::noop());
                let mut response = pin!(service.call(http::Request::new(())));
                assert!(response.as_mut().poll(cx).is_pending());
                std::thread::sleep(Duration::from_millis(20));
                match response.poll(cx) {
                    std::task::Poll::Ready(Ok(response)) => i32::from(response.status().as_u16() == 504),
                    _ => 2,
                }
            });
            println!("{child:?}");
        },
        expect: |seen| {
            seen.code(0).says("Some(1)", 1);
        },
    },
];
