//! A request to stop is remembered, before the start and after the first look, until the one it was made to declines
//! it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{CancelOutcome, PoolConfig, Scope, thread};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn every_look_sees_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let meet = Arc::new(Barrier::new(2));
        let there = Arc::clone(&meet);
        let task = pool
            .submit(move || {
                there.wait();
                there.wait();
                (0..3).all(|_| heirloom::checkpoint().is_err() && heirloom::sleep(LONG).is_err())
            })
            .expect("accepted");
        meet.wait();
        task.cancel();
        meet.wait();
        assert!(task.join().expect("runs"));
    });
}

#[test]
fn a_queued_task_that_is_asked_never_runs() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let task = pool.submit(move || runs.store(true, Ordering::SeqCst)).expect("accepted");
        assert_eq!(task.cancel(), CancelOutcome::Requested);
        assert_eq!(task.cancel(), CancelOutcome::AlreadyFinished);
        busy.end();
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn a_queued_task_below_a_place_that_is_asked_never_runs() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let (stands, place) = channel();
        let (submits, submitted) = channel();
        let (go, gate) = channel::<()>();
        let at = pool.clone();
        let thread = scope.run(|| {
            thread::spawn(move || {
                stands.send(heirloom::current()).unwrap();
                submits.send(at.submit(|| unreachable!("it must not run")).expect("accepted")).unwrap();
                let _ = gate.recv();
            })
            .expect("a thread starts")
        });
        let task: heirloom::TaskHandle<()> = submitted.recv().unwrap();
        assert_eq!(place.recv().unwrap().cancel(), CancelOutcome::Requested);
        busy.end();
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
        drop(go);
        thread.join().unwrap();
    });
}

#[test]
fn a_thread_that_is_asked_before_it_looks_sees_it() {
    bounded(|| {
        let (go, gate) = channel::<()>();
        let thread = thread::spawn(move || {
            let _ = gate.recv();
            heirloom::sleep(LONG)
        })
        .expect("a thread starts");
        assert_eq!(thread.cancel(), CancelOutcome::Requested);
        assert_eq!(thread.cancel(), CancelOutcome::AlreadyRequested);
        drop(go);
        assert!(thread.join().unwrap().is_err());
    });
}

#[test]
fn a_task_that_declines_completes_and_can_be_asked_again() {
    bounded(|| {
        for becomes_node in [false, true] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", PoolConfig::leased(1));
            let meet = Arc::new(Barrier::new(2));
            let there = Arc::clone(&meet);
            let task = pool
                .submit(move || {
                    if becomes_node {
                        let _ = heirloom::current();
                    }
                    there.wait();
                    there.wait(); // asked
                    assert!(heirloom::is_cancelled());
                    assert!(heirloom::acknowledge_cancel());
                    assert!(!heirloom::acknowledge_cancel());
                    assert!(heirloom::checkpoint().is_ok());
                    assert!(heirloom::sleep(Duration::ZERO).is_ok());
                    there.wait();
                    there.wait(); // asked again
                    heirloom::checkpoint().is_err()
                })
                .expect("accepted");
            meet.wait();
            assert_eq!(task.cancel(), CancelOutcome::Requested);
            assert_eq!(task.cancel(), CancelOutcome::AlreadyRequested);
            meet.wait();
            meet.wait();
            assert_eq!(task.cancel(), CancelOutcome::Requested);
            meet.wait();
            assert!(task.join().expect("runs"));
        }
    });
}

#[test]
fn a_thread_declines_too() {
    bounded(|| {
        let meet = Arc::new(Barrier::new(2));
        let there = Arc::clone(&meet);
        let thread = thread::spawn(move || {
            there.wait();
            heirloom::is_cancelled() && heirloom::acknowledge_cancel() && !heirloom::is_cancelled()
        })
        .expect("a thread starts");
        thread.cancel();
        meet.wait();
        assert!(thread.join().unwrap());
    });
}

#[test]
fn declining_clears_nothing_that_was_asked_above() {
    bounded(|| {
        // Of the scope, of the pool, of the submitter.
        let asked: [fn(&Scope, &heirloom::PoolManager); 2] = [|scope, _| scope.cancel(), |_, pool| pool.cancel()];
        for ask in asked {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", PoolConfig::leased(1));
            let meet = Arc::new(Barrier::new(2));
            let there = Arc::clone(&meet);
            let task = scope.run(|| {
                pool.submit(move || {
                    there.wait();
                    there.wait();
                    heirloom::acknowledge_cancel();
                    heirloom::checkpoint().is_err()
                })
                .expect("accepted")
            });
            meet.wait();
            ask(&scope, &pool);
            meet.wait();
            assert!(task.join().expect("runs"));
        }
    });
}

#[test]
fn a_scope_inside_the_task_does_not_hide_the_tasks_own_request() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let meet = Arc::new(Barrier::new(2));
        let there = Arc::clone(&meet);
        let task = pool
            .submit(move || {
                Scope::run("inner", |inner| {
                    there.wait();
                    there.wait();
                    let seen = heirloom::is_cancelled() && inner.is_cancelled();
                    // It is the task's own, and declined from in here.
                    seen && heirloom::acknowledge_cancel() && !inner.is_cancelled()
                })
            })
            .expect("accepted");
        meet.wait();
        task.cancel();
        meet.wait();
        assert!(task.join().expect("runs"));
    });
}

