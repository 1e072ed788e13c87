//! `run` on a leased pool with a free place and an empty queue runs the closure on the caller's thread, as a task
//! within the pool's limit; otherwise it submits and waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use heirloom::{PoolConfig, Scope, StopError, SubmitError, SubmitErrorKind};

use crate::common::pools::{self, Busy, Crowd, started, this_thread};
use crate::common::{bounded, eventually};

#[test]
fn a_run_with_a_free_place_runs_here() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        for _ in 0..100 {
            assert_eq!(pool.run(this_thread).expect("runs"), this_thread());
        }
        assert_eq!(pool.stats().completed, 100);
    });
}

#[test]
fn a_run_without_a_free_place_waits_for_one_elsewhere() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        std::thread::scope(|threads| {
            let ran = threads.spawn(|| (this_thread(), pool.run(this_thread).expect("runs")));
            eventually("it is queued", || pool.stats().queued == 1);
            busy.end();
            let (caller, ran) = ran.join().expect("nobody panics");
            assert_ne!(caller, ran);
        });
    });
}

#[test]
fn a_run_behind_queued_tasks_waits_for_its_turn() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let first = Arc::new(AtomicBool::new(false));
        let flag = first.clone();
        let queued = pool.submit(move || flag.store(true, Ordering::SeqCst)).expect("accepted");
        std::thread::scope(|threads| {
            let ran = threads.spawn(|| pool.run(|| first.load(Ordering::SeqCst)).expect("runs"));
            eventually("it is queued", || pool.stats().queued == 2);
            busy.end();
            assert!(ran.join().expect("nobody panics"), "it overtook a queued task");
        });
        queued.join().expect("runs");
    });
}

#[test]
fn a_run_on_a_dedicated_pool_uses_the_pools_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1));
        assert_ne!(pool.run(this_thread).expect("runs"), this_thread());
        assert_eq!(pool.run(pools::thread_name).expect("runs"), "own-0");
    });
}

#[test]
fn it_takes_a_place_of_the_pool_while_it_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let ran = Arc::new(AtomicBool::new(false));
        let queued = pool
            .run(|| {
                let flag = ran.clone();
                let queued = pool.submit(move || flag.store(true, Ordering::SeqCst)).expect("accepted");
                let stats = pool.stats();
                assert_eq!((stats.running, stats.queued), (1, 1));
                assert!(!ran.load(Ordering::SeqCst), "the only place is taken");
                queued
            })
            .expect("runs");
        queued.join().expect("runs once the place is free");
    });
}

#[test]
fn many_callers_keep_within_the_limit() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        let crowd = Arc::new(Crowd::default());
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..300 {
                        pool.run(|| crowd.visit()).expect("runs");
                        let inside = crowd.clone();
                        drop(pool.submit(move || inside.visit()).expect("accepted"));
                    }
                });
            }
        });
        pool.wait_idle().expect("from outside");
        assert!(crowd.most() <= 2, "{} at once", crowd.most());
        assert_eq!(pool.stats().completed, 2_400);
    });
}

#[test]
fn its_waits_give_the_place_away() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        pool.run(|| {
            let (tx, rx) = mpsc::channel();
            drop(pool.submit(move || tx.send(()).expect("the test listens")).expect("accepted"));
            heirloom::blocking(|| rx.recv()).expect("the next task runs meanwhile");
        })
        .expect("runs");
    });
}

#[test]
fn a_join_inside_runs_its_task_in_place() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let ran = pool.run(|| pool.submit(this_thread).expect("accepted").join().expect("runs")).expect("runs");
        assert_eq!(ran, this_thread());
    });
}

#[test]
fn a_run_inside_a_run_runs_here_too() {
    bounded(|| {
        for n in [1, 2, 3] {
            let scope = Scope::new("test");
            let pool = started(&scope, "some", PoolConfig::leased(n));
            let ran = pool.run(|| pool.run(|| pool.run(this_thread))).expect("runs").expect("runs").expect("runs");
            assert_eq!(ran, this_thread());
        }
    });
}

