//! A scope's deadline cancels everything below it, with its reason; the earliest of those above holds.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{CancelReason, Error, ErrorKind, FutureExt, Lineage, PoolConfig, Scope, TaskSet, thread};

use crate::common::pools::{Busy, block_on, started};
use crate::common::{BOUND, bounded};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

fn soon() -> Instant {
    Instant::now() + SOON
}

fn assert_is_deadline_of(error: &Error, place: &str) {
    let cancelled = error.as_cancelled().expect("it was cancelled");
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!((cancelled.reason(), cancelled.at()), (CancelReason::Deadline, place));
}

#[test]
fn a_queued_task_ends_and_a_sleeper_wakes() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request 7");
        let queued = request.run(|| pool.submit(|| ()).expect("accepted"));
        let sleeper = request.run(|| thread::spawn(|| heirloom::sleep(HOUR)).expect("a thread starts"));
        let at = soon();
        request.deadline(at);
        let error = queued.join().expect_err("it never ran");
        assert!(Instant::now() >= at, "it came early");
        assert_is_deadline_of(&error, &request.to_string());
        let cancelled = sleeper.join().expect("no panic").expect_err("it was cancelled");
        assert_is_deadline_of(&cancelled, &request.to_string());
        assert!(request.is_closed() && request.is_cancelled());
        busy.end();
    });
}

#[test]
fn the_earliest_of_those_above_holds_and_shields_cut() {
    bounded(|| {
        let base = Instant::now() + HOUR;
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let seen = || inner.run(heirloom::deadline);
        assert_eq!(seen(), None);
        inner.deadline(base + SOON);
        assert_eq!(seen(), Some(base + SOON));
        outer.deadline(base);
        assert_eq!(seen(), Some(base));
        assert_eq!(outer.lineage().deadline(), Some(base));
        // Moved later, then earlier.
        outer.deadline(base + HOUR);
        assert_eq!(seen(), Some(base + SOON));
        inner.deadline(base - SOON);
        assert_eq!((seen(), inner.lineage().remaining().is_some_and(|left| left < HOUR)), (Some(base - SOON), true));
        let own = inner.run(|| thread::spawn(heirloom::deadline).expect("a thread starts"));
        assert_eq!(own.join().expect("no panic"), Some(base - SOON));
        let shielded = inner.run(|| thread::Builder::new().shielded().spawn(heirloom::deadline)).expect("starts");
        assert_eq!(shielded.join().expect("no panic"), None);
        let owner = Scope::new("owner");
        let detached = started(&owner, "detached", PoolConfig::leased(1).detached());
        assert_eq!(inner.run(|| detached.submit(heirloom::deadline)).expect("accepted").join().expect("runs"), None);
        let shared = started(&owner, "shared", PoolConfig::leased(1));
        let left = inner.run(|| shared.submit(heirloom::remaining)).expect("accepted").join().expect("runs");
        assert!(left.is_some());
        drop(inner);
        assert_eq!(Lineage::process().deadline(), None);
    });
}

#[test]
fn a_deadline_that_is_moved_later_does_not_come_at_its_first_moment() {
    bounded(|| {
        let scope = Scope::new("request");
        scope.deadline(soon());
        scope.deadline(Instant::now() + HOUR);
        std::thread::sleep(3 * SOON);
        assert!(!scope.is_cancelled());
        let sleeper = scope.run(|| thread::spawn(|| heirloom::sleep(HOUR)).expect("a thread starts"));
        let at = soon();
        scope.deadline(at);
        assert!(sleeper.join().expect("no panic").is_err());
        assert!(Instant::now() >= at);
    });
}

#[test]
fn a_moment_that_has_passed_cancels_at_once_and_stays() {
    bounded(|| {
        let scope = Scope::new("request");
        let at = Instant::now();
        scope.deadline(at);
        let cancelled = scope.run(heirloom::checkpoint).expect_err("it is cancelled");
        assert_is_deadline_of(&cancelled, &scope.to_string());
        scope.deadline(Instant::now() + HOUR);
        assert_eq!(scope.lineage().deadline(), Some(at));
        assert_eq!(scope.run(heirloom::remaining), Some(Duration::ZERO));
        // The drop is a second request: the first one keeps its reason.
        let node = scope.lineage().clone();
        drop(scope);
        assert_eq!(node.run(heirloom::checkpoint).expect_err("it is cancelled").kind(), ErrorKind::DeadlineExceeded);
        // Code that still stands there has no time left.
        assert_eq!(node.remaining(), Some(Duration::ZERO));
    });
}

#[test]
fn a_closed_scope_keeps_its_deadline_until_its_tasks_have_ended() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let request = Scope::new("request");
        let (starts, has_started) = mpsc::channel();
        let task = request.run(|| {
            pool.submit(move || {
                starts.send(()).expect("the test listens");
                heirloom::sleep(HOUR)
            })
        });
        has_started.recv().expect("it starts");
        request.deadline(soon());
        let place = request.to_string();
        request.finish();
        let cancelled = task.expect("accepted").join().expect("it ran").expect_err("it was cancelled");
        assert_is_deadline_of(&cancelled, &place);
    });
}

#[test]
fn a_scopes_own_pool_ends_with_its_deadline() {
    bounded(|| {
        let request = Scope::new("request");
        let pool = started(&request, "own", PoolConfig::leased(1).holds_permit());
        let (starts, has_started) = mpsc::channel();
        // Submitted elsewhere.
        let running = pool.submit(move || {
            starts.send(()).expect("the test listens");
            heirloom::sleep(HOUR)
        });
        has_started.recv().expect("it starts");
        let queued = pool.submit(|| ()).expect("accepted");
        request.deadline(soon());
        let cancelled = running.expect("accepted").join().expect("it ran").expect_err("it was cancelled");
        assert_is_deadline_of(&cancelled, &request.to_string());
        let error = queued.join().expect_err("it never ran");
        assert_is_deadline_of(&error, &request.to_string());
        assert!(pool.submit(|| ()).is_err(), "the pool is closed");
    });
}

