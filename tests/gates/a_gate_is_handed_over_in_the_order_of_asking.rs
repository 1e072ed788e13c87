//! Whoever waits at a gate is let in in the order of asking: nobody overtakes, nobody starves, and one that gives up
//! holds nobody up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use heirloom::{Gate, PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common::pools::started;
use crate::common::{BOUND, bounded, eventually};

type Entered = Arc<Mutex<Vec<usize>>>;

/// Submits one that waits at the gate, and waits until it does.
fn waits(
    pool: &PoolManager,
    gate: &'static Gate,
    entered: &Entered,
    number: usize,
    wait: Duration,
) -> TaskHandle<bool> {
    let entered = Arc::clone(entered);
    let before = pool.stats().waiting;
    let task = pool.submit(move || {
        let Ok(_in) = gate.enter_timeout(wait) else { return false };
        entered.lock().expect("nobody panics with it").push(number);
        true
    });
    // It is in line before its place is given away.
    eventually("it waits at the gate", || pool.stats().waiting == before + 1);
    task.expect("accepted")
}

#[test]
fn first_come_first_in() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let entered = Entered::default();
        let held = GATE.enter().expect("it is free");
        let all: Vec<_> = (0..5).map(|number| waits(&pool, &GATE, &entered, number, Duration::MAX)).collect();
        drop(held);
        assert!(all.into_iter().all(|task| task.join().expect("runs")));
        assert_eq!(*entered.lock().expect("nobody panics with it"), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_holder_that_asks_again_is_behind_the_waiters() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let entered = Entered::default();
        let held = GATE.enter().expect("it is free");
        let all: Vec<_> = (0..3).map(|number| waits(&pool, &GATE, &entered, number, Duration::MAX)).collect();
        drop(held);
        let _again = GATE.enter_timeout(Duration::MAX).expect("let in");
        assert_eq!(entered.lock().expect("nobody panics with it").len(), 3, "all went in before");
        drop(_again);
        assert!(all.into_iter().all(|task| task.join().expect("runs")));
    });
}

#[test]
fn a_waiter_that_gives_up_holds_up_no_other() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let entered = Entered::default();
        let held = GATE.enter().expect("it is free");
        let hasty = waits(&pool, &GATE, &entered, 0, Duration::from_millis(20));
        let patient = waits(&pool, &GATE, &entered, 1, Duration::MAX);
        assert!(!hasty.join().expect("runs"), "the gate is held");
        drop(held);
        assert!(patient.join().expect("runs"));
        assert_eq!(*entered.lock().expect("nobody panics with it"), [1]);
    });
}

#[test]
fn no_waiter_starves_beside_one_that_never_stops_asking() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let greedy = std::thread::spawn(|| {
            while GATE.name() == "stage" {
                let Ok(_in) = GATE.enter_timeout(BOUND) else { return };
                if STOP.load(std::sync::atomic::Ordering::Acquire) {
                    return;
                }
            }
        });
        for _ in 0..100 {
            drop(GATE.enter_timeout(BOUND).expect("let in"));
        }
        STOP.store(true, std::sync::atomic::Ordering::Release);
        greedy.join().expect("ends");
    });
    static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
}
