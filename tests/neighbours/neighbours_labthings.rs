//! What an instrument server needs: scenarios of LabThings-FastAPI's own tests, told in this crate's words, and its
//! known faults, which must not happen here.

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::time::Duration;

use heirloom::{CancelOutcome, Gate, GateMode, Heirloom, PoolConfig, Scope, TaskStatus, thread};

use crate::common::pools::{Busy, started};
use crate::common::{bounded, busy_gate};

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

/// Scenario 3: a thread with requests of its own: the parent's is not delivered, an immediate one ends its sleep, and
/// its result or its panic is handed over.
#[test]
fn a_thread_of_its_own_is_cancelled_alone_and_gives_its_result() {
    bounded(|| {
        let invocation = Scope::new("invocation");
        let _at = invocation.enter();
        let start = |f: fn() -> u32| thread::Builder::new().shielded().spawn(f).unwrap();
        assert_eq!(start(|| 7).join().unwrap(), 7);
        assert!(start(|| panic!("broken")).join().is_err());
        let sleeper = thread::Builder::new().shielded().spawn(|| heirloom::sleep(LONG)).unwrap();
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
            let child = thread::Builder::new().shielded().spawn(move || {
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

/// Scenario 1: an id is unbound until it is set, set for the code inside, restored after it; a thread started there has
/// none, or one of its own, and the parent keeps its own.
#[test]
fn an_id_is_set_for_what_is_inside_and_restored() {
    bounded(|| {
        static INVOCATION: Heirloom<u32> = Heirloom::new("invocation").isolated();
        static LOGGED_AS: Heirloom<u32> = Heirloom::new("logged as").fresh(|parent| parent + 1);
        assert!(INVOCATION.get().is_err());
        let id = || INVOCATION.get().ok().map(|id| *id);
        INVOCATION
            .run_with(7_u32, || {
                assert_eq!(id(), Some(7));
                let nested = INVOCATION.run_with(8_u32, id).expect("open");
                assert_eq!((nested, id()), (Some(8), Some(7)));
                // Isolated: a plain child has none; asked to be fresh, one of its own.
                assert_eq!(thread::spawn(id).expect("a thread starts").join().unwrap(), None);
                LOGGED_AS.bind(70_u32).expect("open");
                let own =
                    thread::spawn(|| LOGGED_AS.get().map(|id| *id).ok()).expect("a thread starts").join().unwrap();
                assert_eq!((own, LOGGED_AS.get().map(|id| *id).ok()), (Some(71), Some(70)));
                assert_eq!(id(), Some(7));
            })
            .expect("open");
        assert!(INVOCATION.get().is_err());
    });
}

/// Scenario 6: the lock counts the entries of its holder, whoever does not hold it cannot let go (there is no such
/// verb), it is the same one for everybody who finds it, and a refused entry has waited as long as it was to: its
/// default, not at all, or as long as it said.
#[test]
fn the_instruments_lock_counts_and_waits_as_long_as_it_is_told() {
    bounded(|| {
        static LOCK: Heirloom<Gate> = Heirloom::new("lock");
        let server = Scope::new("server");
        LOCK.at(&server).bind(Gate::new("instrument")).expect("open");
        server.run(|| {
            let (gate, again) = (LOCK.get().expect("bound"), LOCK.get().expect("bound"));
            assert!(Arc::ptr_eq(&gate, &again));
            let outer = gate.enter().expect("free");
            let inner = gate.enter().expect("by the same code");
            drop(outer);
            assert!(gate.is_held(), "one entry is left");
            let asks = |wait: Option<Duration>| {
                let gate = Arc::clone(&gate);
                let entry = move || match wait {
                    None => gate.enter().map(drop),
                    Some(wait) => gate.enter_timeout(wait).map(drop),
                };
                busy_gate(&std::thread::spawn(entry).join().unwrap().unwrap_err()).waited
            };
            assert!(asks(None) >= Duration::from_millis(45));
            assert_eq!(asks(Some(Duration::ZERO)), Duration::ZERO);
            assert!(asks(Some(Duration::from_millis(60))) >= Duration::from_millis(60));
            drop(inner);
            assert!(!gate.is_held());
        });
    });
}

/// Scenarios 7 and 8: what needs the lock is refused while another action has it, again and again; what opted out works
/// meanwhile, until it calls what needs the lock; nested calls pass; afterwards it is free.
#[test]
fn locked_actions_are_refused_and_opted_out_ones_are_not() {
    bounded(|| {
        static LOCK: Heirloom<Gate> = Heirloom::new("lock");
        fn locked() -> Result<u32, heirloom::Error> {
            let _in = LOCK.enter(GateMode::Require)?;
            Ok(7)
        }
        fn locked_and_calls_locked() -> Result<u32, heirloom::Error> {
            let _in = LOCK.enter(GateMode::Require)?;
            locked()
        }
        let server = Scope::new("server");
        let _at = server.enter();
        assert!(locked().is_err_and(|error| error.as_not_bound().is_some()), "required, and there is none");
        LOCK.bind(Gate::new("instrument").default_wait(Duration::from_millis(1))).expect("open");
        let actions = started(&server, "actions", PoolConfig::leased(4).gate(&LOCK, GateMode::IfPresent));
        let reads = started(&server, "reads", PoolConfig::leased(4).gate(&LOCK, GateMode::Skip));
        let busy = Busy::on(&actions);
        for _ in 0..2 {
            let refused = actions.submit(locked).expect("accepted").join();
            assert_eq!(refused.unwrap_err().as_busy().and_then(|busy| busy.holder.task), Some(busy.task.id()));
            assert_eq!(reads.submit(|| "read").expect("accepted").join().expect("needs no turn"), "read");
            let calls_locked = reads.submit(locked).expect("accepted").join().expect("runs");
            assert!(calls_locked.is_err_and(|error| error.as_busy().is_some()));
        }
        busy.end();
        assert_eq!(actions.submit(locked_and_calls_locked).expect("accepted").join().expect("runs").ok(), Some(7));
        assert!(!LOCK.get().expect("bound").is_held());
    });
}

/// The fault L3: whatever way an action ends, its handle says so.
#[test]
fn an_action_that_dies_is_no_action_that_runs() {
    bounded(|| {
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(1).log_panics(false));
        let dies = actions.submit(|| std::panic::panic_any(17_u8)).map(|task: heirloom::TaskHandle<()>| task);
        assert!(dies.expect("accepted").join().is_err_and(|error| error.is_panic()));
        assert_eq!(actions.submit(|| "next").expect("accepted").join().expect("runs"), "next");
    });
}

/// Scenario 9: each action has its own log, and what its child threads say is in it.
#[cfg(feature = "task-log")]
#[test]
fn each_actions_log_is_its_own() {
    use tracing_subscriber::layer::SubscriberExt;

    bounded(|| {
        let log = heirloom::task_log::TaskLog::new();
        let subscriber = Arc::new(tracing_subscriber::registry().with(log.clone()));
        let scope = Scope::new("server");
        let actions = started(&scope, "actions", PoolConfig::leased(2));
        let met = Arc::new(Barrier::new(2));
        let start = |name: &'static str| {
            let (subscriber, met) = (Arc::clone(&subscriber), Arc::clone(&met));
            let says = move || {
                tracing::subscriber::with_default(Arc::clone(&subscriber), || tracing::info!("{name} begins"));
                heirloom::blocking(|| met.wait()); // both run at once
                let child = thread::spawn(move || {
                    tracing::subscriber::with_default(subscriber, || tracing::info!("{name}'s child"));
                })
                .expect("a thread starts");
                child.join().unwrap();
            };
            actions.submit(says).expect("accepted")
        };
        let (one, two) = (start("one"), start("two"));
        let ids = [one.id(), two.id()];
        one.join().expect("runs");
        two.join().expect("runs");
        for (id, name) in ids.into_iter().zip(["one", "two"]) {
            let said: Vec<_> = log.lines(id).into_iter().map(|line| line.message).collect();
            assert_eq!(said, [format!("{name} begins"), format!("{name}'s child")]);
        }
    });
}

/// Scenario 10: an action has no way into async code until the server runs; then it has, and again after the server was
/// started anew. An action that waits when the server stops is told so.
#[cfg(feature = "tokio")]
#[test]
fn an_action_reaches_async_code_while_the_server_runs() {
    use heirloom::{Portal, PortalError, portal};

    bounded(|| {
        let server = Scope::new("server");
        let actions = started(&server, "actions", PoolConfig::leased(1));
        let answer = || async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            42
        };
        let ask = move || portal().and_then(|portal| portal.block_on(answer()));
        let act = || server.run(|| actions.submit(ask)).expect("accepted").join().expect("runs");
        assert!(
            matches!(act(), Err(ref it) if matches!(it.as_portal(), Some(PortalError::NotRunning { .. }))),
            "not yet"
        );
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime starts");
            Portal::new(runtime.handle()).bind_at(&server).expect("open");
            assert_eq!(act().expect("it runs"), 42);

            let (says, said) = channel();
            let waits = move || {
                let forever = async move {
                    says.send(()).unwrap();
                    std::future::pending::<()>().await;
                };
                portal().expect("bound").block_on(forever)
            };
            let waits = server.run(|| actions.submit(waits)).expect("accepted");
            said.recv().unwrap();
            drop(runtime);
            assert!(
                matches!(waits.join().expect("runs"), Err(ref it) if matches!(it.as_portal(), Some(PortalError::NotRunning { .. })))
            );
            assert!(
                matches!(act(), Err(ref it) if matches!(it.as_portal(), Some(PortalError::NotRunning { .. }))),
                "no more"
            );
        }
    });
}
