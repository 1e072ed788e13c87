//! A request to stop, made to a node, holds for everything below it, on whatever thread and in whatever pool, and for
//! nothing beside or above it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use heirloom::{CancelOutcome, FutureExt, Lineage, PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::{block_on, started};

/// Says that it runs, and then sleeps until it is asked to stop. True when it was.
fn sleeps(says: &Sender<Lineage>) -> bool {
    says.send(heirloom::current()).expect("the test listens");
    heirloom::sleep(Duration::from_secs(3600)).is_err()
}

/// The same without becoming a node.
fn spins(says: &Sender<()>) -> bool {
    says.send(()).expect("the test listens");
    while heirloom::checkpoint().is_ok() {
        std::thread::yield_now();
    }
    true
}

fn said() -> (Sender<Lineage>, Receiver<Lineage>) {
    channel()
}

#[test]
fn a_scopes_request_reaches_its_tasks_in_every_pool() {
    bounded(|| {
        let outside = Scope::new("outside");
        let shared = started(&outside, "shared", PoolConfig::leased(8));
        let gpu = started(&outside, "gpu", PoolConfig::dedicated(2));
        let daemon = started(&outside, "daemon", PoolConfig::leased(2).daemon());
        let request = Scope::new_in(outside.lineage(), "request");
        let own = started(&request, "own", PoolConfig::leased(2));
        let (says, said) = said();
        let (spinning, spins_now) = channel();
        let tasks: Vec<_> = request.run(|| {
            let pools = [&shared, &gpu, &daemon, &own];
            let sleepers = pools.map(|pool| {
                let says = says.clone();
                pool.submit(move || sleeps(&says)).expect("accepted")
            });
            let spinners = [&shared, &gpu, &daemon, &own].map(|pool| {
                let spinning = spinning.clone();
                pool.submit(move || spins(&spinning)).expect("accepted")
            });
            sleepers.into_iter().chain(spinners).collect()
        });
        for _ in 0..4 {
            said.recv().expect("a sleeper runs");
            spins_now.recv().expect("a spinner runs");
        }
        drop(request);
        for task in tasks {
            assert!(task.join().expect("runs"));
        }
        assert!(!outside.is_cancelled());
    });
}

#[test]
fn it_reaches_threads_tasks_of_tasks_and_inner_scopes() {
    bounded(|| {
        let request = Scope::new("request");
        let pool = started(&request, "pool", PoolConfig::leased(8));
        let (says, said) = said();
        let at = pool.clone();
        let outer = request.run(|| {
            pool.submit(move || {
                let _ = heirloom::current(); // a node from here on
                let (a, b, c) = (says.clone(), says.clone(), says.clone());
                let task = at.submit(move || sleeps(&a)).expect("accepted");
                let thread = thread::spawn(move || sleeps(&b)).expect("a thread starts");
                let inner = Scope::new("inner");
                let in_scope = inner.run(|| {
                    thread::spawn(move || thread::spawn(move || sleeps(&c)).expect("a thread starts").join())
                        .expect("a thread starts")
                });
                let below = [task.join().expect("runs"), thread.join().unwrap(), in_scope.join().unwrap().unwrap()];
                (below, heirloom::checkpoint().is_err())
            })
            .expect("accepted")
        });
        for _ in 0..3 {
            assert!(said.recv().expect("it runs").ancestors().any(|node| node == *request));
        }
        assert_eq!(request.lineage().cancel(), CancelOutcome::Requested);
        assert_eq!(outer.join().expect("runs"), ([true; 3], true));
    });
}

#[test]
fn a_tasks_request_reaches_what_it_submitted_as_a_node() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(4));
        let (says, said) = said();
        let (spinning, spins_now) = channel();
        let at = pool.clone();
        let outer = pool
            .submit(move || {
                let sibling = at.submit(heirloom::is_cancelled).expect("accepted"); // below the submitter
                let sibling = sibling.join().expect("runs");
                let _ = heirloom::current();
                let child = at.submit(move || sleeps(&says)).expect("accepted");
                let runs = spins(&spinning);
                (sibling, runs, child.join().expect("runs"))
            })
            .expect("accepted");
        said.recv().expect("the child runs");
        spins_now.recv().expect("the outer one runs");
        assert_eq!(outer.cancel(), CancelOutcome::Requested);
        assert_eq!(outer.cancel(), CancelOutcome::AlreadyRequested);
        assert_eq!(outer.join().expect("runs"), (false, true, true));
    });
}

