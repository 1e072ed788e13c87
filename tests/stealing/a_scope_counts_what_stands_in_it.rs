//! A task of a work-stealing pool stands at the pool's owner, wherever it was submitted: the owner's scopes count it as
//! the submitter's do, so what is bound there stays for as long as code stands there.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heirloom::{Heirloom, PoolConfig, PoolManager, Scope, StopError, SubmitErrorKind, TaskHandle, TaskStatus};

use crate::common::pools::started;
use crate::common::{bounded, eventually};

static TENANT: Heirloom<&str> = Heirloom::new("tenant");

/// A scope, and one below it that owns a pool of one worker.
fn family() -> (Scope, Scope, PoolManager) {
    let outer = Scope::new("outer");
    let owner = Scope::new_in(&outer, "owner");
    let pool = started(&owner, "math", PoolConfig::work_stealing(1));
    (outer, owner, pool)
}

/// A task that runs, and looks for the value of the owner's scope once it is told to go on.
fn occupy(pool: &PoolManager) -> (TaskHandle<Option<&'static str>>, Sender<()>) {
    let (go, told) = mpsc::channel::<()>();
    let (here, runs) = mpsc::channel();
    let task = pool.submit(move || {
        here.send(()).expect("the test listens");
        let _ = told.recv();
        TENANT.get().ok().map(|tenant| *tenant)
    });
    runs.recv().expect("it starts");
    (task.expect("accepted"), go)
}

#[test]
fn values_stay_under_a_running_task_however_its_scope_ends() {
    bounded(|| {
        let ends: [fn(Scope, Scope); 5] = [
            |outer, owner| [owner, outer].into_iter().for_each(|scope| scope.close()),
            |outer, owner| [owner, outer].into_iter().for_each(Scope::finish),
            |outer, owner| drop((owner, outer)),
            |outer, owner| [owner, outer].into_iter().for_each(|scope| scope.cancel()),
            |outer, owner| {
                for scope in [owner, outer] {
                    let report = scope.stop_timeout(Duration::ZERO).expect("from outside");
                    assert_eq!(report.remaining, 1, "{report}");
                }
            },
        ];
        for end in ends {
            for at_owner in [true, false] {
                let (outer, owner, pool) = family();
                TENANT.at(if at_owner { &owner } else { &outer }).bind("acme").expect("open");
                let (task, go) = occupy(&pool);
                assert_eq!((outer.pending(), owner.pending()), (1, 1));
                end(outer, owner);
                go.send(()).expect("it waits");
                assert_eq!(task.join().expect("runs"), Some("acme"));
            }
        }
    });
}

#[test]
fn a_scope_ends_when_the_last_task_that_stands_in_it_has() {
    bounded(|| {
        let (outer, owner, pool) = family();
        TENANT.at(&outer).bind("acme").expect("open");
        let at = outer.lineage().clone();
        let (task, go) = occupy(&pool);
        outer.close();
        let waits = std::thread::spawn(move || outer.stop().map(|report| report.is_complete()));
        assert_eq!(TENANT.at(&at).get().ok().as_deref(), Some(&"acme"));
        go.send(()).expect("it waits");
        assert!(waits.join().expect("no panic").expect("not refused"));
        assert!(task.is_finished() && TENANT.at(&at).get().is_err());
        assert_eq!(owner.pending(), 0);
    });
}

#[test]
fn a_scope_above_both_counts_it_once() {
    bounded(|| {
        let (outer, owner, pool) = family();
        let asker = Scope::new_in(&outer, "asker");
        let deep = Scope::new_in(&asker, "deep");
        let (task, go) = deep.run(|| occupy(&pool));
        assert_eq!([&outer, &owner, &asker, &deep].map(|scope| scope.pending()), [1; 4]);
        go.send(()).expect("it waits");
        assert!(task.join().is_ok());
        // From below the owner: as in any other pool.
        let below = Scope::new_in(&owner, "below");
        let (task, go) = below.run(|| occupy(&pool));
        assert_eq!([&outer, &owner, &below].map(|scope| scope.pending()), [1; 3]);
        go.send(()).expect("it waits");
        assert!(task.join().is_ok());
        eventually("all are idle", || [&outer, &owner, &asker, &deep, &below].iter().all(|scope| scope.pending() == 0));
    });
}

#[test]
fn a_scope_that_has_ended_refuses_what_would_stand_in_it() {
    bounded(|| {
        let (outer, owner, pool) = family();
        let asker = Scope::new("asker");
        outer.close();
        let refused = asker.run(|| pool.submit(|| ())).expect_err("nothing is to stand there");
        let names_it = matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { scope, .. }) if scope.contains("outer"));
        assert!(names_it, "{refused:?}");
        assert!(asker.run(|| pool.install(|| ())).is_err());
        assert_eq!((asker.pending(), owner.pending(), outer.pending()), (0, 0, 0));
    });
}

#[test]
fn what_is_queued_is_over_at_once_when_a_scope_above_the_owner_is_cancelled() {
    bounded(|| {
        let (outer, owner, pool) = family();
        let asker = Scope::new("asker");
        let (task, go) = occupy(&pool);
        let queued: Vec<_> = (0..3).map(|_| asker.run(|| pool.submit(|| ())).expect("accepted")).collect();
        assert_eq!((asker.pending(), owner.pending()), (3, 4));
        outer.cancel();
        assert!(queued.iter().all(TaskHandle::is_finished));
        assert_eq!((asker.pending(), owner.pending(), outer.pending()), (0, 1, 1));
        for task in queued {
            assert!(task.join().is_err_and(|error| error.is_cancelled()));
        }
        go.send(()).expect("it waits");
        assert!(task.join().is_ok());
    });
}

