//! A verb that a deadline refuses or interrupts says so: by its error's kind, its reason and its place.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{
    CancelReason, Error, ErrorKind, Gate, GateMode, Heirloom, Lineage, PoolConfig, PoolManager, Scope, thread,
};

use crate::common::bounded;
use crate::common::pools::{Busy, block_on, started};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

/// One verb, and its error.
type Row<A> = (&'static str, fn(&A) -> Error);

#[track_caller]
fn refused<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("the deadline has passed"),
        Err(error) => error,
    }
}

fn assert_names(verb: &str, error: &Error, request: &Scope) {
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{verb}: {error}");
    let cause = error.as_cancelled().unwrap_or_else(|| panic!("{verb}: {error}"));
    assert_eq!((cause.reason(), cause.at()), (CancelReason::Deadline, &*request.to_string()), "{verb}");
    assert!(error.is_cancelled() && !error.is_temporary(), "{verb}: {error}");
    assert!(error.to_string().contains("the deadline of scope"), "{verb}: {error}");
}

/// The code's surroundings, where the deadline of its scope has passed.
struct After {
    shared: PoolManager,
    own: PoolManager,
    never_started: PoolManager,
    request: Lineage,
}

static BOUND_LATE: Heirloom<u32> = Heirloom::new("bound late");
static FRESH: Heirloom<u32> = Heirloom::new("fresh").fresh(|above| above + 1);
static HELD: Heirloom<Gate> = Heirloom::new("held");

const AFTER: &[Row<After>] = &[
    ("checkpoint", |_| refused(heirloom::checkpoint())),
    ("sleep", |_| refused(heirloom::sleep(HOUR))),
    ("block_on", |_| refused(heirloom::block_on(std::future::pending::<()>()))),
    ("submit", |at| refused(at.shared.submit(|| ()))),
    ("submit to a pool of the scope", |at| refused(at.own.submit(|| ()))),
    ("submit_at", |at| refused(at.shared.submit_at(0, || ()))),
    ("try_submit", |at| refused(at.shared.try_submit(|| ()).map_err(Error::from))),
    ("submit_timeout", |at| refused(at.shared.submit_timeout(|| (), HOUR))),
    ("submit_async", |at| refused(block_on(at.shared.submit_async(|| ())))),
    ("run", |at| refused(at.shared.run(|| ()))),
    ("call", |at| refused(at.shared.call(|| Ok::<_, Error>(())).join())),
    ("call.await", |at| refused(block_on(at.shared.call(|| Ok::<_, Error>(()))))),
    ("a submit in a borrowing scope", |at| at.shared.scope(|s| refused(s.submit(|| ()).map(drop)))),
    ("map", |at| refused(at.shared.map([1], |n| n).and_then(|mut map| map.next().expect("an item")))),
    ("map_unordered", |at| {
        refused(at.shared.map_unordered([1], |n| n).and_then(|mut map| map.next().expect("an item")))
    }),
    ("try_map", |at| refused(at.shared.try_map([1], Ok::<u32, Error>).next().expect("an item"))),
    ("stream", |at| refused(at.shared.stream(|out| out.send(1)).map(drop))),
    ("start", |at| refused(at.never_started.start(PoolConfig::leased(1)))),
    ("get_or_start", |at| refused(at.request.get_or_start("another", || PoolConfig::leased(1)))),
    ("a value of a fresh key", |at| refused(at.request.run(|| FRESH.get()))),
    ("bind", |at| refused(BOUND_LATE.at(&at.request).bind(1_u32))),
    ("get_or_init", |at| refused(BOUND_LATE.at(&at.request).get_or_init(|| 1))),
    ("get_or_init_async", |at| refused(block_on(BOUND_LATE.at(&at.request).get_or_init_async(|| async { 1 })))),
    ("a wait for a gate", |_| refused(HELD.enter(GateMode::Require))),
    ("a future's wait for a gate", |_| refused(block_on(HELD.enter_async(GateMode::Require)))),
    #[cfg(feature = "tokio")]
    ("spawn", |_| runtime().block_on(async { refused(heirloom::spawn(async {})) })),
    #[cfg(feature = "tokio")]
    ("spawn_blocking", |_| runtime().block_on(async { refused(heirloom::spawn_blocking(|| ())) })),
    #[cfg(feature = "tokio")]
    ("a portal's block_on", |_| {
        let runtime = runtime();
        refused(heirloom::Portal::new(runtime.handle()).block_on(std::future::pending::<()>()))
    }),
];

#[cfg(feature = "tokio")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime starts")
}

#[test]
fn where_it_has_passed_already() {
    bounded(|| {
        let owner = Scope::new("owner");
        let shared = started(&owner, "shared", PoolConfig::leased(1).priorities(2));
        HELD.at(owner.lineage()).bind(Gate::new("held").default_wait(HOUR)).expect("the first");
        FRESH.at(owner.lineage()).bind(1_u32).expect("the first");
        let request = Scope::new_in(owner.lineage(), "request 7");
        let own = started(&request, "own", PoolConfig::leased(1));
        let never_started = request.create("never started");
        let held = owner.run(|| HELD.enter(GateMode::Require)).expect("it is free");
        let after = After { shared, own, never_started, request: request.lineage().clone() };
        let errors = {
            let place = request.lineage().clone();
            request.deadline(Instant::now());
            block_on(place.cancelled());
            // A thread of its own, as the test's thread holds the gate; not joined, as a join would close a circle.
            let (tell, told) = mpsc::channel();
            let all =
                move || AFTER.iter().for_each(|(verb, row)| tell.send((*verb, row(&after))).expect("the test listens"));
            drop(request.run(|| thread::spawn(all)).expect("a thread starts"));
            told.iter().collect::<Vec<_>>()
        };
        assert_eq!(errors.len(), AFTER.len());
        for (verb, error) in &errors {
            assert_names(verb, error, &request);
        }
        drop(held);
    });
}

