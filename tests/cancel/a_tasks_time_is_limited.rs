//! `PoolConfig::task_timeout` and `TaskHandle::timeout` cancel one task, with what is below it, and the task may acknowledge.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{CancelReason, Error, ErrorKind, PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

fn sleeps() -> Result<(), Error> {
    heirloom::sleep(HOUR)
}

#[test]
fn a_run_is_limited_and_the_time_in_the_queue_is_not() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1).task_timeout(SOON).holds_permit());
        let first = pool.submit(sleeps).expect("accepted");
        // Queued for longer than the limit.
        let second = pool.submit(heirloom::remaining).expect("accepted");
        let third = pool.submit(sleeps).expect("accepted");
        for task in [first, third] {
            let id = task.id();
            let cancelled = task.join().expect("it ran").expect_err("it was cancelled");
            let cancelled = cancelled.as_cancelled().expect("it was cancelled");
            assert_eq!((cancelled.reason(), cancelled.at()), (CancelReason::Deadline, &*format!("task {id}")));
        }
        let left = second.join().expect("it ran").expect("it has a deadline");
        assert!(left <= SOON, "{left:?}");
    });
}

#[test]
fn what_a_limited_task_submits_is_limited_too() {
    bounded(|| {
        let owner = Scope::new("owner");
        let long = started(&owner, "long", PoolConfig::leased(1).task_timeout(HOUR));
        let others = started(&owner, "others", PoolConfig::leased(1));
        let outer =
            long.submit(move || others.submit(heirloom::remaining).expect("accepted").join()).expect("accepted");
        let left = outer.join().expect("it ran").expect("it ran");
        assert!(left.is_some_and(|left| left <= HOUR));

        let limited = started(&owner, "limited", PoolConfig::leased(1).task_timeout(25 * SOON));
        let others = started(&owner, "others", PoolConfig::leased(1));
        let outer = limited.submit(move || others.submit(sleeps).expect("accepted").join()).expect("accepted");
        let cancelled = outer.join().expect("it ran").expect("it ran").expect_err("it was cancelled");
        assert_eq!(cancelled.kind(), ErrorKind::DeadlineExceeded);
    });
}

#[test]
fn a_task_acknowledges_its_own_deadline_and_not_its_scopes() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1).task_timeout(SOON));
        let acknowledges = || {
            let first = heirloom::sleep(HOUR).expect_err("it is cancelled").kind();
            let was_own = heirloom::acknowledge_cancel();
            (first, was_own, heirloom::deadline(), heirloom::sleep(3 * SOON).map_err(|again| again.kind()))
        };
        let own = (ErrorKind::DeadlineExceeded, true, None, Ok(()));
        assert_eq!(pool.submit(acknowledges).expect("accepted").join().expect("it ran"), own);
        let plain = started(&owner, "plain", PoolConfig::leased(1));
        let (starts, has_started) = mpsc::channel();
        let begins = move || {
            starts.send(()).expect("the test listens");
            acknowledges()
        };
        let task = plain.submit(begins.clone()).expect("accepted");
        has_started.recv().expect("it starts");
        assert_eq!(task.timeout(SOON).join().expect("it ran"), own);

        let request = Scope::new("request");
        let task = request.run(|| plain.submit(begins)).expect("accepted");
        has_started.recv().expect("it starts");
        let at = Instant::now() + SOON;
        request.deadline(at);
        let of_scope = (ErrorKind::DeadlineExceeded, false, Some(at), Err(ErrorKind::DeadlineExceeded));
        assert_eq!(task.join().expect("it ran"), of_scope);
    });
}

#[test]
fn a_handles_deadline_holds_in_the_queue_and_while_it_runs_and_after_its_drop() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("accepted").timeout(SOON);
        let id = queued.id();
        let error = queued.join().expect_err("it never ran");
        let cancelled = error.as_cancelled().expect("it was cancelled");
        assert_eq!((cancelled.reason(), cancelled.at()), (CancelReason::Deadline, &*format!("task {id}")));
        busy.end();

        let (says, said) = mpsc::channel();
        let (starts, has_started) = mpsc::channel();
        let runs = move || {
            starts.send(()).expect("the test listens");
            says.send(sleeps().map_err(|cancelled| cancelled.kind()))
        };
        let task = pool.submit(runs).expect("accepted");
        has_started.recv().expect("it starts");
        drop(task.timeout(SOON));
        assert_eq!(said.recv(), Ok(Err(ErrorKind::DeadlineExceeded)));
    });
}

#[test]
fn a_deadline_of_a_running_task_is_moved_and_is_seen_by_the_task() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let (starts, has_started) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let task = pool.submit(move || {
            starts.send(heirloom::deadline()).expect("the test listens");
            gate.recv().expect("the test says so");
            (heirloom::remaining().is_some_and(|left| left > HOUR), sleeps().map_err(|error| error.kind()))
        });
        let task = task.expect("accepted");
        assert_eq!(has_started.recv(), Ok(None));
        let task = task.timeout(2 * HOUR);
        go.send(()).expect("the task listens");
        let task = task.timeout(HOUR).timeout(SOON);
        let (_, slept) = task.join().expect("it ran");
        assert_eq!(slept, Err(ErrorKind::DeadlineExceeded));
    });
}

#[test]
fn a_time_of_zero_cancels_at_once() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("accepted").timeout(Duration::ZERO);
        assert!(queued.is_finished());
        busy.end();
        let ended = pool.submit(|| 7).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        assert_eq!(ended.timeout(Duration::ZERO).join().expect("it ran"), 7);
        assert_eq!(pool.submit(|| 7).expect("accepted").timeout(Duration::MAX).join().expect("it ran"), 7);
    });
}

#[test]
#[cfg(feature = "rayon")]
fn a_work_stealing_pool_refuses_the_setting() {
    let owner = Scope::new("owner");
    let refused = owner.create("work").start(PoolConfig::work_stealing(1).task_timeout(SOON)).expect_err("refused");
    assert!(
        matches!(
            refused.as_start().map(|it| it.kind()),
            Some(heirloom::StartErrorKind::Invalid { setting: "task_timeout", .. })
        ),
        "{refused}"
    );
}