#[test]
fn run_timeout_returns_when_its_tasks_have_ended() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(4));
        let mut ends = Scope::run_timeout("request", 25 * SOON, |_| {
            let mut tasks = TaskSet::new();
            (0..4).for_each(|_| tasks.push(pool.submit(|| heirloom::sleep(HOUR)).expect("accepted")));
            heirloom::sleep(HOUR).expect_err("it is cancelled");
            tasks
        });
        for _ in 0..4 {
            let (_, task) = ends.join_next().expect("it is left");
            let slept = task.expect("it ran");
            assert_eq!(slept.expect_err("it was cancelled").kind(), ErrorKind::DeadlineExceeded);
        }
        assert_eq!(Scope::run_timeout("request", HOUR, |scope| scope.run(|| 7)), 7);
    });
}

#[test]
fn a_future_in_a_scope_ends_at_its_deadline_whatever_it_awaits() {
    bounded(|| {
        struct Says(mpsc::Sender<Option<ErrorKind>>);
        impl Drop for Says {
            fn drop(&mut self) {
                let reason = heirloom::checkpoint().err().map(|error| error.kind());
                self.0.send(reason).expect("the test listens");
            }
        }
        let (says, said) = mpsc::channel();
        let scope = Scope::new("request");
        let place = scope.to_string();
        let never = async move {
            let _says = Says(says);
            std::future::pending::<()>().await;
        };
        let cancelled = block_on(never.in_scope(scope).timeout(SOON)).expect_err("it is cancelled");
        assert_is_deadline_of(&cancelled, &place);
        assert_eq!(said.recv_timeout(BOUND), Ok(Some(ErrorKind::DeadlineExceeded)));
        assert_eq!(block_on(async { 7 }.in_scope(Scope::new("request")).timeout(HOUR)).ok(), Some(7));
        // A cancel from above ends it too.
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let waits = std::future::pending::<()>().in_scope(inner).timeout(HOUR);
        outer.cancel();
        let cancelled = block_on(waits).expect_err("it is cancelled");
        assert_eq!(cancelled.as_cancelled().map(|it| it.reason()), Some(CancelReason::Request));
    });
}

#[test]
fn a_slow_drop_at_one_deadline_holds_up_no_other() {
    bounded(|| {
        struct Slow(mpsc::Receiver<()>, mpsc::Sender<()>);
        impl Drop for Slow {
            fn drop(&mut self) {
                self.1.send(()).expect("the test listens");
                let _ = self.0.recv();
            }
        }
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let (drops, dropping) = mpsc::channel();
        let slow: Vec<_> = (0..8)
            .map(|_| {
                let (open, gate) = mpsc::channel();
                let slow = Slow(gate, drops.clone());
                let request = Scope::new("slow");
                let task = request.run(|| pool.submit(move || drop(slow)).expect("accepted"));
                request.deadline(soon());
                (request, task, open)
            })
            .collect();
        // Each of them is inside its drop.
        slow.iter().for_each(|_| dropping.recv_timeout(BOUND).expect("its deadline came"));
        for _ in 0..10 {
            let request = Scope::new("quick");
            let sleeper = request.run(|| thread::spawn(|| heirloom::sleep(HOUR)).expect("a thread starts"));
            request.deadline(soon());
            assert!(sleeper.join().expect("no panic").is_err());
        }
        for (request, task, open) in slow {
            assert!(task.is_finished(), "the outcome is there before the drop");
            drop(open);
            drop(request);
        }
        busy.end();
    });
}

#[test]
fn a_dropped_scope_has_no_deadline_left() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let request = Scope::new("request 7");
        request.deadline(Instant::now() + HOUR);
        let (begins, begun) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let looks = move || {
            begins.send(heirloom::deadline().is_some()).expect("the test listens");
            (goes.recv(), heirloom::deadline(), heirloom::checkpoint().map_err(|error| error.kind()))
        };
        let task = request.run(|| pool.submit(looks)).expect("accepted");
        assert_eq!(begun.recv(), Ok(true));
        drop(request); // the task runs on
        go.send(()).expect("the task listens");
        assert_eq!(task.join().expect("it ran"), (Ok(()), None, Err(ErrorKind::Cancelled)));
    });
}

#[test]
fn a_time_beyond_the_clock_takes_an_earlier_deadline_away() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let task = pool.submit(heirloom::deadline).expect("accepted").timeout(HOUR).timeout(Duration::MAX);
        busy.end();
        assert_eq!(task.join().expect("it ran"), None);
    });
}

#[test]
fn ten_thousand_deadlines_of_one_moment_are_carried_by_few_threads() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let at = Instant::now() + 10 * SOON;
        let requests: Vec<_> = (0..10_000).map(|_| Scope::new("request")).collect();
        let tasks: Vec<_> = requests
            .iter()
            .map(|request| {
                request.deadline(at);
                request.run(|| pool.submit(|| ()))
            })
            .collect();
        for task in tasks {
            match task {
                Ok(task) => assert_eq!(task.join().map_err(|error| error.kind()), Err(ErrorKind::DeadlineExceeded)),
                // A slow machine reaches the moment before the last submit.
                Err(error) => assert_eq!(error.kind(), ErrorKind::DeadlineExceeded),
            }
        }
        busy.end();
    });
}
