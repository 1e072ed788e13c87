//! `heirloom::test`: a family for each test, whose work ends with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use futures::executor::block_on;
use heirloom::test::{isolated, isolated_async};
use heirloom::{Lineage, PoolConfig, Scope, thread};

use crate::common::{BOUND, bounded};

fn start(name: &'static str) {
    heirloom::create(name).start(PoolConfig::leased(1)).expect("it starts");
}

#[test]
fn pools_of_two_tests_do_not_meet() {
    bounded(|| {
        let name = "of one test";
        isolated(|| {
            start(name);
            isolated(|| assert!(heirloom::get(name).is_err()));
            assert!(
                thread::spawn(move || heirloom::get(name).is_ok()).expect("a thread starts").join().expect("no panic")
            );
        });
        assert!(heirloom::get(name).is_err());
        assert!(Lineage::process().get(name).is_err());
    });
}

#[test]
fn accepted_tasks_have_ended_when_it_returns() {
    bounded(|| {
        let task = isolated(|| {
            start("work");
            heirloom::get("work").expect("it runs").submit(std::thread::yield_now).expect("it is accepted")
        });
        assert!(task.is_finished());
    });
}

#[test]
fn a_panic_goes_on_after_the_tasks_were_cancelled() {
    bounded(|| {
        let (ends, ended) = mpsc::channel();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            isolated(|| {
                start("work");
                let sleeps = move || ends.send(heirloom::sleep(BOUND * 10).is_err());
                drop(heirloom::get("work").expect("it runs").submit(sleeps).expect("it is accepted"));
                panic!("the test fails");
            })
        }));
        let payload = panic.expect_err("it panics");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the test fails"));
        // An error: the task was cancelled in the queue, and dropped its sender.
        assert!(ended.recv().unwrap_or(true));
    });
}

#[test]
fn a_future_stands_in_its_family_at_each_poll() {
    bounded(|| {
        let value = block_on(isolated_async(async {
            start("work");
            let task = heirloom::get("work").expect("it runs").submit(|| 7).expect("it is accepted");
            let request = Scope::new("request 7");
            assert!(request.root() != Lineage::process());
            let value = task.await.expect("it runs");
            assert!(heirloom::get("work").is_ok());
            value
        }));
        assert_eq!(value, 7);
        assert!(heirloom::get("work").is_err());
    });
}
