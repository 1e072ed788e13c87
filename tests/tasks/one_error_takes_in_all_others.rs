//! `heirloom::Error`: every error of the crate converts into it, prints as itself, and says whether somebody asked for
//! an end and whether trying again may work.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Error, ErrorKind, Gate, GateMode, Heirloom, PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

static TENANT: Heirloom<u64> = Heirloom::new("tenant");
static GATE: Heirloom<Gate> = Heirloom::new("stage");

/// `?` on each result.
fn passed_up<T, E: Into<Error>>(result: Result<T, E>) -> Error {
    match result {
        Ok(_) => panic!("it was to fail"),
        Err(error) => error.into(),
    }
}

/// The answers of the error, in one word each.
fn answers(error: &Error) -> (ErrorKind, &'static str) {
    let answer = match (error.is_cancelled(), error.is_temporary()) {
        (false, false) => FOR_GOOD,
        (true, false) => CANCELLED,
        (false, true) => TEMPORARY,
        (true, true) => panic!("a cancel is for good: {error}"),
    };
    assert_eq!(error.is_panic(), error.kind() == ErrorKind::Panicked);
    (error.kind(), answer)
}

const CANCELLED: &str = "cancelled";
const TEMPORARY: &str = "temporary";
const FOR_GOOD: &str = "for good";

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    started(scope, "work", config)
}

#[test]
fn it_prints_as_the_one_it_was_and_crosses_threads() {
    bounded(|| {
        fn crosses<T: std::error::Error + Send + Sync + 'static>() {}
        crosses::<Error>();
        let error = heirloom::get("nobody has it").expect_err("nobody has");
        let Error::ManagerNotFound(missing) = &error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), missing.to_string());
        assert_eq!(answers(&error), (ErrorKind::NotFound, FOR_GOOD));
    });
}

#[test]
fn whatever_a_cancelled_scope_leads_to_is_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let shared = pool(&scope, PoolConfig::leased(1));
        let request = Scope::new_in(scope.lineage(), "request");
        let own = started(&request, "own", PoolConfig::leased(1));
        let blocker = Busy::on(&shared);
        let queued = request.run(|| shared.submit(|| ())).expect("accepted");
        request.cancel();
        blocker.end();
        let told = request.run(|| {
            vec![
                (ErrorKind::Cancelled, passed_up(heirloom::checkpoint())),
                (ErrorKind::Cancelled, passed_up(heirloom::sleep(Duration::from_secs(600)))),
                (ErrorKind::Cancelled, passed_up(queued.join())),
                (ErrorKind::ScopeEnded, passed_up(shared.submit(|| ()))),
                (ErrorKind::ScopeEnded, passed_up(shared.try_submit(|| ()))),
                (ErrorKind::ScopeEnded, passed_up(own.submit(|| ()))),
                (ErrorKind::ScopeEnded, passed_up(own.run(|| ()))),
                (ErrorKind::ScopeEnded, passed_up(heirloom::create("another").start(PoolConfig::leased(1)))),
                (ErrorKind::ScopeEnded, passed_up(TENANT.at(request.lineage()).bind(7))),
                (ErrorKind::ScopeEnded, passed_up(TENANT.at(request.lineage()).get_or_init(|| 7))),
            ]
        });
        for (kind, error) in told {
            assert_eq!(answers(&error), (kind, CANCELLED), "{error:?}");
        }
    });
}

#[test]
fn what_is_full_or_taken_is_so_for_a_time() {
    bounded(|| {
        let scope = Scope::new("test");
        let bounded = pool(&scope, PoolConfig::leased(1).queue_limit(1));
        let blocker = Busy::on(&bounded);
        let queued = bounded.submit(|| ()).expect("there is room for one");
        assert_eq!(answers(&passed_up(bounded.submit(|| ()))), (ErrorKind::QueueFull, TEMPORARY));
        assert_eq!(answers(&passed_up(bounded.try_submit(|| ()))), (ErrorKind::QueueFull, TEMPORARY));
        blocker.end();
        queued.join().expect("runs");

        GATE.at(scope.lineage()).bind(Gate::new("stage")).expect("the first");
        let inside = scope.run(|| GATE.enter(GateMode::Require)).expect("nobody is in");
        let (tell, told) = mpsc::channel();
        let asks = scope.run(|| bounded.submit(move || tell.send(GATE.enter(GateMode::Require).map(drop))));
        // Not by a join: whoever holds the gate and waits for one who asks for it is told that neither can go on.
        assert_eq!(answers(&passed_up(told.recv().expect("is told"))), (ErrorKind::Busy, TEMPORARY));
        drop(inside);
        assert!(asks.expect("accepted").join().is_ok());
    });
}

#[test]
fn what_a_pool_could_not_do_now_it_may_do_later_however_that_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let failing = pool(&scope, PoolConfig::dedicated(1).on_worker_start(|_| Err::<(), _>("not yet")));
        let told = failing.submit(|| ()).expect("no thread has failed yet").join();
        assert_eq!(answers(&passed_up(told)), (ErrorKind::WorkerInit, TEMPORARY));
        assert_eq!(answers(&passed_up(failing.submit(|| ()))), (ErrorKind::WorkerInit, TEMPORARY));

        let ending = started(&scope, "ending", PoolConfig::leased(1));
        let blocker = Busy::on(&ending);
        ending.close();
        assert_eq!(answers(&passed_up(ending.start(PoolConfig::leased(1)))), (ErrorKind::StillStopping, TEMPORARY));
        blocker.end();

        let slow = started(&scope, "slow", PoolConfig::leased(1));
        let blocker = Busy::on(&slow);
        let mut set: TaskSet<()> = [slow.submit(|| ()).expect("accepted")].into_iter().collect();
        assert_eq!(answers(&passed_up(set.join_next_timeout(Duration::ZERO))), (ErrorKind::TimedOut, TEMPORARY));
        blocker.end();
    });
}

