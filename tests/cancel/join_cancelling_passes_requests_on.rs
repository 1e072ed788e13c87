//! `join_cancelling`: a waiter that is asked to stop asks the child, keeps waiting, and reports one `Cancelled`.

use std::sync::mpsc::channel;
use std::time::Duration;

use heirloom::{PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::started;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_waiting_tasks_request_ends_its_child_task() {
    bounded(|| {
        for config in [PoolConfig::leased(2), PoolConfig::dedicated(2), PoolConfig::leased(1)] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", config);
            let (says, said) = channel();
            let at = pool.clone();
            let outer = pool
                .submit(move || {
                    // Before the outer one is a node, so nothing but the join connects the two.
                    let child = at.submit(move || {
                        says.send(()).unwrap();
                        heirloom::sleep(LONG)
                    });
                    child.expect("accepted").join_cancelling().map(drop)
                })
                .expect("accepted");
            said.recv().unwrap();
            outer.cancel();
            assert_eq!(outer.join().expect("runs").unwrap_err().to_string().split(':').next(), Some("cancelled"));
        }
    });
}

#[test]
fn a_shielded_thread_is_asked_by_its_waiter() {
    bounded(|| {
        let (says, said) = channel();
        let outer = thread::spawn(move || {
            let child = thread::Builder::new().shielded().spawn(move || {
                says.send(()).unwrap();
                heirloom::sleep(LONG).is_err()
            });
            (child.unwrap().join_cancelling().is_err(), heirloom::is_cancelled())
        })
        .expect("a thread starts");
        said.recv().unwrap();
        outer.cancel();
        assert_eq!(outer.join().unwrap(), (true, true));
    });
}

#[test]
fn each_further_request_asks_a_child_that_declined_again() {
    bounded(|| {
        let (says, said) = channel();
        let outer = thread::spawn(move || {
            let child = thread::Builder::new().shielded().spawn(move || {
                for _ in 0..2 {
                    says.send("sleeps").unwrap();
                    assert!(heirloom::sleep(LONG).is_err());
                    assert!(heirloom::acknowledge_cancel());
                }
                says.send("sleeps").unwrap();
                heirloom::sleep(LONG).is_err()
            });
            child.unwrap().join_cancelling().is_err()
        })
        .expect("a thread starts");
        for _ in 0..3 {
            assert_eq!(said.recv().unwrap(), "sleeps");
            outer.cancel();
        }
        assert!(outer.join().unwrap());
    });
}

#[test]
fn a_child_that_ended_before_gives_its_result_and_the_request_stays() {
    bounded(|| {
        let (go, gate) = channel::<()>();
        let outer = thread::spawn(move || {
            let child = thread::Builder::new().shielded().spawn(|| 7).unwrap();
            while !child.is_finished() {
                std::thread::yield_now();
            }
            let _ = gate.recv(); // asked
            (child.join_cancelling().unwrap(), heirloom::is_cancelled())
        })
        .expect("a thread starts");
        outer.cancel();
        drop(go);
        assert_eq!(outer.join().unwrap(), (7, true));
    });
}

#[test]
fn a_request_from_before_is_passed_on_at_once() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(2));
        let child = pool.submit(|| heirloom::sleep(LONG)).expect("accepted");
        let request = Scope::new("request");
        request.cancel();
        assert!(
            request.run(|| child.join_cancelling()).is_err_and(|error| matches!(error, heirloom::Error::Cancelled(_)))
        );
    });
}

#[test]
fn a_join_cancelling_without_a_request_is_a_join() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        assert_eq!(pool.submit(|| 7).expect("accepted").join_cancelling().expect("runs"), 7);
        let panics = pool.submit(|| panic!("no")).expect("accepted");
        assert!(panics.join_cancelling().map(drop::<()>).is_err_and(|error| error.is_panic()));
        assert_eq!(thread::spawn(|| 7).expect("a thread starts").join_cancelling().unwrap(), 7);
        let panics = thread::spawn(|| panic!("no")).expect("a thread starts");
        assert!(panics.join_cancelling().map(drop::<()>).is_err_and(|error| error.is_panic()));
        let at = pool.clone();
        let nested = pool.submit(move || at.submit(|| 8).expect("accepted").join_cancelling());
        assert_eq!(nested.expect("accepted").join().expect("runs").expect("runs"), 8);
    });
}

#[test]
fn a_join_in_a_pool_that_keeps_its_places_ends_too() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1).holds_permit());
        let at = pool.clone();
        let nested = pool.submit(move || at.submit(|| 8).expect("accepted").join_cancelling());
        assert_eq!(nested.expect("accepted").join().expect("runs").expect("runs"), 8);
    });
}

#[test]
fn a_child_that_runs_in_a_pool_that_keeps_its_places_is_asked() {
    bounded(|| {
        for config in [PoolConfig::leased(2).holds_permit(), PoolConfig::leased(2).max_blocked(0)] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", config);
            let (says, said) = channel();
            let at = pool.clone();
            let outer = pool.submit(move || {
                let (runs, running) = channel();
                let child = at.submit(move || {
                    runs.send(()).unwrap();
                    heirloom::sleep(LONG)
                });
                running.recv().unwrap();
                says.send(()).unwrap();
                child.expect("accepted").join_cancelling().is_err()
            });
            let outer = outer.expect("accepted");
            said.recv().unwrap();
            outer.cancel();
            assert!(outer.join().expect("runs"));
        }
    });
}

#[test]
fn a_thread_joined_by_a_task_does_not_hold_up_its_pool() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let (go, gate) = channel::<()>();
        let waits = pool
            .submit(move || thread::spawn(move || gate.recv().is_err()).expect("a thread starts").join().unwrap())
            .expect("accepted");
        let frees = pool.submit(move || drop(go)).expect("accepted");
        frees.join().expect("runs");
        assert!(waits.join().expect("runs"));
    });
}

#[test]
fn a_scoped_thread_is_joined_so_too() {
    bounded(|| {
        let text = String::from("borrowed");
        let length = thread::scope(|s| s.spawn(|| text.len()).expect("a thread starts").join_cancelling().unwrap());
        assert_eq!(length, 8);
        let request = Scope::new("request");
        request.cancel();
        let passed = request.run(|| {
            let sleeper = || heirloom::sleep(LONG).map_err(|_| text.len());
            thread::scope(|s| {
                let isolated = thread::Builder::new().shielded().spawn_scoped(s, sleeper);
                isolated.unwrap().join_cancelling().is_err()
            })
        });
        assert!(passed);
    });
}
