//! The steps of a [`Drain`]: the signal, the grace, the cancel, the report.

use std::future::{pending, ready};
use std::sync::mpsc;
use std::time::Duration;

use futures::executor::block_on;
use heirloom::{CancelReason, Drain, FutureExt, PoolConfig, PoolManager, Registry, Scope, TaskHandle};

use crate::common::{BOUND, bounded};

const SHORT: Duration = Duration::from_millis(20);

/// Runs a test in a family of its own: a drain closes every pool of its family.
fn in_family(test: impl FnOnce() + Send + 'static) {
    bounded(|| Registry::new().root().run(test));
}

fn pool(name: &'static str) -> PoolManager {
    let pool = heirloom::create(name);
    pool.start(PoolConfig::leased(2)).expect("it starts");
    pool
}

/// A task of the scope that ends only when it is cancelled.
fn until_cancelled(scope: &Scope, pool: &PoolManager) -> TaskHandle<bool> {
    scope.run(|| pool.submit(|| heirloom::sleep(BOUND * 10).is_err())).expect("it is accepted")
}

#[test]
fn an_idle_server_ends_at_the_signal() {
    in_family(|| {
        let drained = block_on(Drain::within(BOUND * 10).serve(ready(()), |stopping| stopping));
        assert!(drained.is_complete() && !drained.cancelled, "{drained}");
        assert!(drained.took < BOUND, "{drained}");
    });
}

#[test]
fn a_server_that_ends_by_itself_ends_the_drain() {
    in_family(|| {
        let mail = pool("mail");
        let sent = mail.submit(|| "sent").expect("it is accepted");
        let drained =
            block_on(Drain::within(BOUND * 10).serve(pending(), |_| async { Err::<(), _>("the port is taken") }));
        assert_eq!(drained.server, Some(Err("the port is taken")));
        assert!(drained.pools.is_complete(), "{drained}");
        assert!(sent.is_finished() && mail.submit(|| ()).is_err());
    });
}

#[test]
fn open_work_goes_on_within_the_grace() {
    in_family(|| {
        let work = pool("work");
        let request = Scope::new("request 7");
        let (answer, answered) = mpsc::channel();
        let task = request.run(|| work.submit(move || answered.recv())).expect("it is accepted");
        let drain = Drain::within(BOUND * 10).grace(BOUND * 10);
        let drained = block_on(drain.serve(ready(()), |stopping| async {
            stopping.await;
            // An open request may still submit.
            let more = request.run(|| work.submit(|| 7)).expect("it is accepted").await;
            answer.send("answer").expect("the task listens");
            (task.await.expect("it runs"), more.expect("it runs"))
        }));
        assert_eq!(drained.server, Some((Ok("answer"), 7)));
        assert!(!drained.cancelled && drained.pools.is_complete());
    });
}

#[test]
fn work_that_outlives_the_grace_is_cancelled() {
    in_family(|| {
        let work = pool("work");
        let tenant = Scope::new("tenant");
        let request = Scope::new_in(&tenant, "request 7");
        let (first, second) = (until_cancelled(&tenant, &work), until_cancelled(&request, &work));
        let drain = Drain::within(BOUND * 10).grace(SHORT);
        let drained = block_on(drain.serve(ready(()), |_| async { (first.await, second.await) }));
        assert!(drained.cancelled && drained.is_complete(), "{drained}");
        assert!(matches!(drained.server, Some((Ok(true), Ok(true)))));
    });
}

#[test]
fn the_reason_of_the_cancel_is_the_shutdown() {
    in_family(|| {
        let work = pool("work");
        let request = Scope::new("request 7");
        let late = request.run(|| work.submit(|| heirloom::sleep(BOUND * 10))).expect("it is accepted");
        assert!(Drain::within(BOUND * 10).grace(SHORT).end().cancelled);
        let cancelled = late.join().expect("it runs").expect_err("it was cancelled");
        assert_eq!(cancelled.as_cancelled().map(|it| it.reason()), Some(CancelReason::Shutdown));
    });
}

