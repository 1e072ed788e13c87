//! A dedicated pool's thread runs `on_worker_start` once, before any task, standing at its own node; what that makes
//! there, tasks on the thread find through `heirloom::worker()`, and it is gone with the thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heirloom::{Heirloom, Lineage, NodeKind, PoolConfig, Registry, Scope, StopError, SubmitErrorKind, WorkerCtx};

use crate::common::pools::{started, this_thread, thread_name};
use crate::common::{bounded, eventually};

type Never = std::convert::Infallible;

thread_local! {
    static PREPARED: Cell<u32> = const { Cell::new(0) };
}

fn counts(_: &WorkerCtx) -> Result<(), Never> {
    PREPARED.set(PREPARED.get() + 1);
    Ok(())
}

#[test]
fn every_thread_runs_it_once_and_before_any_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::dedicated(3).on_worker_start(counts));
        let together = Arc::new(Barrier::new(3));
        for round in 0..20 {
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let together = Arc::clone(&together);
                    pool.submit(move || {
                        together.wait();
                        PREPARED.get()
                    })
                    .expect("accepted")
                })
                .collect();
            for task in tasks {
                assert_eq!(task.join().expect("runs"), 1, "round {round}");
            }
        }
    });
}

#[test]
fn no_more_threads_than_the_pool_has_places_are_initialised_when_a_task_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let initialised = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel::<()>();
        let (count, released) = (Arc::clone(&initialised), parking(released));
        let config = PoolConfig::dedicated(2).warm(2).on_worker_start(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) == 1 {
                released.lock().expect("whole").recv().expect("released");
            }
            Ok::<(), Never>(())
        });
        std::thread::scope(|threads| {
            let start = threads.spawn(|| pool.start(config));
            eventually("the second thread is in its initialiser", || initialised.load(Ordering::SeqCst) == 2);
            let (queued, is_queued) = mpsc::channel::<()>();
            let waits = pool.submit(move || {
                is_queued.recv().expect("the other one is queued");
                heirloom::sleep(Duration::from_millis(50))
            });
            let (waits, next) = (waits.expect("accepted"), pool.submit(|| ()).expect("accepted"));
            queued.send(()).expect("it runs");
            waits.join().expect("runs").expect("nobody cancels");
            release.send(()).expect("the second thread waits for it");
            next.join().expect("runs");
            start.join().expect("no panic").expect("both are ready");
        });
        assert_eq!(initialised.load(Ordering::SeqCst), 2, "one for each place");
    });
}

#[test]
fn the_tasks_on_a_thread_find_what_its_initialiser_made_there() {
    bounded(|| {
        let scope = Scope::new("test");
        let config = PoolConfig::dedicated(2).on_worker_start(|worker| {
            let own = worker.lineage().create("own");
            assert!(heirloom::get("own").expect("it stands there").is_same(&own));
            own.start(PoolConfig::leased(1 + worker.index()))
        });
        let pool = started(&scope, "work", config);
        let together = Arc::new(Barrier::new(2));
        let tasks = [(); 2].map(|()| {
            let together = Arc::clone(&together);
            let look = move || {
                together.wait();
                assert!(heirloom::get("own").is_err(), "a task stands below its submitter, not on the thread");
                let worker = heirloom::worker().expect("a dedicated pool's thread");
                (worker.index(), worker.lineage().get("own").expect("made at its start").stats().limit)
            };
            pool.submit(look).expect("accepted")
        });
        let mut found = tasks.map(|task| task.join().expect("runs"));
        found.sort_unstable();
        assert_eq!(found, [(0, 1), (1, 2)]);
    });
}

#[test]
fn it_knows_its_thread_its_pool_and_who_started_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (said, heard) = mpsc::channel();
        let config = PoolConfig::dedicated(1).on_worker_start(move |worker| {
            assert_eq!(heirloom::current(), worker.lineage());
            assert!(heirloom::worker().is_some());
            said.send((worker.clone(), this_thread(), thread_name()))
        });
        let pool = started(&scope, "work", config);
        let in_task = pool.submit(|| heirloom::worker().map(|worker| worker.lineage())).expect("accepted");
        let (worker, thread, name) = heard.recv().expect("said");
        let node = worker.lineage();
        assert_eq!(in_task.join().expect("runs").as_ref(), Some(&node));
        assert_eq!((node.kind(), node.thread_id(), node.name()), (NodeKind::Thread, Some(thread), Some(&*name)));
        assert_eq!(node.parent().as_ref(), Some(scope.lineage()));
        assert_eq!(worker.started_by().as_ref(), Some(scope.lineage()));
        assert_eq!((worker.namespace(), worker.index()), (pool.namespace(), 0));
        assert_eq!(Registry::global().thread(thread), Some(node));
    });
}

#[test]
fn a_thread_that_is_no_worker_has_no_context() {
    bounded(|| {
        assert!(heirloom::worker().is_none());
        let scope = Scope::new("test");
        let leased = started(&scope, "leased", PoolConfig::leased(1));
        assert!(leased.submit(|| heirloom::worker().is_none()).expect("accepted").join().expect("runs"));
        let plain = started(&scope, "plain", PoolConfig::dedicated(1));
        let seen = plain.submit(|| heirloom::worker().map(|worker| worker.lineage().kind())).expect("accepted");
        assert_eq!(seen.join().expect("runs"), Some(NodeKind::Thread), "an initialiser is not needed for it");
    });
}