/// The code's surroundings, where the deadline of its scope passes during a wait.
struct Meanwhile {
    /// Its one task runs, and its queue is full.
    full: PoolManager,
    /// Its one task runs, and its queue has capacity.
    busy: PoolManager,
    idle: PoolManager,
}

static STAGE: Gate = Gate::new("stage");
static SLOW: Heirloom<u32> = Heirloom::new("slow");

const MEANWHILE: &[Row<Meanwhile>] = &[
    ("sleep", |_| refused(heirloom::sleep(HOUR))),
    ("block_on", |_| refused(heirloom::block_on(std::future::pending::<()>()))),
    ("a gate", |_| refused(STAGE.enter_timeout(HOUR))),
    ("a future at a gate", |_| refused(block_on(STAGE.enter_timeout_async(HOUR)))),
    ("the capacity of a queue", |at| refused(at.full.submit_timeout(|| (), HOUR))),
    ("a future for the capacity", |at| refused(block_on(at.full.submit_async(|| ())))),
    ("a map for the capacity", |at| refused(at.full.map([1], |n| n).and_then(|mut map| map.next().expect("an item")))),
    ("a value's initialiser", |_| refused(SLOW.get_or_init(|| 2))),
    ("a future for an initialiser", |_| refused(block_on(SLOW.get_or_init_async(|| async { 2 })))),
    ("join_cancelling", |_| {
        let sleeper = thread::Builder::new().shielded().spawn(|| heirloom::sleep(HOUR)).expect("a thread starts");
        refused(sleeper.join_cancelling())
    }),
    ("join_cancelling of a task", |at| {
        refused(
            at.idle.submit(|| heirloom::sleep(HOUR)).and_then(|task| task.join_cancelling()).and_then(|slept| slept),
        )
    }),
    ("a call", |at| refused(at.idle.call(|| heirloom::sleep(HOUR)).join())),
    ("a queued task", |at| refused(at.busy.submit(|| ()).and_then(|task| task.join()))),
    ("send", |at| {
        let sends = |out: &heirloom::StreamSender<u32>| (0..).try_for_each(|n| out.send(n));
        let mut stream = at.idle.stream_with_capacity(1, sends).expect("accepted");
        block_on(heirloom::cancelled());
        refused(stream.find_map(Result::err).map_or(Ok(()), Err))
    }),
    #[cfg(feature = "tokio")]
    ("a spawned future", |_| {
        runtime().block_on(async { refused(heirloom::spawn(std::future::pending::<()>()).expect("spawned").await) })
    }),
    #[cfg(feature = "tokio")]
    ("a portal's block_on", |_| {
        let runtime = runtime();
        refused(heirloom::Portal::new(runtime.handle()).block_on(std::future::pending::<()>()))
    }),
];

#[test]
fn where_it_ends_a_wait() {
    bounded(|| {
        let owner = Scope::new("owner");
        let full = started(&owner, "full", PoolConfig::leased(1).queue_limit(1));
        let idle = started(&owner, "idle", PoolConfig::leased(1).holds_permit());
        let occupied = started(&owner, "busy", PoolConfig::leased(1));
        let busy = [Busy::on(&full), Busy::on(&occupied)];
        let filler = full.submit(|| ()).expect("there is capacity for one");
        let held = STAGE.enter().expect("it is free");
        let (end, initialiser) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        let slow = thread::spawn(move || {
            SLOW.get_or_init(|| {
                begins.send(()).expect("the test listens");
                initialiser.recv().map_or(0, |()| 1)
            })
        });
        let slow = slow.expect("a thread starts");
        begun.recv().expect("it has begun");
        let request = Scope::new_in(owner.lineage(), "request 7");
        let waits: Vec<_> = MEANWHILE
            .iter()
            .map(|(verb, row)| {
                let at = Meanwhile { full: full.clone(), busy: occupied.clone(), idle: idle.clone() };
                (*verb, request.run(|| thread::spawn(move || row(&at))).expect("a thread starts"))
            })
            .collect();
        request.deadline(Instant::now() + SOON);
        for (verb, wait) in waits {
            assert_names(verb, &wait.join().unwrap_or_else(|error| panic!("{verb}: {error}")), &request);
        }
        drop(held);
        end.send(()).expect("the initialiser listens");
        assert!(slow.join().expect("no panic").is_ok());
        busy.into_iter().for_each(Busy::end);
        filler.join().expect("runs");
    });
}

#[test]
fn an_end_by_another_cause_is_no_deadline() {
    bounded(|| {
        let owner = Scope::new("owner");
        let shared = started(&owner, "shared", PoolConfig::leased(1));
        let request = Scope::new_in(owner.lineage(), "request 7");
        request.deadline(Instant::now() + HOUR);
        request.close();
        let closed = request.run(|| refused(shared.submit(|| ())));
        assert_eq!((closed.kind(), closed.as_cancelled()), (ErrorKind::ScopeEnded, None));
        request.cancel();
        let cancelled = request.run(|| refused(shared.submit(|| ())));
        assert_eq!(cancelled.kind(), ErrorKind::ScopeEnded);
        assert_eq!(cancelled.as_cancelled().map(|cause| cause.reason()), Some(CancelReason::Request));
    });
}
