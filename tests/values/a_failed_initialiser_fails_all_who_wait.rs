//! An initialiser's error or panic, and the end of the place that was to own the value, reach everyone who waits and
//! leave the slot empty: the next call tries again. A waiter may stop waiting, and the initialiser goes on undisturbed.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{CancelOutcome, Heirloom, InitError, Lineage, PoolConfig, PoolManager, Scope, TaskHandle, thread};

use crate::common::{BOUND, bounded, eventually};

type Made = Result<Arc<u32>, heirloom::Error>;

/// A leader inside its initialiser on a thread of its own, until it is told what to do.
struct Led {
    leader: std::thread::JoinHandle<std::thread::Result<Made>>,
    go: mpsc::Sender<Result<u32, String>>,
}

/// What the leader is told besides a value or an error.
const PANIC: &str = "panics";

fn lead(key: &'static Heirloom<u32>, owner: Option<&Lineage>) -> Led {
    let (go, gate) = mpsc::channel();
    let (began, begins) = mpsc::channel();
    let owner = owner.cloned();
    let leader = std::thread::spawn(move || {
        let make = || {
            began.send(()).expect("somebody waits for it");
            match gate.recv().expect("told") {
                Err(error) if error == PANIC => std::panic::resume_unwind(Box::new(error)),
                told => told,
            }
        };
        catch_unwind(AssertUnwindSafe(|| match owner {
            Some(owner) => owner.run(|| key.at(&owner).get_or_try_init(make)),
            None => key.get_or_try_init(make),
        }))
    });
    begins.recv().expect("it runs");
    Led { leader, go }
}

impl Led {
    fn end(self, told: Result<u32, String>) -> std::thread::Result<Made> {
        self.go.send(told).expect("it waits");
        self.leader.join().expect("ends")
    }
}

fn pool(scope: &Scope) -> PoolManager {
    let pool = scope.create("askers");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

/// This many waiters, all inside their wait.
fn waiters(
    pool: &PoolManager,
    at: &Lineage,
    many: usize,
    ask: impl Fn() -> Made + Clone + Send + 'static,
) -> Vec<TaskHandle<Made>> {
    let before = pool.stats().waiting;
    let all = (0..many).map(|_| at.run(|| pool.submit(ask.clone())).expect("open")).collect();
    eventually("all wait", || pool.stats().waiting == before + many);
    all
}

fn never() -> u32 {
    unreachable!("another runs it")
}

#[test]
fn an_error_reaches_all_and_the_next_call_tries_again() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("askers");
        let pool = pool(&scope);
        let led = lead(&KEY, None);
        let waiters = waiters(&pool, &scope, 8, || KEY.get_or_init(never));
        let own = led.end(Err(String::from("no such file"))).expect("no panic").unwrap_err();
        let mut errors = vec![own];
        errors.extend(waiters.into_iter().map(|waiter| waiter.join().expect("ends").unwrap_err()));
        for error in errors {
            assert!(matches!(error.as_init(), Some(InitError::Failed { key: "key", .. })), "{error:?}");
            assert_eq!(
                error.as_init().and_then(|it| it.as_failed()).map(ToString::to_string).as_deref(),
                Some("no such file")
            );
            let source = error.source().expect("the initialiser's own error");
            assert_eq!(source.to_string(), "no such file");
        }
        assert!(KEY.get().is_err(), "the slot is empty");
        assert_eq!(*KEY.get_or_init(|| 7).expect("tried again"), 7);
    });
}

#[test]
fn a_panic_goes_on_in_its_own_caller_and_is_an_error_for_the_others() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("askers");
        let pool = pool(&scope);
        let led = lead(&KEY, None);
        let waiters = waiters(&pool, &scope, 8, || KEY.get_or_init(never));
        let payload = led.end(Err(String::from(PANIC))).unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some(PANIC));
        for waiter in waiters {
            let error = waiter.join().expect("ends").unwrap_err();
            assert!(
                matches!(error.as_init(), Some(InitError::Panicked { key: "key", message }) if message == PANIC),
                "{error:?}"
            );
        }
        assert!(KEY.get().is_err(), "the slot is empty");
        assert_eq!(*KEY.get_or_init(|| 7).expect("tried again"), 7);
    });
}

