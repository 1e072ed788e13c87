//! A gate lets one in at a time: everybody else is refused after a bounded wait, 50 ms unless told otherwise, or is let
//! in as soon as the holder lets go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heirloom::{Gate, PoolConfig, Scope};

use crate::common::pools::{Busy as BusyTask, Crowd, started};
use crate::common::{BOUND, bounded, busy_gate, eventually};

/// A thread that is in until it is told to leave.
struct Inside {
    leave: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Inside {
    fn of(gate: &'static Gate) -> Self {
        let (leave, told) = mpsc::channel();
        let (entered, is_in) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _in = gate.enter().expect("it is free");
            entered.send(()).expect("the test listens");
            let _ = told.recv();
        });
        is_in.recv().expect("it goes in");
        Self { leave, thread }
    }

    fn leave(self) {
        self.leave.send(()).expect("it listens");
        self.thread.join().expect("it leaves");
    }
}

#[test]
fn another_is_refused_while_one_is_in_and_let_in_afterwards() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        assert!(!GATE.is_held() && GATE.holder().is_none());
        let inside = Inside::of(&GATE);
        assert!(GATE.is_held());
        assert!(GATE.try_enter().is_err());
        inside.leave();
        drop(GATE.try_enter().expect("it is free"));
        assert!(!GATE.is_held());
    });
}

#[test]
fn an_entry_waits_for_50_ms_by_default() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let inside = Inside::of(&GATE);
        let begun = Instant::now();
        let busy = GATE.enter().expect_err("somebody is in");
        assert!(begun.elapsed() >= Duration::from_millis(50) && busy_gate(&busy).waited >= Duration::from_millis(50));
        assert!(busy_gate(&busy).waited < BOUND / 4, "{busy:?}");
        inside.leave();
    });
}

#[test]
fn a_gate_has_a_default_of_its_own_and_an_entry_its_own_wait() {
    static GATE: Gate = Gate::new("stage").default_wait(Duration::from_millis(3));
    bounded(|| {
        let inside = Inside::of(&GATE);
        let waited = busy_gate(&GATE.enter().expect_err("somebody is in")).waited;
        assert!(waited >= Duration::from_millis(3));
        let waited = busy_gate(&GATE.enter_timeout(Duration::from_millis(7)).expect_err("somebody is in")).waited;
        assert!(waited >= Duration::from_millis(7));
        assert_eq!(busy_gate(&GATE.try_enter().expect_err("somebody is in")).waited, Duration::ZERO);
        inside.leave();
    });
}

#[test]
fn whoever_waits_is_let_in_when_the_holder_lets_go() {
    static GATE: Gate = Gate::new("stage").default_wait(Duration::MAX);
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let waits = pool.submit(|| GATE.enter().map(drop)).expect("accepted");
        eventually("the task waits at the gate", || pool.stats().waiting == 1);
        drop(held);
        waits.join().expect("runs").expect("it is let in");
        eventually("the gate is free", || !GATE.is_held());
    });
}

#[test]
fn a_panic_lets_go() {
    let gate = Gate::new("stage");
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _in = gate.enter();
        panic!("inside");
    }));
    assert!(panics.is_err());
    assert!(!gate.is_held());
}

#[test]
fn however_many_come_there_is_never_a_second_one_in() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(4));
        let shared = Arc::new((Gate::new("stage").default_wait(BOUND), Crowd::default()));
        let visit = {
            let shared = Arc::clone(&shared);
            move |round: u64| {
                let (gate, crowd) = &*shared;
                // Some give up while others go in and out.
                let wait = if round.is_multiple_of(3) { Duration::from_micros(round) } else { BOUND };
                let entered = gate.enter_timeout(wait);
                entered.is_ok_and(|_in| {
                    crowd.visit();
                    let _again = gate.try_enter().expect("it is in already");
                    true
                })
            }
        };
        let let_in = pool.map(0..400, visit).expect("accepted").filter(|entered| *entered.as_ref().expect("runs"));
        assert!(let_in.count() >= 266, "those who wait are let in");
        let (gate, crowd) = &*shared;
        assert_eq!(crowd.most(), 1);
        assert!(!gate.is_held());
    });
}

#[test]
fn a_wait_at_it_gives_the_tasks_place_away() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let waits = one.submit(|| GATE.enter_timeout(Duration::MAX).map(drop)).expect("accepted");
        BusyTask::on(&one).end(); // runs meanwhile, in a pool of one
        drop(held);
        waits.join().expect("runs").expect("it is let in");
    });
}

#[test]
fn a_guard_that_is_leaked_keeps_it_held() {
    let gate = Gate::new("stage");
    std::mem::forget(gate.enter().expect("it is free"));
    assert!(gate.is_held());
    drop(gate.try_enter().expect("the same code"));
    assert!(gate.is_held());
}
