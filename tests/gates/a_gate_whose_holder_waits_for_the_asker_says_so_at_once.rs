//! If the holder of a gate waits for whoever asks, neither would go on: the asker is told at once, however long it was
//! ready to wait, whichever of the two waited first. Where the holder can go on, nobody is told so.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, PoolConfig, PoolManager, Scope, TaskHandle, thread};

use crate::common::pools::started;
use crate::common::{bounded, busy_gate, eventually};

/// Longer than a test may take: whoever waited for it would be seen to hang.
const LONG: Duration = Duration::from_secs(3600);

type Outcome = Result<(), heirloom::Error>;

fn ask(gate: &'static Gate) -> Outcome {
    gate.enter_timeout(LONG).map(drop)
}

fn would_deadlock(outcome: Outcome) {
    let busy = outcome.expect_err("the holder waits for it");
    assert!(busy_gate(&busy).would_deadlock && busy_gate(&busy).waited < LONG / 2, "{busy:?}");
    assert!(busy.to_string().contains("which waits for this very code"), "{busy}");
}

fn waiting(pool: &PoolManager, tasks: usize) {
    eventually("so many wait", || pool.stats().waiting == tasks);
}

/// A task that goes in when told to, and then does what it is told with the handle it gets.
fn holder<T: Send + 'static>(
    pool: &PoolManager,
    gate: &'static Gate,
    then: impl FnOnce() -> T + Send + 'static,
) -> (TaskHandle<T>, mpsc::Sender<()>) {
    let (entered, is_in) = mpsc::channel();
    let (go, told) = mpsc::channel();
    let task = pool.submit(move || {
        let _in = gate.enter().expect("it is free");
        entered.send(()).expect("the test listens");
        told.recv().expect("the test tells");
        then()
    });
    is_in.recv().expect("it goes in");
    (task.expect("accepted"), go)
}

#[test]
fn an_asker_that_waits_first_is_told() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let [holds, asks] = ["holds", "asks"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        let (hand, handed) = mpsc::channel::<TaskHandle<Outcome>>();
        let (holder, go) = holder(&holds, &GATE, move || handed.recv().expect("handed").join().expect("runs"));
        hand.send(asks.submit(|| ask(&GATE)).expect("accepted")).expect("it listens");
        waiting(&asks, 1);
        go.send(()).expect("it listens");
        would_deadlock(holder.join().expect("runs"));
        assert!(!GATE.is_held());
    });
}

#[test]
fn an_asker_of_a_holder_that_waits_first_is_told() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let [holds, asks] = ["holds", "asks"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        let (tell, told) = mpsc::channel::<()>();
        let asker = asks.submit(move || {
            told.recv().expect("told");
            ask(&GATE)
        });
        let asker = asker.expect("accepted");
        let (holder, go) = holder(&holds, &GATE, move || asker.join().expect("runs"));
        go.send(()).expect("it listens");
        waiting(&holds, 1);
        tell.send(()).expect("it listens");
        would_deadlock(holder.join().expect("runs"));
    });
}

#[test]
fn the_default_wait_is_cut_short_as_well() {
    static GATE: Gate = Gate::new("stage").default_wait(LONG);
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let _in = GATE.enter().expect("it is free");
        let asker = pool.submit(|| GATE.enter().map(drop)).expect("accepted");
        would_deadlock(asker.join().expect("runs"));
    });
}

#[test]
fn a_child_thread_that_the_holder_joins_is_told() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let _in = GATE.enter().expect("it is free");
        would_deadlock(thread::spawn(|| ask(&GATE)).expect("a thread starts").join().expect("ends"));
    });
}

#[test]
fn a_task_whose_pool_or_scope_the_holder_waits_for_is_told() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let asker = pool.submit(|| ask(&GATE)).expect("accepted");
        pool.wait_idle().expect("not an own task");
        would_deadlock(asker.join().expect("runs"));
        let asker = scope.run(|| pool.submit(|| ask(&GATE))).expect("accepted");
        assert!(scope.stop().expect("not an own task").is_complete());
        would_deadlock(asker.join().expect("runs"));
        drop(held);
    });
}

#[test]
fn a_borrowing_task_that_the_holder_waits_for_is_told() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let _in = GATE.enter().expect("it is free");
        let mut seen = None;
        pool.scope(|s| drop(s.submit(|| seen = Some(ask(&GATE))).expect("accepted")));
        would_deadlock(seen.expect("it ran"));
    });
}

#[test]
fn an_asker_is_told_when_the_holder_waits_for_a_waiter_of_the_asker() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let [between, asks] = ["between", "asks"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        let _in = GATE.enter().expect("it is free");
        let outcome = between.submit(move || asks.submit(|| ask(&GATE)).expect("accepted").join().expect("runs"));
        would_deadlock(outcome.expect("accepted").join().expect("runs"));
    });
}

#[test]
fn one_of_two_that_enter_two_gates_in_opposite_order_is_told() {
    static ONE: Gate = Gate::new("one");
    static OTHER: Gate = Gate::new("other");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (first, go_first) = holder(&pool, &ONE, || ask(&OTHER));
        let (second, go_second) = holder(&pool, &OTHER, || ask(&ONE));
        go_first.send(()).expect("it listens");
        waiting(&pool, 1);
        go_second.send(()).expect("it listens");
        would_deadlock(second.join().expect("runs"));
        first.join().expect("runs").expect("the other one let go");
    });
}

#[test]
fn whoever_was_handed_the_gate_is_not_told_so_when_it_is_joined_then() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        for _ in 0..200 {
            let held = GATE.enter().expect("it is free");
            let next = pool.submit(|| ask(&GATE)).expect("accepted");
            waiting(&pool, 1);
            drop(held);
            next.join().expect("runs").expect("it was let in");
        }
    });
}

#[test]
fn whoever_waits_for_the_next_holder_is_not_told_of_the_last_one() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let [next, last] = ["next", "last"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        for _ in 0..100 {
            let held = GATE.enter().expect("it is free");
            let (go, told) = mpsc::channel::<()>();
            let second = next.submit(move || {
                let _in = GATE.enter_timeout(LONG).expect("let in");
                told.recv().expect("told");
            });
            waiting(&next, 1);
            let third = last.submit(|| ask(&GATE)).expect("accepted");
            waiting(&last, 1);
            drop(held);
            // Told while we join, so that the third waits for the second, and we wait for the third.
            let tells = std::thread::spawn(move || go.send(()).expect("it listens"));
            third.join().expect("runs").expect("it waits for the second, which goes on");
            second.expect("accepted").join().expect("runs");
            tells.join().expect("ends");
        }
    });
}

#[test]
fn a_holder_that_waits_for_somebody_else_lets_go_in_the_end() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3));
        let (end, told) = mpsc::channel::<()>();
        let other = pool.submit(move || told.recv().expect("told")).expect("accepted");
        let (holder, go) = holder(&pool, &GATE, move || other.join().expect("runs"));
        go.send(()).expect("it listens");
        waiting(&pool, 1);
        let asker = pool.submit(|| ask(&GATE)).expect("accepted");
        waiting(&pool, 2);
        end.send(()).expect("it listens");
        asker.join().expect("runs").expect("it is let in");
        holder.join().expect("runs");
    });
}

#[test]
fn a_holder_whose_wait_has_an_end_is_waited_for() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let asker = pool.submit(|| ask(&GATE)).expect("accepted");
        let asker = asker.join_timeout(Duration::from_millis(5)).expect_err("the gate is held");
        drop(held);
        asker.join().expect("runs").expect("it is let in");
    });
}
