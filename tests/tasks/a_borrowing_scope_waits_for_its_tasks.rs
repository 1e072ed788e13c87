//! `manager.scope` runs tasks that borrow, and returns when all of them have ended, also when its closure panics: each
//! task's closure and unclaimed result is dropped before that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{CancelOutcome, PoolConfig, PoolManager, Scope, StopError, SubmitErrorKind, TaskStatus};

use crate::common::bounded;

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("work");
    pool.start(config.log_panics(false)).expect("starts");
    pool
}

/// Counts itself in a borrowed place when it is dropped.
struct Counts<'a>(&'a AtomicUsize);

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn tasks_write_to_what_they_borrow() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(3));
        let mut numbers = vec![1; 100];
        pool.scope(|s| {
            for chunk in numbers.chunks_mut(7) {
                drop(s.submit(move || chunk.iter_mut().for_each(|n| *n *= 2)).expect("accepted"));
            }
        });
        assert_eq!(numbers, vec![2; 100]);
    });
}

#[test]
fn what_the_closure_returns_comes_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let text = String::from("borrowed");
        let length = pool.scope(|s| s.submit(|| text.len()).expect("accepted").join().expect("ends"));
        assert_eq!(length, 8);
    });
}

#[test]
fn a_handle_that_is_dropped_is_waited_for_all_the_same() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let ran = AtomicUsize::new(0);
        let (go, gate) = mpsc::channel::<()>();
        pool.scope(|s| {
            let ran = &ran;
            drop(s.submit(move || {
                let _ = gate.recv();
                ran.fetch_add(1, Ordering::SeqCst);
            }));
            drop(go);
        });
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn it_waits_also_when_its_closure_panics() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let ran = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|s| {
                for _ in 0..20 {
                    drop(s.submit(|| {
                        std::thread::yield_now();
                        ran.fetch_add(1, Ordering::SeqCst);
                    }));
                }
                panic!("the closure")
            })
        }));
        assert_eq!(ran.load(Ordering::SeqCst), 20, "all had ended when the panic came through");
        assert_eq!(caught.expect_err("it goes on").downcast_ref(), Some(&"the closure"));
    });
}

#[test]
fn a_tasks_panic_stays_its_own() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (joined, after) = pool.scope(|s| {
            let joined = s.submit(|| panic!("in a task")).expect("accepted").join();
            drop(s.submit(|| panic!("and nobody looks")));
            (joined.map(|(): ()| ()), s.submit(|| 7).expect("accepted").join())
        });
        assert_eq!(joined.expect_err("panicked").panic_message(), Some("in a task"));
        assert_eq!(after.expect("ends"), 7);
    });
}

#[test]
fn closures_and_unclaimed_results_are_dropped_before_it_returns() {
    bounded(|| {
        let scope = Scope::new("test");
        for round in 0..300 {
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(1 + round % 3).log_panics(false)).expect("starts");
            let drops = AtomicUsize::new(0);
            pool.scope(|s| {
                for n in 0..12 {
                    let drops = &drops;
                    let held = Counts(drops);
                    let task = s.submit(move || {
                        let result = Counts(drops);
                        let _held = held;
                        if n % 4 == 3 {
                            panic!("some panic");
                        }
                        result
                    });
                    let task = task.expect("accepted");
                    match n % 3 {
                        0 => drop(task),
                        1 => drop(task.cancel()),
                        _ => drop(task.join()),
                    }
                }
            });
            let drops = drops.load(Ordering::SeqCst);
            assert!((12..=24).contains(&drops), "{drops}: twelve closures, and the results of those that ran");
        }
    });
}

#[test]
fn results_outlive_their_handles_by_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        for _ in 0..500 {
            let drops = AtomicUsize::new(0);
            pool.scope(|s| drop(s.submit(|| Counts(&drops))));
            assert_eq!(drops.load(Ordering::SeqCst), 1);
        }
    });
}

#[test]
fn a_cancelled_task_is_not_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let blocker = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        });
        running.recv().expect("runs");
        let drops = AtomicUsize::new(0);
        pool.scope(|s| {
            let held = Counts(&drops);
            let task = s.submit(move || drop(held)).expect("accepted");
            assert_eq!(task.status(), TaskStatus::Queued);
            assert_eq!(task.cancel(), CancelOutcome::Requested);
            assert_eq!(drops.load(Ordering::SeqCst), 1, "its closure is gone at once");
            assert!(task.is_finished());
            assert!(task.join().expect_err("never ran").is_cancelled());
        });
        drop(go);
        blocker.expect("accepted").join().expect("ends");
    });
}

