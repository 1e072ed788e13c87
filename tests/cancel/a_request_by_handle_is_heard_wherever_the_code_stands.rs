//! Code that has entered another place is still asked by the handle of its own task or thread, and by its pool.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use heirloom::{Lineage, PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::started;

const LONG: Duration = Duration::from_secs(3600);

/// Sleeps at the place until it is asked to stop; then whether it sees that there.
fn sleeps_at(place: Lineage, says: Sender<()>) -> impl FnOnce() -> bool + Send {
    move || {
        place.run(|| {
            says.send(()).expect("the test listens");
            heirloom::sleep(LONG).is_err() && heirloom::is_cancelled()
        })
    }
}

/// So that what is asked now finds a sleeper; where it does not, the test proves less and passes.
fn let_it_sleep() {
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn a_sleeping_task_hears_its_handle_and_its_pool() {
    bounded(|| {
        let (scope, other) = (Scope::new("scope"), Scope::new("other"));
        for by_pool in [false, true] {
            let pool = started(&scope, "pool", PoolConfig::leased(1));
            let (says, said) = channel();
            let task = pool.submit(sleeps_at(other.lineage().clone(), says)).expect("accepted");
            said.recv().unwrap();
            let_it_sleep();
            if by_pool {
                pool.cancel();
            } else {
                task.cancel();
            }
            assert!(task.join().expect("runs"));
        }
        assert!(!other.is_cancelled());
    });
}

#[test]
fn a_sleeping_thread_hears_its_handle() {
    bounded(|| {
        let other = Scope::new("other");
        let (says, said) = channel();
        let thread = thread::spawn(sleeps_at(other.lineage().clone(), says)).expect("a thread starts");
        said.recv().unwrap();
        let_it_sleep();
        thread.cancel();
        assert!(thread.join().unwrap());
    });
}

#[test]
fn a_request_at_the_node_is_heard() {
    bounded(|| {
        let other = Scope::new("other");
        let (says, said) = channel();
        let thread = thread::spawn(move || {
            let own = heirloom::current();
            other.run(|| {
                says.send(own).expect("the test listens");
                heirloom::sleep(LONG).is_err() && heirloom::is_cancelled()
            })
        })
        .expect("a thread starts");
        said.recv().unwrap().cancel();
        assert!(thread.join().unwrap());
    });
}

#[test]
fn a_task_that_joins_passes_its_request_on() {
    bounded(|| {
        let (scope, other) = (Scope::new("scope"), Scope::new("other"));
        let pool = started(&scope, "pool", PoolConfig::leased(2));
        let (says, said) = channel();
        let (at, place) = (pool.clone(), other.lineage().clone());
        let outer = pool.submit(move || {
            let child = at.submit(sleeps_at(Lineage::process(), says)).expect("accepted");
            place.run(|| child.join_cancelling().is_err())
        });
        said.recv().unwrap();
        let_it_sleep();
        let outer = outer.expect("accepted");
        outer.cancel();
        assert!(outer.join().expect("runs"));
    });
}