#[test]
fn a_value_that_a_cancelled_place_makes_of_one_above_is_cancelled_too() {
    static SPAN: Heirloom<u64> = Heirloom::new("span").fresh(|above| above + 1);
    bounded(|| {
        let scope = Scope::new("test");
        SPAN.at(scope.lineage()).bind(1).expect("the first");
        let request = Scope::new_in(scope.lineage(), "request");
        request.cancel();
        assert_eq!(answers(&passed_up(request.run(|| SPAN.get()))), (ErrorKind::ScopeEnded, CANCELLED));
    });
}

#[test]
fn what_is_wrong_stays_wrong() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let own = pool.clone();
        let told = [
            (ErrorKind::Invalid, passed_up(pool.start(PoolConfig::leased(0)))),
            (ErrorKind::Panicked, passed_up(pool.submit(|| panic!("it is to")).expect("accepted").join())),
            (
                ErrorKind::FromOwnTask,
                passed_up(pool.submit(move || own.stop().map(drop)).expect("accepted").join().expect("runs")),
            ),
            (ErrorKind::NotBound, passed_up(TENANT.get())),
            (ErrorKind::NotBound, passed_up(GATE.enter(GateMode::Require))),
            (ErrorKind::NotStarted, passed_up(scope.create("never started").submit(|| ()))),
        ];
        for (kind, error) in told {
            assert_eq!(answers(&error), (kind, FOR_GOOD), "{error:?}");
        }
    });
}

#[test]
fn it_is_two_words() {
    assert_eq!(size_of::<Error>(), 2 * size_of::<usize>());
    assert_eq!(size_of::<Result<PoolManager, Error>>(), size_of::<Error>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<Error>());
}

#[test]
fn a_panics_payload_comes_back_from_a_task_and_from_a_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let task = pool.submit(|| -> () { std::panic::panic_any(7_u8) }).expect("accepted");
        let id = task.id();
        let of_task = task.join().expect_err("it panicked");
        assert_eq!((of_task.task_id(), of_task.namespace()), (Some(id), Some(pool.namespace())));
        let thread = heirloom::thread::spawn(|| -> () { std::panic::panic_any(7_u8) }).expect("a thread starts");
        for error in [of_task, thread.join().expect_err("it panicked")] {
            assert_eq!((error.kind(), error.panic_message()), (ErrorKind::Panicked, None));
            let payload = error.into_panic().expect("with a payload");
            assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
        }
        let other = heirloom::get("no such name").expect_err("there is none");
        let kept = other.into_panic().expect_err("no code panicked");
        assert_eq!(kept.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn the_callers_own_error_is_its_source() {
    static OWN: Heirloom<u64> = Heirloom::new("own");
    bounded(|| {
        let made = OWN.get_or_try_init(|| Err(std::io::Error::other("no such user")));
        let error = made.expect_err("the initialiser failed");
        assert_eq!(answers(&error), (ErrorKind::InitFailed, FOR_GOOD));
        let source = std::error::Error::source(&error).expect("it has one");
        assert!(source.downcast_ref::<std::io::Error>().is_some_and(|own| own.to_string() == "no such user"));

        let scope = Scope::new("test");
        let failing = scope.create("work");
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(|_| Err(std::io::Error::other("no licence")));
        let error = failing.start(config).expect_err("the worker's initialiser failed");
        assert_eq!(error.kind(), ErrorKind::WorkerInit);
        let source = std::error::Error::source(&error).expect("it has one");
        assert!(source.is::<std::io::Error>(), "{source}");
    });
}

#[test]
fn each_message_names_the_manager_the_key_or_the_scope() {
    bounded(|| {
        let scope = Scope::new("request 7");
        let mail = scope.create("mail");
        let own = started(&scope, "own", PoolConfig::leased(1));
        let stops = own.clone();
        let told = [
            ("mail", "start(", mail.submit(|| ()).map(drop)),
            ("mail", "create(", heirloom::get("mail").map(drop)),
            ("mail", "`n`", mail.start(PoolConfig::leased(0))),
            ("own", "close", own.submit(move || stops.stop().map(drop)).expect("accepted").join().expect("runs")),
            ("tenant", "bind", TENANT.get().map(drop)),
            ("own", "panicked", own.run(|| panic!("it is to"))),
        ];
        for (name, remedy, result) in told {
            let text = result.expect_err("it was to fail").to_string();
            assert!(text.contains(name) && text.contains(remedy), "{text}");
        }
    });
}

#[test]
fn a_passed_deadline_is_a_time_out_of_std() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let task = pool.submit(|| heirloom::sleep(std::time::Duration::MAX)).expect("accepted");
        let error = match task.timeout(std::time::Duration::ZERO).join() {
            Ok(slept) => slept.expect_err("the deadline ends it"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
    });
}
