//! `heirloom::Error`: every error of the crate converts into it, prints as itself, and says whether somebody asked for
//! an end and whether trying again may work.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Error, Gate, GateMode, Heirloom, PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

static TENANT: Heirloom<u64> = Heirloom::new("tenant");
static GATE: Heirloom<Gate> = Heirloom::new("stage");

/// What a caller writes: `?` on whatever comes.
fn passed_up<T, E: Into<Error>>(result: Result<T, E>) -> Error {
    match result {
        Ok(_) => panic!("it was to fail"),
        Err(error) => error.into(),
    }
}

/// What the error answers; the one it was agrees.
fn answers(error: &Error) -> (bool, bool) {
    let own = match error {
        Error::Start(error) => Some(error.is_temporary()),
        Error::Submit(error) => Some(error.is_temporary()),
        Error::Task(error) => Some(error.is_temporary()),
        _ => None,
    };
    assert!(own.is_none_or(|own| own == error.is_temporary()), "{error:?}");
    (error.is_cancelled(), error.is_temporary())
}

const CANCELLED: (bool, bool) = (true, false);
const TEMPORARY: (bool, bool) = (false, true);
const FOR_GOOD: (bool, bool) = (false, false);

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    started(scope, "work", config)
}

#[test]
fn it_prints_as_the_one_it_was_and_crosses_threads() {
    bounded(|| {
        fn crosses<T: std::error::Error + Send + Sync + 'static>() {}
        crosses::<Error>();
        let missing = heirloom::get("nobody has it").expect_err("nobody has");
        let (text, error) = (missing.to_string(), Error::from(missing));
        assert_eq!(error.to_string(), text);
        assert!(matches!(&error, Error::ManagerNotFound(_)));
        assert_eq!(answers(&error), FOR_GOOD);
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
                passed_up(heirloom::checkpoint()),
                passed_up(heirloom::sleep(Duration::from_secs(600))),
                passed_up(queued.join()),
                passed_up(shared.submit(|| ())),
                passed_up(shared.try_submit(|| ())),
                passed_up(own.submit(|| ())),
                passed_up(own.run(|| ())),
                passed_up(heirloom::create("another").start(PoolConfig::leased(1))),
                passed_up(TENANT.at(request.lineage()).bind(7)),
                passed_up(TENANT.at(request.lineage()).get_or_init(|| 7)),
            ]
        });
        for error in told {
            assert_eq!(answers(&error), CANCELLED, "{error:?}");
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
        assert_eq!(answers(&passed_up(bounded.submit(|| ()))), TEMPORARY);
        assert_eq!(answers(&passed_up(bounded.try_submit(|| ()))), TEMPORARY);
        blocker.end();
        queued.join().expect("runs");

        GATE.at(scope.lineage()).bind(Gate::new("stage")).expect("the first");
        let inside = scope.run(|| GATE.enter(GateMode::Require)).expect("nobody is in");
        let (tell, told) = mpsc::channel();
        let asks = scope.run(|| bounded.submit(move || tell.send(GATE.enter(GateMode::Require).map(drop))));
        // Not by a join: whoever holds the gate and waits for one who asks for it is told that neither can go on.
        assert_eq!(answers(&passed_up(told.recv().expect("is told"))), TEMPORARY);
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
        assert!(told.as_ref().is_err_and(heirloom::TaskError::is_worker_init));
        assert_eq!(answers(&passed_up(told)), TEMPORARY);
        assert_eq!(answers(&passed_up(failing.submit(|| ()))), TEMPORARY);

        let ending = started(&scope, "ending", PoolConfig::leased(1));
        let blocker = Busy::on(&ending);
        ending.close();
        assert_eq!(answers(&passed_up(ending.start(PoolConfig::leased(1)))), TEMPORARY);
        blocker.end();

        let slow = started(&scope, "slow", PoolConfig::leased(1));
        let blocker = Busy::on(&slow);
        let mut set: TaskSet<()> = [slow.submit(|| ()).expect("accepted")].into_iter().collect();
        assert_eq!(answers(&passed_up(set.join_next_timeout(Duration::ZERO))), TEMPORARY);
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
        assert_eq!(answers(&passed_up(request.run(|| SPAN.get()))), CANCELLED);
    });
}

#[test]
fn what_is_wrong_stays_wrong() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let own = pool.clone();
        let told = [
            passed_up(pool.start(PoolConfig::leased(0))),
            passed_up(pool.submit(|| panic!("it is to")).expect("accepted").join()),
            passed_up(pool.submit(move || own.stop().map(drop)).expect("accepted").join().expect("runs")),
            passed_up(TENANT.get()),
            passed_up(GATE.enter(GateMode::Require)),
            passed_up(scope.create("never started").submit(|| ())),
        ];
        for error in told {
            assert_eq!(answers(&error), FOR_GOOD, "{error:?}");
        }
    });
}