#[test]
fn the_owners_end_fails_the_waiters_at_once_and_its_initialiser_later() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let askers = Scope::new("askers");
        let pool = pool(&askers);
        for cancelled in [false, true] {
            let owner = Scope::new_in(&askers, "owner");
            let below = Scope::new_in(&owner, "below");
            let led = lead(&KEY, Some(&owner));
            // Inside the owner's scope only by where they stand: the task itself was asked for outside of it.
            let (at, slot) = (below.lineage().clone(), owner.lineage().clone());
            let waiters = waiters(&pool, &askers, 4, move || at.run(|| KEY.at(&slot).get_or_init(never)));
            match cancelled {
                true => owner.cancel(),
                false => drop(owner.stop().expect("not from its own task")),
            }
            for waiter in waiters {
                let ended = waiter.join().expect("ends");
                assert!(
                    matches!(ended, Err(ref it) if matches!(it.as_init(), Some(InitError::OwnerGone { .. } | InitError::Cancelled { .. }))),
                    "it ends while the initialiser runs: {ended:?}"
                );
            }
            let late = led.end(Ok(1)).expect("no panic");
            assert!(
                matches!(late, Err(ref it) if matches!(it.as_init(), Some(InitError::OwnerGone { key: "key", .. }))),
                "{late:?}"
            );
            assert!(KEY.at(&owner).get().is_err(), "nothing is bound at what has ended");
            let again = owner.run(|| KEY.at(&owner).get_or_init(|| 2));
            assert!(matches!(again, Err(ref it) if matches!(it.as_init(), Some(InitError::OwnerGone { .. }))));
        }
        assert_eq!(*askers.run(|| KEY.at(&askers).get_or_init(|| 7)).expect("an open owner"), 7);
    });
}

#[test]
fn a_thread_that_ended_owns_nothing_more() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let place = thread::spawn(heirloom::current).expect("a thread starts").join().expect("ends");
        let refused = place.run(|| KEY.at(&place).get_or_init(|| 1));
        assert!(
            matches!(refused, Err(ref it) if matches!(it.as_init(), Some(InitError::OwnerGone { .. }))),
            "{refused:?}"
        );
    });
}

#[test]
fn a_waiter_may_time_out_and_the_initialiser_goes_on() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let led = lead(&KEY, None);
        let bounded = KEY.within(Duration::from_millis(5)).get_or_init(never);
        assert!(
            matches!(bounded, Err(ref it) if matches!(it.as_init(), Some(InitError::TimedOut { key: "key" }))),
            "{bounded:?}"
        );
        let scope = Scope::new("asker");
        let patient = waiters(&pool(&scope), &scope, 1, || KEY.within(BOUND).get_or_init(never));
        assert_eq!(*led.end(Ok(7)).expect("no panic").expect("undisturbed"), 7);
        for waiter in patient {
            assert_eq!(*waiter.join().expect("ends").expect("in time"), 7);
        }
        assert_eq!(*KEY.within(Duration::ZERO).get_or_init(never).expect("there"), 7);
    });
}

#[test]
fn a_waiter_that_is_cancelled_stops_waiting_and_the_others_do_not() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let (one, other) = (Scope::new("one"), Scope::new("other"));
        let led = lead(&KEY, None);
        let service = Scope::new("service");
        let pool = pool(&service);
        let by_scope = waiters(&pool, &one, 1, || KEY.get_or_init(never)).remove(0);
        let by_task = waiters(&pool, &other, 1, || KEY.get_or_init(never)).remove(0);
        let stays = waiters(&pool, &other, 1, || KEY.get_or_init(never)).remove(0);
        one.cancel();
        assert!(
            matches!(by_scope.join().expect("ends"), Err(ref it) if matches!(it.as_init(), Some(InitError::Cancelled { key: "key", .. })))
        );
        assert_eq!(by_task.cancel(), CancelOutcome::Requested);
        assert!(
            matches!(by_task.join().expect("ends"), Err(ref it) if matches!(it.as_init(), Some(InitError::Cancelled { .. })))
        );
        assert_eq!(pool.stats().waiting, 1);
        assert_eq!(*led.end(Ok(7)).expect("no panic").expect("undisturbed"), 7);
        assert_eq!(*stays.join().expect("ends").expect("made"), 7);
    });
}

#[test]
fn under_failures_and_races_every_asker_gets_an_answer() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let askers: Vec<_> = (0..4)
            .map(|i| {
                std::thread::spawn(move || {
                    for round in 0..3_000_u32 {
                        let ask = || {
                            KEY.get_or_try_init(|| match RUNS.fetch_add(1, Ordering::SeqCst) % 3 {
                                0 => Err("an error"),
                                1 => std::panic::resume_unwind(Box::new("a panic")),
                                run => Ok(run),
                            })
                        };
                        match catch_unwind(AssertUnwindSafe(ask)) {
                            Ok(Ok(_)) if (round + i) % 2 == 0 => drop(KEY.at(&Lineage::process()).unbind()),
                            Ok(Err(error)) => {
                                assert!(matches!(
                                    error.as_init(),
                                    Some(InitError::Failed { .. } | InitError::Panicked { .. })
                                ));
                            }
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.join().expect("ends");
        }
        KEY.at(&Lineage::process()).unbind();
        assert_eq!(*KEY.get_or_init(|| 7).expect("the slot is empty"), 7);
    });
}