#[test]
fn the_closure_may_borrow_in_place_and_elsewhere() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pool = started(&scope, "some", config);
            let mut words = vec![String::from("walk")];
            pool.run(|| words.push("up".into())).expect("runs");
            assert_eq!(
                pool.run(|| words.iter().map(String::as_str).collect::<Vec<_>>()).expect("runs"),
                ["walk", "up"]
            );
        }
    });
}

#[test]
fn a_panic_comes_back_with_its_payload_and_frees_the_place() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pool = started(&scope, "some", config.log_panics(false));
            let error = pool.run(|| std::panic::panic_any(7_u8)).expect_err("it panicked");
            let payload = error.into_panic().expect("a panic");
            assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
            assert_eq!(pool.run(|| 7).expect("the place is free"), 7);
            assert_eq!((pool.stats().panicked, pool.stats().completed), (1, 1));
        }
    });
}

#[test]
fn the_task_type_is_checked_before_anything_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "typed", PoolConfig::leased(1).task_type("page"));
        let mut ran = false;
        let error = pool.run(|| ran = true).expect_err("it has no type");
        assert!(
            matches!(
                error.as_submit().map(SubmitError::kind),
                Some(SubmitErrorKind::UnknownTaskType { given: None, .. })
            ),
            "{error}"
        );
        let error = pool.of_type("other").run(|| ran = true).expect_err("another type");
        assert!(
            matches!(
                error.as_submit().map(SubmitError::kind),
                Some(SubmitErrorKind::UnknownTaskType { given: Some(_), .. })
            ),
            "{error}"
        );
        assert!(!ran);
        assert_eq!(pool.of_type("page").run(this_thread).expect("runs"), this_thread());
        assert_eq!((pool.stats().refused, pool.stats().completed), (2, 1));
    });
}

#[test]
fn a_closed_pool_refuses_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "closed", PoolConfig::leased(1));
        pool.close();
        let error = pool.run(|| ()).expect_err("closed");
        assert!(matches!(error.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::Closed { .. })), "{error}");
    });
}

#[test]
fn it_stands_at_a_task_below_the_caller_and_the_caller_is_back_afterwards() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let request = Scope::new("request");
        request.lineage().run(|| {
            let inside = pool.run(heirloom::current).expect("runs");
            assert_eq!(inside.kind(), heirloom::NodeKind::Task);
            assert_eq!(inside.parent().as_ref(), Some(request.lineage()));
            assert_eq!(heirloom::current(), *request.lineage());
        });
    });
}

#[test]
fn it_is_a_task_of_the_pool_so_it_cannot_wait_for_the_pools_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let stopped = pool.run(|| pool.stop()).expect("runs");
        assert!(matches!(stopped, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
        assert!(pool.is_running(), "a refusal changes nothing");
    });
}

#[test]
fn a_stop_from_outside_waits_for_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let ended = AtomicBool::new(false);
        let (here, runs) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                pool.run(|| {
                    here.send(()).expect("the test listens");
                    let gate = gate;
                    let _ = gate.recv();
                    ended.store(true, Ordering::SeqCst);
                })
                .expect("runs");
            });
            runs.recv().expect("it runs");
            let stops = threads.spawn(|| {
                let report = pool.stop().expect("from outside");
                assert!(ended.load(Ordering::SeqCst), "stop returned while the run was under way");
                report
            });
            eventually("the pool is closed", || !pool.is_running());
            go.send(()).expect("the run listens");
            assert_eq!(stops.join().expect("nobody panics").completed, 1);
        });
    });
}

#[test]
fn a_pool_that_hands_tasks_to_itself_through_runs_never_hangs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for i in 0..500 {
                        let nested = pool.run(|| pool.run(|| pool.submit(move || i).expect("accepted").join()));
                        assert_eq!(nested.expect("runs").expect("runs").expect("runs"), i);
                    }
                });
            }
        });
    });
}
