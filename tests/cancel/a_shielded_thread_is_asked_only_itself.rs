//! `Builder::shielded`: what is asked of the places above is not delivered to the thread, nor to what it starts.

use std::sync::mpsc::channel;
use std::time::Duration;

use heirloom::{CancelOutcome, PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::started;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn the_parents_request_is_not_delivered() {
    bounded(|| {
        let request = Scope::new("request");
        let pool = started(&request, "pool", PoolConfig::leased(1));
        let (says, said) = channel();
        let (go, gate) = channel::<()>();
        let child = request.run(|| {
            thread::Builder::new().shielded().spawn(move || {
                says.send(()).unwrap();
                let _ = gate.recv();
                let below = thread::spawn(heirloom::is_cancelled).expect("a thread starts").join().unwrap();
                let finds = heirloom::get("pool").is_ok();
                (heirloom::is_cancelled(), below, finds)
            })
        });
        said.recv().unwrap();
        request.cancel();
        drop(go);
        // It is below the request all the same, and finds what that owns.
        assert_eq!(child.unwrap().join().unwrap(), (false, false, true));
        drop(pool);
    });
}

#[test]
fn its_own_request_wakes_it_and_what_it_started() {
    bounded(|| {
        let request = Scope::new("request");
        let (says, said) = channel();
        let child = request.run(|| {
            thread::Builder::new().shielded().spawn(move || {
                let below = thread::spawn(move || {
                    says.send(()).unwrap();
                    heirloom::sleep(LONG).is_err()
                })
                .expect("a thread starts");
                (below.join().unwrap(), heirloom::sleep(LONG).is_err())
            })
        });
        let child = child.unwrap();
        said.recv().unwrap();
        assert_eq!(child.cancel(), CancelOutcome::Requested);
        assert_eq!(child.join().unwrap(), (true, true));
        assert!(!request.is_cancelled());
    });
}

#[test]
fn a_sleeping_one_sleeps_through_its_parents_request() {
    bounded(|| {
        let request = Scope::new("request");
        let child = request.run(|| {
            thread::Builder::new().shielded().spawn(|| {
                let _ = heirloom::current();
                heirloom::sleep(Duration::from_millis(50))
            })
        });
        request.cancel();
        assert!(child.unwrap().join().unwrap().is_ok());
    });
}
