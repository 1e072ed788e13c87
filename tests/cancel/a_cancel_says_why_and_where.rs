//! `Cancelled` has the reason of the nearest request, and the place where it was made; so has the error of a task that was
//! cancelled in its queue.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{CancelReason, Error, FutureExt, PoolConfig, Registry, Scope, TaskHandle, thread};

use crate::common::bounded;
use crate::common::pools::{Busy, block_on, started};

const HOUR: Duration = Duration::from_secs(3600);

/// A task that sleeps until it is cancelled, and has begun.
fn sleeper(pool: &heirloom::PoolManager) -> TaskHandle<Result<(), Error>> {
    let (starts, started) = mpsc::channel();
    let sleeps = move || {
        starts.send(()).expect("the test listens");
        heirloom::sleep(HOUR)
    };
    let task = pool.submit(sleeps).expect("accepted");
    started.recv().expect("it starts");
    task
}

fn cause(ran: Result<Result<(), Error>, Error>) -> (CancelReason, String) {
    let error = ran.expect("it ran").expect_err("it was cancelled");
    told(&error)
}

fn told(error: &Error) -> (CancelReason, String) {
    let cancelled = error.as_cancelled().expect("it was cancelled");
    (cancelled.reason(), cancelled.at().to_owned())
}

fn cause_in_queue<T>(task: TaskHandle<T>) -> (CancelReason, String) {
    let Err(error) = task.join() else { panic!("it ran") };
    let cause = told(&error);
    assert!(error.is_cancelled() && error.to_string().contains(&cause.1), "{error}");
    cause
}

#[test]
fn a_scope_that_is_cancelled_or_dropped_is_named() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        for (drops, reason) in [(false, CancelReason::Request), (true, CancelReason::OwnerEnd)] {
            let request = Scope::new("request 7");
            let place = request.to_string();
            let running = request.run(|| sleeper(&pool));
            let busy = Busy::on(&pool);
            let queued = request.run(|| pool.submit(|| ()).expect("accepted"));
            if drops {
                drop(request);
            } else {
                request.cancel();
            }
            assert_eq!(cause(running.join()), (reason, place.clone()));
            assert_eq!(cause_in_queue(queued), (reason, place));
            busy.end();
        }
    });
}

#[test]
fn the_nearest_of_two_cancelled_scopes_is_named_and_its_first_request() {
    bounded(|| {
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let at = |scope: &Scope| scope.run(heirloom::checkpoint).expect_err("it is cancelled");
        let place = outer.to_string();
        outer.cancel();
        assert_eq!(told(&at(&inner)).1, place);
        let place = inner.to_string();
        inner.cancel();
        assert_eq!(told(&at(&inner)).1, place);
        let node = inner.lineage().clone();
        drop(inner);
        let cancelled = node.run(heirloom::checkpoint).expect_err("it is cancelled");
        assert_eq!(told(&cancelled), (CancelReason::Request, place.clone()));
        assert_eq!(cancelled.to_string(), format!("cancelled: a cancel request was made at {place}; pass this up"));
    });
}

#[test]
fn a_handle_a_pool_and_a_thread_are_named() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1).holds_permit());
        let running = sleeper(&pool);
        let task = format!("task {}", running.id());
        let _ = running.cancel();
        assert_eq!(cause(running.join()), (CancelReason::Request, task));

        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("accepted");
        let task = format!("task {}", queued.id());
        let _ = queued.cancel();
        assert_eq!(cause_in_queue(queued), (CancelReason::Request, task));
        busy.end();

        let running = sleeper(&pool);
        let queued = pool.submit(|| ()).expect("accepted");
        pool.cancel();
        assert_eq!(cause(running.join()), (CancelReason::Request, "pool \"work\"".to_owned()));
        assert_eq!(cause_in_queue(queued), (CancelReason::Request, "pool \"work\"".to_owned()));

        let thread = thread::Builder::new().name("reader").spawn(|| heirloom::sleep(HOUR)).expect("starts");
        let _ = thread.cancel();
        let cancelled = thread.join().expect("no panic").expect_err("it is cancelled");
        let (reason, at) = told(&cancelled);
        assert_eq!(reason, CancelReason::Request);
        assert!(at.ends_with("\"reader\""), "{at}");
    });
}

#[test]
fn a_pool_that_ends_with_its_scope_names_the_scope() {
    bounded(|| {
        let owner = Scope::new("owner");
        let place = owner.to_string();
        let pool = started(&owner, "work", PoolConfig::leased(1).holds_permit());
        // Submitted elsewhere: the scope's end reaches it through the pool alone.
        let running = sleeper(&pool);
        let queued = pool.submit(|| ()).expect("accepted");
        drop(owner);
        assert_eq!(cause_in_queue(queued), (CancelReason::OwnerEnd, place.clone()));
        assert_eq!(cause(running.join()), (CancelReason::OwnerEnd, place));
    });
}

#[test]
fn a_daemons_queue_names_its_end_and_a_shutdown() {
    bounded(|| {
        let family = Registry::new();
        let daemon = family.root().create("daemon");
        daemon.start(PoolConfig::leased(1).daemon()).expect("starts");
        let busy = Busy::on(&daemon);
        let queued = daemon.submit(|| ()).expect("accepted");
        daemon.close();
        assert_eq!(cause_in_queue(queued), (CancelReason::OwnerEnd, "pool \"daemon\"".to_owned()));
        busy.end();

        let other = family.root().create("other");
        other.start(PoolConfig::leased(1).daemon()).expect("starts");
        let busy = Busy::on(&other);
        let queued = other.submit(|| ()).expect("accepted");
        let report = family.shutdown_timeout(Duration::ZERO);
        assert!(report.is_complete(), "{report}");
        assert_eq!(cause_in_queue(queued), (CancelReason::Shutdown, "pool \"other\"".to_owned()));
        busy.end();
    });
}

#[test]
fn a_task_submitted_below_a_cancelled_scope_names_it() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let thread = thread::spawn({
            let pool = pool.clone();
            move || {
                let place = heirloom::current().to_string();
                let _ = heirloom::sleep(HOUR);
                let queued = pool.submit(|| ()).expect("accepted");
                (cause_in_queue(queued), place)
            }
        })
        .expect("a thread starts");
        let _ = thread.cancel();
        let ((reason, at), place) = thread.join().expect("no panic");
        assert_eq!((reason, at), (CancelReason::Request, place));
        busy.end();
    });
}

#[test]
fn a_dropped_future_names_its_scope() {
    bounded(|| {
        let request = Scope::new("request 7");
        let node = request.lineage().clone();
        let future = std::future::pending::<()>().in_scope(request);
        drop(future);
        let cancelled = node.run(heirloom::checkpoint).expect_err("it is cancelled");
        assert_eq!(told(&cancelled), (CancelReason::OwnerEnd, node.to_string()));
        block_on(node.cancelled());
    });
}