/// Tells which thread drops it.
struct Tells(mpsc::Sender<std::thread::ThreadId>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(this_thread());
    }
}

static TOOL: Heirloom<Tells> = Heirloom::new("tool");

#[test]
fn values_bound_there_are_found_by_tasks_and_dropped_on_the_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let (tells, dropped) = mpsc::channel();
        let config = PoolConfig::dedicated(1)
            .on_worker_start(move |worker| TOOL.at(&worker.lineage()).bind(Tells(tells.clone())).map(drop));
        let pool = started(&scope, "work", config);
        let look = || {
            let worker = heirloom::worker().expect("a dedicated pool's thread");
            assert!(TOOL.get().is_err(), "a task stands below its submitter");
            assert!(TOOL.at(&worker.lineage()).get().is_ok());
            (worker, this_thread())
        };
        let (_holds_the_node, thread) = pool.submit(look).expect("accepted").join().expect("runs");
        assert!(pool.stop().expect("from outside").is_complete());
        assert_eq!(dropped.try_recv(), Ok(thread));
    });
}

#[test]
fn what_lives_at_its_node_is_gone_when_stop_returns_although_somebody_holds_the_node() {
    bounded(|| {
        let scope = Scope::new("test");
        let (said, heard) = mpsc::channel();
        let config = PoolConfig::dedicated(1)
            .on_worker_start(move |worker| {
                worker.lineage().create("only here").start(PoolConfig::leased(1)).expect("starts");
                said.send(worker.clone())
            })
            .warm(1);
        let pool = started(&scope, "work", config);
        let worker = heard.recv().expect("said");
        assert!(worker.lineage().get("only here").is_ok());
        assert!(pool.stop().expect("from outside").is_complete());
        assert!(worker.lineage().managers().is_empty());
    });
}

#[test]
fn the_thread_keeps_neither_its_pool_nor_its_pools_owner_alive() {
    bounded(|| {
        let (said, heard) = mpsc::channel();
        let (tells, dropped) = mpsc::channel();
        let outer = Scope::new("outer");
        let owner = outer.run(|| {
            let tells = Tells(tells);
            heirloom::thread::spawn(move || {
                let config = PoolConfig::dedicated(1).on_worker_start(move |worker| {
                    let _keeps = &tells;
                    said.send((worker.lineage().parent(), worker.started_by().map(|owner| owner.kind())))
                });
                // Owned by this thread, so it closes when the thread ends.
                heirloom::create("of a thread").start(config.warm(1)).expect("starts");
            })
            .expect("a thread starts")
        });
        owner.join().expect("runs");
        assert_eq!(heard.recv().expect("said"), (Some(outer.lineage().clone()), Some(NodeKind::Thread)));
        dropped.recv().expect("the pool, and its initialiser with it, is gone");
    });
}

#[test]
fn a_worker_of_a_pool_without_a_scope_stands_at_the_process() {
    bounded(|| {
        let pool = heirloom::create("process");
        pool.start(PoolConfig::dedicated(1).on_worker_start(counts)).expect("starts");
        let parent = pool.submit(|| heirloom::worker().and_then(|worker| worker.lineage().parent())).expect("accepted");
        assert_eq!(parent.join().expect("runs"), Some(Lineage::process()));
    });
}

#[test]
fn it_can_ask_nothing_of_its_own_pool_which_would_wait_for_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let config = PoolConfig::dedicated(1)
            .on_worker_start(|worker| {
                let own = worker.started_by().expect("alive").get("work").expect("its own");
                assert!(
                    matches!(own.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::FromInitialiser)))
                );
                assert!(own.run(|| ()).is_err());
                assert!(matches!(own.stop(), Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
                assert!(matches!(own.wait_idle(), Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
                own.ensure_started(PoolConfig::dedicated(1).warm(1))
            })
            .warm(1);
        pool.start(config).expect("starts");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn joining_a_task_of_its_own_pool_is_an_error_not_a_hang() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (gives, given) = mpsc::channel::<heirloom::TaskHandle<()>>();
        let given = parking(given);
        let (said, heard) = mpsc::channel();
        let config = PoolConfig::dedicated(1).on_worker_start(move |_| {
            let task = given.lock().expect("not poisoned").recv().expect("given");
            said.send(task.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::FromOwnTask))
        });
        pool.start(config).expect("starts");
        gives.send(pool.submit(|| ()).expect("accepted")).expect("listens");
        assert!(heard.recv().expect("said"));
        assert_eq!(pool.stop().expect("from outside").completed, 1);
    });
}

fn parking<T>(value: T) -> std::sync::Mutex<T> {
    std::sync::Mutex::new(value)
}

#[test]
fn it_may_use_other_pools() {
    bounded(|| {
        let scope = Scope::new("test");
        started(&scope, "helper", PoolConfig::leased(1));
        let config = PoolConfig::dedicated(2)
            .on_worker_start(|_| heirloom::get("helper").expect("of the scope").run(|| ()))
            .warm(2);
        started(&scope, "work", config);
    });
}

#[test]
fn threads_that_come_again_are_initialised_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let config = PoolConfig::dedicated(1).keep_alive(std::time::Duration::ZERO).on_worker_start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<(), Never>(())
        });
        let pool = started(&scope, "work", config);
        pool.submit(|| ()).expect("accepted").join().expect("runs");
        eventually("a second thread is initialised", || {
            pool.submit(|| ()).expect("accepted").join().expect("runs");
            ran.load(Ordering::SeqCst) > 1
        });
    });
}
