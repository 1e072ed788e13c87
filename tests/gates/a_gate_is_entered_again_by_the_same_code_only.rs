//! Whoever is in enters again, and has let go when its last guard is dropped, in whatever order. What it starts is not
//! it: a thread, a task, a task that runs in place on the same thread.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, PoolConfig, Scope, thread};

use crate::common::pools::{Busy as BusyTask, started, this_thread};
use crate::common::{bounded, busy_gate};

/// Long enough that a test which waited for it would be seen to hang.
const LONG: Duration = Duration::from_secs(3600);

fn elsewhere_is_refused(gate: &Gate) -> bool {
    std::thread::scope(|s| s.spawn(|| gate.try_enter().is_err()).join().expect("answers"))
}

#[test]
fn nested_entries_are_let_in_and_the_last_guard_lets_go() {
    let gate = Gate::new("stage");
    fn deeper(gate: &Gate, depth: u32) {
        let _in = gate.try_enter().expect("the same code");
        if depth > 0 {
            deeper(gate, depth - 1);
        }
        assert!(elsewhere_is_refused(gate));
    }
    deeper(&gate, 20);
    assert!(!elsewhere_is_refused(&gate));
}

#[test]
fn guards_go_in_any_order() {
    let gate = Gate::new("stage");
    let [first, second, third] = [(); 3].map(|()| gate.enter().expect("the same code"));
    drop(second);
    assert!(elsewhere_is_refused(&gate));
    drop(first);
    assert!(elsewhere_is_refused(&gate));
    drop(third);
    assert!(!elsewhere_is_refused(&gate));
}

#[test]
fn a_closure_called_by_the_holder_is_the_holder() {
    let gate = Gate::new("stage");
    let scope = Scope::new("test");
    let _in = gate.enter().expect("it is free");
    // Another place, the same code.
    assert!(scope.run(|| gate.try_enter().is_ok()));
    assert!(heirloom::blocking(|| gate.try_enter().is_ok()));
}

#[test]
fn a_child_thread_is_not_let_in() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let _in = GATE.enter().expect("it is free");
        let child = thread::spawn(|| GATE.enter_timeout(Duration::from_millis(1)).map(drop)).expect("a thread starts");
        let busy = child.join().expect("ends").expect_err("a child is not its parent");
        assert_eq!(busy_gate(&busy).holder.thread, this_thread());
    });
}

#[test]
fn a_task_that_the_holder_submits_is_not_let_in() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let refused = pool.submit(|| GATE.try_enter().is_err()).expect("accepted");
        assert!(refused.join().expect("runs"));
        drop(held);
        let let_in = pool.submit(|| GATE.try_enter().is_ok()).expect("accepted");
        assert!(let_in.join().expect("runs"));
    });
}

#[test]
fn a_task_that_the_holders_join_runs_in_place_is_refused_at_once() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1));
        let pool = one.clone();
        let joins = move || {
            let _in = GATE.enter().expect("it is free");
            let inner = pool.submit(|| (this_thread(), GATE.enter_timeout(LONG).map(drop))).expect("accepted");
            (heirloom::task_id(), this_thread(), inner.join().expect("runs"))
        };
        let (holder, thread, (inner, outcome)) = one.submit(joins).expect("accepted").join().expect("runs");
        assert_eq!(inner, thread, "it ran in place");
        let busy = outcome.expect_err("another task");
        assert!(busy_gate(&busy).would_deadlock && busy_gate(&busy).waited.is_zero(), "{busy}");
        assert_eq!(busy_gate(&busy).holder.task, holder);
        assert!(!GATE.is_held());
    });
}

#[test]
fn a_task_that_runs_on_the_holders_thread_is_not_let_in() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let _in = GATE.enter().expect("it is free");
        let run = || (this_thread(), GATE.enter_timeout(LONG).map(drop));
        let (thread, outcome) = pool.run(run).expect("runs");
        assert_eq!(thread, this_thread());
        let busy = outcome.expect_err("a task is not the thread it runs on");
        assert!(busy_gate(&busy).would_deadlock && busy_gate(&busy).holder.task.is_none(), "{busy}");
    });
}

#[test]
fn two_tasks_one_after_the_other_on_one_thread_are_two() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::dedicated(1));
        let leaks = one.submit(|| std::mem::forget(GATE.enter().expect("it is free"))).expect("accepted");
        let id = leaks.id();
        leaks.join().expect("runs");
        let next = one.submit(|| GATE.enter_timeout(LONG).map(drop)).expect("accepted");
        let busy = next.join().expect("runs").expect_err("another task");
        assert_eq!(busy_gate(&busy).holder.task, Some(id), "{busy}");
        // Only that thread could have let go.
        assert!(busy_gate(&busy).would_deadlock);
    });
}

#[test]
fn a_drop_that_a_task_leaves_behind_is_another() {
    static GATE: Gate = Gate::new("stage");
    struct Enters(mpsc::Sender<(bool, bool)>);
    impl Drop for Enters {
        fn drop(&mut self) {
            let busy = GATE.enter_timeout(LONG).err();
            let _ =
                self.0.send((heirloom::task_id().is_none(), busy.is_some_and(|busy| busy_gate(&busy).would_deadlock)));
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1));
        let busy = BusyTask::on(&one);
        let (dropped, is_dropped) = mpsc::channel();
        let enters = Enters(dropped);
        let queued = one.submit(move || drop(enters)).expect("accepted");
        let _in = GATE.enter().expect("it is free");
        // Its closure is dropped here and now, as a part of that task.
        let _ = queued.cancel();
        assert_eq!(is_dropped.recv(), Ok((true, true)));
        busy.end();
    });
}

/// Futures of one thread that hold the gate across an `.await`.
#[cfg(feature = "tokio")]
#[test]
fn another_future_of_the_same_thread_is_not_let_in() {
    use tokio::task::{LocalSet, spawn_local, yield_now};

    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let turns = async {
            let holds = spawn_local(async {
                let _in = GATE.try_enter().expect("it is free");
                for _ in 0..10 {
                    yield_now().await;
                    drop(GATE.try_enter().expect("the same code"));
                }
            });
            yield_now().await;
            let others: Vec<_> = (0..10)
                .map(|_| spawn_local(async { GATE.enter_timeout(LONG).map(drop).expect_err("another holds it") }))
                .collect();
            assert!(GATE.try_enter().is_err(), "the future of `block_on` is no part of it either");
            for other in others {
                let busy = other.await.expect("ends");
                assert!(busy_gate(&busy).would_deadlock, "the wait would hold up the holder's own thread: {busy}");
            }
            holds.await.expect("ends");
            assert!(!GATE.is_held());
        };
        LocalSet::new().block_on(&runtime, turns);
    });
}
