//! What an instrument server needs: scenarios of LabThings-FastAPI's own tests, told in this crate's words, and its known
//! faults, which must not happen here.
mod common;
mod pools;

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::bounded;
use heirloom::{CancelOutcome, PoolConfig, Scope, TaskStatus, thread};
use pools::{Busy, started};

const LONG: Duration = Duration::from_secs(3600);

/// Scenario 2: one request, one error; it wakes the sleep. Outside of any scope a plain sleep and nothing to raise.
#[test]
fn a_cancel_event_ends_a_sleep_and_raises_until_it_is_handled() {
    bounded(|| {
        assert!(heirloom::sleep(Duration::from_millis(1)).is_ok() && heirloom::checkpoint().is_ok());
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(1));
        let (says, said) = channel();
        let action = actions.submit(move || {
            says.send(()).unwrap();
            let woken = heirloom::sleep(LONG).is_err();
            // Handled: the same request raises no second time.
            (
                woken,
                heirloom::acknowledge_cancel(),
                heirloom::checkpoint().is_ok(),
                heirloom::sleep(Duration::ZERO).is_ok(),
            )
        });
        let action = action.expect("accepted");
        said.recv().unwrap();
        action.cancel();
        assert_eq!(action.join().expect("runs"), (true, true, true, true));
    });
}

/// Scenario 3: a thread with requests of its own: the parent's is not delivered, an immediate one ends its sleep, and its
/// result or its panic is handed over.
#[test]
fn a_thread_of_its_own_is_cancelled_alone_and_gives_its_result() {
    bounded(|| {
        let invocation = Scope::new("invocation");
        let _at = invocation.enter();
        let start = |f: fn() -> u32| thread::Builder::new().isolated().spawn(f).unwrap();
        assert_eq!(start(|| 7).join().unwrap(), 7);
        assert!(start(|| panic!("broken")).join().is_err());
        let sleeper = thread::Builder::new().isolated().spawn(|| heirloom::sleep(LONG)).unwrap();
        invocation.cancel();
        assert!(!sleeper.is_finished());
        assert_eq!(sleeper.cancel(), CancelOutcome::Requested); // at once, perhaps before it begins
        assert!(sleeper.join().unwrap().is_err());
    });
}

/// Scenario 4: cancelling a parent that waits cancels the child, and both end.
#[test]
fn cancelling_a_waiting_parent_ends_its_child_and_then_itself() {
    bounded(|| {
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(1));
        let (says, said) = channel();
        let (ends, ended) = channel();
        let parent = actions.submit(move || {
            let child = thread::Builder::new().isolated().spawn(move || {
                says.send(()).unwrap();
                let out = heirloom::sleep(LONG);
                ends.send("child").unwrap();
                out
            });
            child.unwrap().join_cancelling().map(drop)
        });
        let parent = parent.expect("accepted");
        said.recv().unwrap();
        parent.cancel();
        assert!(parent.join().expect("runs").is_err());
        assert_eq!(ended.recv().unwrap(), "child"); // before the parent reported
    });
}

/// Scenario 5: an action is cancelled; one that declines completes; one that declines once is cancelled by the second
/// request; too late is told apart.
#[test]
fn an_action_is_cancelled_or_declines_or_needs_to_be_asked_twice() {
    bounded(|| {
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(1));
        for declines in 0..3 {
            let meet = Arc::new(Barrier::new(2));
            let there = Arc::clone(&meet);
            let action = actions.submit(move || {
                for _ in 0..declines {
                    there.wait();
                    assert!(heirloom::sleep(LONG).is_err() && heirloom::acknowledge_cancel());
                }
                there.wait();
                if declines == 2 { Ok("completed") } else { heirloom::sleep(LONG).map(|()| "slept") }
            });
            let action = action.expect("accepted");
            for _ in 0..declines {
                meet.wait();
                assert_eq!(action.cancel(), CancelOutcome::Requested);
            }
            meet.wait();
            if declines < 2 {
                action.cancel();
            }
            let (id, out) = (action.id(), action.join().expect("runs"));
            assert_eq!(out.ok(), (declines == 2).then_some("completed"), "action {id}");
        }
        let done = actions.submit(|| ()).expect("accepted");
        while done.status() != TaskStatus::Finished {
            std::thread::yield_now();
        }
        assert_eq!(done.cancel(), CancelOutcome::AlreadyFinished);
    });
}

/// Scenario 5, and 29: a request made while the action is pending is not lost: its body never runs.
#[test]
fn a_pending_action_that_is_cancelled_never_runs() {
    bounded(|| {
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(1));
        let busy = Busy::on(&actions);
        let pending = actions.submit(|| unreachable!("it was cancelled")).map(|task: heirloom::TaskHandle<()>| task);
        let pending = pending.expect("accepted");
        assert_eq!(pending.status(), TaskStatus::Queued);
        assert_eq!(pending.cancel(), CancelOutcome::Requested);
        busy.end();
        assert!(pending.join().is_err_and(|error| error.is_cancelled()));
    });
}
