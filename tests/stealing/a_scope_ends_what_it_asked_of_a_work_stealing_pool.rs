//! A task of a work-stealing pool stands at the pool's owner, but belongs to whoever asked for it: to the submitter's
//! scopes it counts as any other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{Heirloom, PoolConfig, PoolManager, Scope, StopError, SubmitErrorKind, TaskHandle};

use crate::common::pools::started;
use crate::common::{bounded, eventually};

static TENANT: Heirloom<&str> = Heirloom::new("tenant");

/// A pool of the application's, with one worker; it and the application's scope are separate from all requests.
fn shared() -> (Scope, PoolManager) {
    let app = Scope::new("app");
    let pool = started(&app, "math", PoolConfig::work_stealing(1));
    (app, pool)
}

/// A task of the request's that runs until it is told to go on.
fn occupy(pool: &PoolManager, request: &Scope) -> (TaskHandle<()>, Sender<()>) {
    let (go, told): (_, Receiver<()>) = mpsc::channel();
    let (here, runs) = mpsc::channel();
    let task = request.run(|| {
        pool.submit(move || {
            here.send(()).expect("the test listens");
            let _ = told.recv();
        })
        .expect("accepted")
    });
    runs.recv().expect("it starts");
    (task, go)
}

#[test]
fn the_scope_counts_it_and_waits_for_it() {
    bounded(|| {
        let (_app, pool) = shared();
        let request = Scope::new("request");
        let (task, go) = occupy(&pool, &request);
        assert_eq!(request.pending(), 1);
        let report = request.stop_timeout(Duration::from_millis(20)).expect("not from an own task");
        assert_eq!(report.remaining, 1, "{report}");
        drop(go);
        assert!(request.stop().expect("not from an own task").is_complete());
        assert!(task.is_finished());
        assert_eq!(request.pending(), 0);
    });
}

#[test]
fn many_that_were_submitted_at_once_end_with_the_submitters_scope_or_the_pools() {
    bounded(|| {
        for at_owner in [false, true] {
            let (app, pool) = shared();
            let (other, go) = occupy(&pool, &Scope::new("other"));
            let request = Scope::new("request");
            let many = request.run(|| pool.submit_many((0..100).map(|n| move || n))).expect("accepted");
            assert_eq!(request.pending(), 100);
            if at_owner {
                app.cancel()
            } else {
                request.cancel()
            }
            for task in many {
                assert!(task.join().expect_err("it never starts").is_cancelled());
            }
            request.finish();
            drop(go);
            let _ = other.join();
        }
    });
}

#[test]
fn what_is_queued_never_starts_when_the_scope_is_cancelled() {
    bounded(|| {
        let (_app, pool) = shared();
        let (other, go) = occupy(&pool, &Scope::new("other"));
        let request = Scope::new("request");
        let ran = Arc::new(AtomicBool::new(false));
        let queued = request.run(|| {
            let ran = Arc::clone(&ran);
            pool.submit(move || ran.store(true, Ordering::SeqCst)).expect("accepted")
        });
        request.cancel();
        drop(go);
        assert!(queued.join().expect_err("was cancelled").is_cancelled());
        assert!(!ran.load(Ordering::SeqCst));
        // Nobody else's is concerned.
        other.join().expect("it ran already");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn the_scope_accepts_none_once_it_has_ended() {
    bounded(|| {
        let (_app, pool) = shared();
        let request = Scope::new("request");
        request.close();
        let refused = request.run(|| pool.submit(|| ())).expect_err("has ended");
        assert!(
            matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })),
            "{refused}"
        );
        assert!(request.run(|| pool.install(|| ())).is_err());
    });
}

#[test]
fn a_carried_place_keeps_its_values_until_the_task_has_ended() {
    bounded(|| {
        let (_app, pool) = shared();
        let request = Scope::new("request");
        TENANT.at(request.lineage()).bind("acme").expect("the first");
        let (here, runs) = mpsc::channel();
        let (go, told): (_, Receiver<()>) = mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let task = request.run(|| {
            let at = heirloom::current();
            pool.submit(move || {
                let look = at.carry(|()| {
                    here.send(()).expect("the test listens");
                    let _ = told.lock().expect("not poisoned").recv();
                    TENANT.get().map(|tenant| *tenant)
                });
                look(())
            })
            .expect("accepted")
        });
        runs.recv().expect("it starts");
        drop(request);
        drop(go);
        assert_eq!(task.join().expect("runs").expect("is still bound"), "acme");
    });
}

#[test]
fn its_own_task_is_not_made_to_wait_for_itself() {
    bounded(|| {
        let (_app, pool) = shared();
        let request = Arc::new(Scope::new("request"));
        let own = Arc::clone(&request);
        let stopped = request.run(|| pool.submit(move || own.stop().is_err())).expect("accepted");
        assert!(stopped.join().expect("runs"));
    });
}

#[test]
fn a_stolen_piece_that_stands_in_the_scope_does_not_wait_for_its_own_task() {
    bounded(|| {
        let app = Scope::new("app");
        let pool = started(&app, "math", PoolConfig::work_stealing(2));
        let request = Arc::new(Scope::new("request"));
        let own = Arc::clone(&request);
        let task = request.run(|| {
            let at = heirloom::current();
            pool.submit(move || {
                // Each waits for the other, so the second is stolen.
                let both = Barrier::new(2);
                let stop = at.carry(|()| own.stop().map(drop));
                let second = || {
                    both.wait();
                    stop(())
                };
                rayon::join(|| both.wait(), second).1
            })
            .expect("accepted")
        });
        assert!(
            matches!(task.join().expect("runs"), Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. })))
        );
        assert!(request.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn a_piece_may_stop_a_scope_of_its_own() {
    bounded(|| {
        let app = Scope::new("app");
        let pool = started(&app, "math", PoolConfig::work_stealing(2));
        let again = pool.clone();
        let nested = move || Scope::run("own", |_| again.submit(|| 7).map(drop).is_ok());
        assert!(pool.install(|| rayon::join(&nested, &nested)).expect("runs").0);
        let scope = Scope::new("entered");
        assert!(pool.install(|| scope.run(|| scope.stop().is_ok())).expect("runs"));
    });
}

#[test]
fn it_stands_at_the_owner_though_that_has_gone_meanwhile() {
    bounded(|| {
        let app = Scope::new("app");
        let owner = app.run(|| Scope::new("owner"));
        let id = owner.lineage().id();
        let pool = started(&owner, "math", PoolConfig::work_stealing(1));
        let request = Scope::new("request");
        let (first, go) = occupy(&pool, &request);
        let second = request.run(|| pool.submit(|| heirloom::current().id())).expect("accepted");
        owner.close();
        owner.finish();
        drop(go);
        first.join().expect("runs");
        assert_eq!(second.join().expect("was accepted"), id);
        eventually("the request has nothing left", || request.pending() == 0);
    });
}