#[test]
fn a_timed_join_gives_the_borrowing_handle_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let text = String::from("borrowed");
        pool.scope(|s| {
            let text = &text;
            let waits = s.submit(move || {
                let _ = gate.recv();
                text
            });
            let waits = waits.expect("accepted").join_timeout(Duration::from_millis(20)).expect_err("not yet");
            drop(go);
            assert_eq!(waits.join().expect("ends"), "borrowed");
        });
    });
}

#[test]
fn scopes_nest_within_scopes() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let sum = AtomicUsize::new(0);
        pool.scope(|outer| {
            for _ in 0..5 {
                drop(outer.submit(|| {
                    pool.scope(|inner| {
                        for _ in 0..5 {
                            drop(inner.submit(|| sum.fetch_add(1, Ordering::SeqCst)));
                        }
                    });
                    let seen = sum.load(Ordering::SeqCst);
                    assert!(seen >= 5, "the inner scope's tasks have ended");
                }));
            }
        });
        assert_eq!(sum.load(Ordering::SeqCst), 25);
    });
}

#[test]
fn a_task_may_submit_to_the_scope_it_runs_in() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let ran = AtomicUsize::new(0);
        pool.scope(|s| {
            for _ in 0..10 {
                drop(s.submit(|| {
                    for _ in 0..10 {
                        drop(s.submit(|| ran.fetch_add(1, Ordering::SeqCst)).expect("accepted"));
                    }
                }));
            }
        });
        assert_eq!(ran.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn a_scope_on_a_worker_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()] {
            let pool = scope.create("work");
            pool.start(config).expect("starts");
            let this = pool.clone();
            let outer = pool.submit(move || {
                let ran = AtomicUsize::new(0);
                this.scope(|s| {
                    for _ in 0..20 {
                        drop(s.submit(|| ran.fetch_add(1, Ordering::SeqCst)));
                    }
                    let joined = s.submit(|| 1).expect("accepted").join().expect("ends");
                    ran.fetch_add(joined, Ordering::SeqCst);
                });
                ran.into_inner()
            });
            assert_eq!(outer.expect("accepted").join().expect("ends"), 21);
        }
    });
}

#[test]
fn a_stop_from_one_of_its_tasks_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let answer = pool.scope(|s| s.submit(|| pool.stop()).expect("accepted").join().expect("ends"));
        assert!(matches!(answer, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
        assert!(pool.is_running());
    });
}

#[test]
fn a_pool_that_does_not_run_refuses_its_tasks_and_the_value_comes_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("idle");
        let refused = pool.scope(|s| s.submit(|| ()).map(drop));
        assert!(refused.is_err());
        pool.start(PoolConfig::leased(1).task_type("t")).expect("starts");
        let refused = pool.scope(|s| s.submit(|| ()).map(drop));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
        );
        assert_eq!(pool.of_type("t").scope(|s| s.submit(|| 7).expect("accepted").join().expect("ends")), 7);
        pool.close();
        let refused = pool.of_type("t").scope(|s| s.submit(|| ()).map(drop));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
    });
}

#[test]
fn a_scope_that_is_cancelled_elsewhere_returns() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        drop(pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        }));
        running.recv().expect("runs");
        let outcomes: Vec<bool> = pool.scope(|s| {
            let tasks: Vec<_> = (0..10).map(|_| s.submit(|| ()).expect("accepted")).collect();
            pool.cancel();
            tasks.into_iter().map(|task| task.join().is_err_and(|error| error.is_cancelled())).collect()
        });
        assert_eq!(outcomes, [true; 10]);
        drop(go);
    });
}

#[test]
fn a_handle_may_be_carried_into_another_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let text = String::from("borrowed");
        pool.scope(|s| {
            let first = s.submit(|| text.as_str()).expect("accepted");
            let second = s.submit(move || first.join().expect("ends").len()).expect("accepted");
            assert_eq!(second.join().expect("ends"), 8);
            let detached = s.submit(|| Counts(&DROPS)).expect("accepted");
            drop(s.submit(move || drop(detached)).expect("accepted"));
        });
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    });
}