#[test]
fn a_task_run_in_place_is_asked_for_itself() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let meet = Arc::new(Barrier::new(2));
        let there = Arc::clone(&meet);
        let at = pool.clone();
        let outer = pool
            .submit(move || {
                let inner = at.submit(move || {
                    there.wait();
                    there.wait();
                    heirloom::is_cancelled()
                });
                // Runs here, within the outer one, which is asked meanwhile.
                let inner = inner.expect("accepted").join().expect("runs");
                (inner, heirloom::is_cancelled())
            })
            .expect("accepted");
        meet.wait();
        outer.cancel();
        meet.wait();
        assert_eq!(outer.join().expect("runs"), (false, true));
    });
}

#[test]
fn a_cancel_that_races_with_the_task_becoming_a_node_is_seen() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        for _ in 0..300 {
            let meet = Arc::new(Barrier::new(2));
            let there = Arc::clone(&meet);
            let task = pool
                .submit(move || {
                    there.wait();
                    let _ = heirloom::current();
                    heirloom::sleep(LONG)
                })
                .expect("accepted");
            meet.wait();
            task.cancel();
            assert!(task.join().expect("runs").is_err());
        }
    });
}

#[test]
fn one_request_is_declined_once() {
    bounded(|| {
        /// Declines the request that comes, and says whether it is back when the call that made it has returned.
        fn declines(says: &Sender<()>, returned: &Receiver<()>) -> bool {
            let _ = heirloom::current();
            says.send(()).unwrap();
            while !heirloom::acknowledge_cancel() {
                std::hint::spin_loop();
            }
            returned.recv().unwrap();
            !heirloom::is_cancelled()
        }
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        for round in 0..3000 {
            let ((says, said), (returns, returned)) = (channel(), channel());
            let body = move || declines(&says, &returned);
            if round % 2 == 0 {
                let task = pool.submit(body).expect("accepted");
                said.recv().unwrap();
                task.cancel();
                returns.send(()).unwrap();
                assert!(task.join().expect("runs"), "round {round}");
            } else {
                let thread = thread::spawn(body).expect("a thread starts");
                said.recv().unwrap();
                thread.cancel();
                returns.send(()).unwrap();
                assert!(thread.join().unwrap(), "round {round}");
            }
        }
    });
}

#[test]
fn a_handle_and_the_node_tell_of_the_same_request() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let ((says, said), (go, gate)) = (channel(), channel::<()>());
        let task = pool.submit(move || {
            says.send(heirloom::current()).unwrap();
            let _ = gate.recv();
        });
        let task = task.expect("accepted");
        let at = said.recv().unwrap();
        assert_eq!(at.cancel(), CancelOutcome::Requested);
        assert_eq!(task.cancel(), CancelOutcome::AlreadyRequested);
        drop(go);
        while !task.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!((at.cancel(), task.cancel()), (CancelOutcome::AlreadyFinished, CancelOutcome::AlreadyFinished));
    });
}

#[test]
fn a_pools_request_is_not_the_tasks_to_decline() {
    bounded(|| {
        for is_node in [false, true] {
            let scope = Scope::new("scope");
            let pool = started(&scope, "pool", PoolConfig::leased(1));
            let ((says, said), (go, gate)) = (channel(), channel::<()>());
            let task = pool.submit(move || {
                let at = is_node.then(heirloom::current);
                says.send(()).unwrap();
                let _ = gate.recv();
                let declined = heirloom::acknowledge_cancel();
                // What it started hears it at the node.
                (declined, heirloom::is_cancelled(), at.is_none_or(|at| at.is_cancelled()))
            });
            said.recv().unwrap();
            pool.cancel();
            drop(go);
            assert_eq!(task.expect("accepted").join().expect("runs"), (false, true, true));
        }
    });
}

#[test]
fn what_a_task_left_behind_declines_nothing_of_the_threads() {
    struct Declines(Sender<bool>);
    impl Drop for Declines {
        fn drop(&mut self) {
            let _ = self.0.send(heirloom::acknowledge_cancel());
        }
    }
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let (asks, asked) = channel::<()>();
        let (tells, told) = channel();
        let runs = thread::spawn(move || {
            asked.recv().expect("the test asks");
            // The scope's task runs here in place; nobody takes its result.
            let run = pool.run(|| pool.scope(|tasks| drop(tasks.submit(|| Declines(tells)).expect("accepted"))));
            run.expect("runs");
            (heirloom::is_cancelled(), heirloom::acknowledge_cancel())
        })
        .expect("a thread starts");
        runs.cancel();
        asks.send(()).expect("the thread listens");
        assert_eq!(runs.join().expect("ends"), (true, true), "the request is still there");
        assert_eq!(told.recv(), Ok(false));
    });
}
