//! A `Heirloom<Gate>` is entered where the code stands: the nearest gate bound there or above, or none where that is
//! allowed.

use heirloom::{Gate, GateMode, Heirloom, PoolConfig, Scope, thread};

use crate::common::pools::started;
use crate::common::{bounded, busy_gate};

#[test]
fn the_nearest_one_is_entered() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let lab = Scope::new("lab");
        let bench = Scope::new_in(&lab, "bench");
        KEY.at(&lab).bind(Gate::new("of the lab")).expect("open");
        let entered = || KEY.enter(GateMode::Require).expect("free").expect("required").gate().name();
        assert_eq!(bench.run(entered), "of the lab");
        KEY.at(&bench).bind(Gate::new("of the bench")).expect("open");
        assert_eq!(bench.run(entered), "of the bench");
        assert_eq!(
            bench.run(|| thread::spawn(entered).expect("a thread starts").join().expect("ends")),
            "of the bench"
        );
        assert_eq!(lab.run(entered), "of the lab");
    });
}

#[test]
fn an_entry_without_a_bound_gate_fails_only_if_it_requires_one() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let lab = Scope::new("lab");
        assert!(KEY.enter(GateMode::IfPresent).expect("goes on without").is_none());
        let missing = lab.run(|| KEY.enter(GateMode::Require).map(drop)).expect_err("none is bound");
        assert!(missing.as_not_bound().is_some_and(|missing| missing.key() == "stage"));
        assert!(missing.to_string().contains("\"lab\""), "{missing}");
        // One elsewhere is none.
        KEY.at(&lab).bind(Gate::new("stage")).expect("open");
        assert!(KEY.enter(GateMode::IfPresent).expect("goes on without").is_none());
        assert!(lab.run(|| KEY.enter(GateMode::IfPresent).expect("free").is_some()));
    });
}

#[test]
fn skipping_it_goes_on_while_another_is_in_until_it_enters_itself() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let lab = Scope::new("lab");
        KEY.at(&lab).bind(Gate::new("stage").default_wait(std::time::Duration::ZERO)).expect("open");
        let _in = lab.run(|| KEY.enter(GateMode::Require)).expect("free").expect("required");
        let status = || {
            assert!(KEY.enter(GateMode::Skip).expect("goes on without").is_none());
            KEY.enter(GateMode::IfPresent).map(drop)
        };
        let outcome = lab.run(|| thread::spawn(status).expect("a thread starts").join().expect("ends"));
        assert!(outcome.is_err_and(|busy| busy_gate(&busy).gate == "stage"));
    });
}

#[test]
fn a_guard_keeps_a_gate_that_is_unbound_meanwhile() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let lab = Scope::new("lab");
        KEY.at(&lab).bind(Gate::new("first")).expect("open");
        let guard = lab.run(|| KEY.enter(GateMode::Require)).expect("free").expect("required");
        let first = KEY.at(&lab).bind(Gate::new("second")).expect("open").expect("the first");
        assert!(first.is_held());
        drop(guard);
        assert!(!first.is_held());
    });
}

#[test]
fn a_task_enters_where_it_was_submitted() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let lab = Scope::new("lab");
        let pool = started(&lab, "work", PoolConfig::leased(1));
        KEY.at(&lab).bind(Gate::new("stage")).expect("open");
        let enters = || KEY.enter(GateMode::IfPresent).expect("free").is_some();
        assert!(lab.run(|| pool.submit(enters)).expect("accepted").join().expect("runs"));
        assert!(!pool.submit(enters).expect("accepted").join().expect("runs"));
    });
}