#[test]
fn what_a_daemon_pool_has_queued_is_over_when_a_scope_above_its_owner_is_closed() {
    bounded(|| {
        let outer = Scope::new("outer");
        let owner = Scope::new_in(&outer, "owner");
        let pool = started(&owner, "math", PoolConfig::work_stealing(1).daemon());
        let joining = started(&owner, "more", PoolConfig::work_stealing(1));
        let ((task, go), (other, goes)) = (occupy(&pool), occupy(&joining));
        let (never, later) = (pool.submit(|| ()).expect("accepted"), joining.submit(|| ()).expect("accepted"));
        outer.close();
        assert!(never.join().is_err_and(|error| error.is_cancelled()));
        assert_eq!(later.status(), TaskStatus::Queued);
        go.send(()).expect("it waits");
        goes.send(()).expect("it waits");
        assert!(task.join().is_ok() && other.join().is_ok() && later.join().is_ok());
    });
}

#[test]
fn a_submit_that_races_a_cancel_of_the_owners_scope_is_refused_or_over() {
    bounded(|| {
        for _ in 0..200 {
            let (outer, owner, pool) = family();
            let (task, go) = occupy(&pool);
            let submits = {
                let pool = pool.clone();
                std::thread::spawn(move || (0..20).map_while(|_| pool.submit(|| ()).ok()).collect::<Vec<_>>())
            };
            outer.cancel();
            // None of them waits for the task that runs still.
            let queued = submits.join().expect("no panic");
            assert!(queued.iter().all(TaskHandle::is_finished));
            assert_eq!((outer.pending(), owner.pending()), (1, 1));
            drop(go);
            assert!(task.join().is_ok());
        }
    });
}

#[test]
fn a_wait_for_a_scope_that_counts_the_waiter_is_refused() {
    bounded(|| {
        let (outer, _owner, pool) = family();
        let outer = Arc::new(outer);
        // From the task itself.
        let own = Arc::clone(&outer);
        let stopped = pool.submit(move || own.stop().map(drop)).expect("accepted");
        assert!(
            matches!(stopped.join().expect("runs"), Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. })))
        );
        // By another's task, which it waits for.
        let elsewhere = Scope::new("elsewhere");
        let other = started(&elsewhere, "other", PoolConfig::leased(1));
        let own = Arc::clone(&outer);
        let (begins, begun) = mpsc::channel();
        let stops = elsewhere.run(|| {
            other.submit(move || {
                begun.recv().expect("the other begins");
                own.stop().map(drop)
            })
        });
        let stops = stops.expect("accepted");
        let joins = pool.submit(move || {
            begins.send(()).expect("it waits");
            stops.join()
        });
        match joins.expect("accepted").join().expect("runs") {
            Ok(Err(error)) if error.as_stop().is_some() => {
                let circle = error.circle().expect("the wait would never end");
                assert_eq!(circle.links().len(), 2, "{circle}");
            }
            Err(error) => assert!(error.kind() == heirloom::ErrorKind::WouldDeadlock, "{error}"),
            other => panic!("not refused: {other:?}"),
        }
    });
}

#[test]
fn what_a_cancelled_task_leaves_behind_is_not_made_to_wait_for_itself() {
    struct Stops(Arc<Scope>, mpsc::Sender<Result<(), heirloom::Error>>);
    impl Drop for Stops {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.stop().map(drop));
        }
    }
    bounded(|| {
        let (outer, _owner, pool) = family();
        let outer = Arc::new(outer);
        let (task, go) = occupy(&pool);
        let (says, said) = mpsc::channel();
        let stops = Stops(Arc::clone(&outer), says);
        let queued = pool.submit(move || drop(stops)).expect("accepted");
        queued.cancel();
        let told = said.recv().expect("it says").expect_err("one of its own tasks");
        assert!(matches!(told.as_stop(), Some(StopError::FromOwnTask { .. })));
        drop(go);
        assert!(task.join().is_ok());
    });
}

#[test]
fn each_is_counted_out_once_however_it_ends() {
    bounded(|| {
        let outer = Scope::new("outer");
        let owner = Scope::new_in(&outer, "owner");
        let pool = started(&owner, "math", PoolConfig::work_stealing(2).queue_limit(8).log_panics(false));
        let (ran, askers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|threads| {
            for thread in 0..3 {
                let (pool, ran, askers, outer) = (&pool, &ran, &askers, &outer);
                threads.spawn(move || {
                    for round in 0..300 {
                        let asker = if round % 2 == 0 { Scope::new_in(outer, "asker") } else { Scope::new("asker") };
                        let at = asker.lineage().clone();
                        let task = at.run(|| match (round + thread) % 4 {
                            0 => pool.submit(|| std::panic::resume_unwind(Box::new("as wanted"))).map(drop),
                            1 => {
                                let _ = pool.install(|| rayon::join(|| (), || ()));
                                Ok(())
                            }
                            2 => pool.scope(|tasks| tasks.submit(|| ran.fetch_add(1, SeqCst)).map(drop)),
                            _ => pool.submit(|| ()).map(|task| {
                                task.cancel();
                            }),
                        });
                        assert!(task.is_ok() || matches!(task, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. }))), "{task:?}");
                        if round % 3 == 0 {
                            asker.cancel();
                        }
                        askers.lock().expect("not poisoned").push(asker);
                    }
                });
            }
        });
        eventually("nothing is left", || outer.pending() == 0 && owner.pending() == 0);
        assert!(askers.lock().expect("not poisoned").iter().all(|asker| asker.pending() == 0));
        assert!(pool.stop().expect("from outside").is_complete());
    });
}