#[test]
fn a_pools_request_reaches_its_running_tasks_and_what_they_started() {
    bounded(|| {
        for config in [PoolConfig::leased(3), PoolConfig::dedicated(3), PoolConfig::leased(3).daemon()] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", config);
            let other = started(&scope, "other", PoolConfig::leased(1));
            let (says, said) = said();
            let (spinning, spins_now) = channel();
            let sleeper = {
                let says = says.clone();
                pool.submit(move || sleeps(&says)).expect("accepted")
            };
            let spinner = pool.submit(move || spins(&spinning)).expect("accepted");
            let starter = {
                pool.submit(move || {
                    let _ = heirloom::current();
                    other.submit(move || sleeps(&says)).expect("accepted").join().expect("runs")
                })
                .expect("accepted")
            };
            said.recv().expect("runs");
            said.recv().expect("runs");
            spins_now.recv().expect("runs");
            pool.cancel();
            for task in [sleeper, spinner, starter] {
                assert!(task.join().expect("runs"));
            }
            assert!(!scope.is_cancelled());
        }
    });
}

#[test]
fn a_threads_request_reaches_what_it_started() {
    bounded(|| {
        let (says, said) = said();
        let outer = thread::spawn(move || {
            let child = thread::spawn(move || sleeps(&says)).expect("a thread starts");
            (child.join().unwrap(), heirloom::sleep(Duration::from_secs(3600)).is_err())
        })
        .expect("a thread starts");
        let child = said.recv().expect("it runs");
        assert_eq!(child.parent(), outer.lineage());
        assert_eq!(outer.cancel(), CancelOutcome::Requested);
        assert_eq!(outer.join().unwrap(), (true, true));
        assert!(child.is_cancelled());
    });
}

#[test]
fn it_reaches_nothing_beside_or_above() {
    bounded(|| {
        let parent = Scope::new("parent");
        let (one, two) = (Scope::new_in(parent.lineage(), "one"), Scope::new_in(parent.lineage(), "two"));
        let pool = started(&parent, "pool", PoolConfig::leased(2));
        let (says, said) = said();
        let beside = {
            let says = says.clone();
            two.run(|| pool.submit(move || sleeps(&says)).expect("accepted"))
        };
        said.recv().expect("it runs");
        one.cancel();
        assert!(one.is_cancelled() && !two.is_cancelled() && !parent.is_cancelled());
        assert!(beside.join_timeout(Duration::from_millis(20)).is_err(), "it sleeps on");
        two.cancel();
    });
}

#[test]
fn a_future_in_the_scope_sees_it() {
    bounded(|| {
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let look = async {
            let before = heirloom::is_cancelled();
            heirloom::cancelled().await;
            (before, heirloom::is_cancelled())
        };
        let asks = std::thread::spawn(move || {
            std::thread::yield_now();
            drop(request);
        });
        let (before, after) = block_on(look.in_lineage(&at));
        assert!(after && (!before || at.is_cancelled()));
        asks.join().unwrap();
    });
}

#[test]
fn the_process_cannot_be_asked() {
    bounded(|| {
        assert_eq!(Lineage::process().cancel(), CancelOutcome::NotCancellable);
        assert!(!Lineage::process().is_cancelled());
    });
}

#[test]
fn a_code_outside_of_everything_is_never_asked() {
    bounded(|| {
        assert!(heirloom::checkpoint().is_ok());
        assert!(heirloom::sleep(Duration::from_millis(1)).is_ok());
        assert!(!heirloom::acknowledge_cancel());
    });
}

#[test]
fn a_place_that_ended_says_so() {
    bounded(|| {
        let (says, said) = said();
        let thread = thread::spawn(move || says.send(heirloom::current()).unwrap()).expect("a thread starts");
        let at = said.recv().unwrap();
        thread.join().unwrap();
        assert_eq!(at.cancel(), CancelOutcome::AlreadyFinished);
        let scope = Scope::new("scope");
        let _ = scope.stop();
        assert_eq!(scope.lineage().cancel(), CancelOutcome::AlreadyFinished);
    });
}

#[test]
fn a_scope_that_ended_still_asks_what_stands_in_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        let (says, said) = said();
        let thread = scope.run(|| thread::spawn(move || sleeps(&says)).expect("a thread starts"));
        said.recv().expect("it runs");
        let _ = scope.stop();
        assert_eq!(scope.lineage().cancel(), CancelOutcome::AlreadyFinished);
        assert!(thread.join().unwrap());
    });
}