#[test]
fn work_of_a_server_that_has_ended_has_the_grace_too() {
    in_family(|| {
        let work = pool("work");
        let request = Scope::new("request 7");
        let late = until_cancelled(&request, &work);
        let drained = block_on(Drain::within(BOUND * 10).grace(SHORT).serve(ready(()), |stopping| stopping));
        assert!(drained.cancelled && drained.is_complete() && drained.took >= SHORT, "{drained}");
        assert!(late.join().is_ok_and(|cancelled| cancelled));
    });
}

#[test]
fn a_chosen_node_is_cancelled_alone() {
    in_family(|| {
        let work = pool("work");
        let (requests, jobs) = (Scope::new("requests"), Scope::new("jobs"));
        let request = until_cancelled(&requests, &work);
        let (go, goes) = mpsc::channel();
        let job = jobs.run(|| work.submit(move || (goes.recv(), heirloom::is_cancelled()))).expect("it is accepted");
        let drain = Drain::within(BOUND * 10).grace(SHORT).cancel(requests.lineage());
        let drained = block_on(drain.serve(ready(()), |_| async {
            let request = request.await;
            go.send(()).expect("the job listens");
            (request, job.await)
        }));
        assert!(matches!(drained.server, Some((Ok(true), Ok((Ok(()), false))))));
        assert!(drained.cancelled && drained.pools.is_complete());
    });
}

#[test]
fn a_task_that_answers_no_cancel_is_in_the_report() {
    in_family(|| {
        let work = pool("work");
        let request = Scope::new("request 7");
        let (release, blocks) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        let task = request.run(|| work.submit(move || (begins.send(()), blocks.recv()))).expect("it is accepted");
        begun.recv().expect("it runs");
        let drain = Drain::within(SHORT * 4).grace(SHORT);
        let drained = block_on(drain.serve(ready(()), |_| task.in_lineage(&request)));
        assert!(drained.server.is_none() && drained.cancelled && !drained.is_complete());
        let still = &drained.pools.pools[0].report.still_running;
        assert!(still.len() == 1 && still[0].place.as_ref().is_some_and(|at| at.contains("request 7")), "{drained}");
        drop(release);
    });
}

#[test]
fn a_program_without_a_server_ends_by_the_same_steps() {
    in_family(|| {
        let work = pool("work");
        let command = Scope::new("command");
        let late = until_cancelled(&command, &work);
        let drained = Drain::within(BOUND * 10).grace(SHORT).end();
        assert!(drained.cancelled && drained.is_complete(), "{drained}");
        assert!(late.join().is_ok_and(|cancelled| cancelled));
        let again = block_on(Drain::within(BOUND).end_async());
        assert!(!again.cancelled && again.is_complete(), "{again}");
    });
}

#[test]
fn a_server_elsewhere_stops_when_the_drain_is_dropped() {
    in_family(|| {
        let (sends, stopping) = mpsc::channel();
        let mut serving = Box::pin(Drain::within(BOUND).serve(pending(), move |stopping| {
            sends.send(stopping).expect("the test listens");
            pending::<()>()
        }));
        assert!(block_on(async { futures::poll!(&mut serving) }).is_pending());
        let mut stopping = stopping.recv().expect("it was sent");
        drop(serving);
        block_on(&mut stopping);
        block_on(stopping); // ready once, ready for good
    });
}

#[test]
fn a_grace_of_the_whole_time_cancels_nothing() {
    in_family(|| {
        let work = pool("work");
        let request = Scope::new("request 7");
        let (release, blocks) = mpsc::channel::<()>();
        let task = request.run(|| work.submit(move || (blocks.recv().is_err(), heirloom::is_cancelled())));
        let task = task.expect("it is accepted");
        let drained = block_on(Drain::within(SHORT).grace(SHORT).serve(ready(()), |_| pending::<()>()));
        assert!(drained.server.is_none() && !drained.cancelled && !drained.is_complete(), "{drained}");
        drop(release);
        assert_eq!(task.join().expect("it runs"), (true, false));
    });
}
