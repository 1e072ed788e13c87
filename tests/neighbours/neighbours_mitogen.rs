//! What a chain of contexts that fetch modules for one another needs: scenarios of mitogen's tests, those it has none
//! of, and its known faults, which must not happen here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{
    BindError, Heirloom, HeirloomMap, InitError, Lineage, OnFailure, PoolConfig, Scope, TaskHandle, thread,
};

use crate::common::pools::started;
use crate::common::{bounded, eventually};

const ASKERS: usize = 8;

/// Submits as many askers, and opens their initialiser's gate when all are there.
fn ask_together<T: Send + 'static>(at: &[Lineage], ask: impl Fn() -> T + Clone + Send + 'static) -> Vec<T> {
    let home = Scope::new("home");
    let pool = started(&home, "pool", PoolConfig::leased(at.len()));
    let met = Arc::new(Barrier::new(at.len()));
    let askers: Vec<TaskHandle<T>> = at
        .iter()
        .map(|at| {
            let (ask, met) = (ask.clone(), Arc::clone(&met));
            let ask = move || {
                heirloom::blocking(|| met.wait());
                ask()
            };
            at.run(|| pool.submit(ask)).expect("accepted")
        })
        .collect();
    askers.into_iter().map(|asker| asker.join().expect("runs")).collect()
}

/// Three levels of contexts; the first is the controller, the last ones ask.
fn chain(branches: usize, workers: usize) -> (Vec<Scope>, Vec<Lineage>) {
    let mut contexts = vec![Scope::new("controller")];
    let mut asking = Vec::new();
    for _ in 0..branches {
        let branch = Scope::new_in(&contexts[0], "branch");
        for _ in 0..workers {
            let worker = Scope::new_in(&branch, "worker");
            asking.push(worker.lineage().clone());
            contexts.push(worker);
        }
        contexts.push(branch);
    }
    (contexts, asking)
}

/// Scenario 11: a module that does not exist is asked for once, everyone who waits is told, and it is not asked for
/// again.
#[test]
fn a_missing_module_is_one_request_and_an_error_for_everyone() {
    bounded(|| {
        static MODULES: HeirloomMap<&str, ()> = HeirloomMap::new("modules").on_failure(OnFailure::Sticky);
        static REQUESTS: AtomicU32 = AtomicU32::new(0);
        let (contexts, asking) = chain(2, ASKERS / 2);
        let controller = contexts[0].lineage().clone();
        let ask = move || {
            let fetch = || {
                REQUESTS.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5)); // so that others wait
                Err::<(), _>("not available")
            };
            MODULES.at(&controller).get_or_try_init(&"no.such", fetch)
        };
        let answers = ask_together(&asking, ask.clone());
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Err(it) if matches!(it.as_init(), Some(InitError::Failed { .. }))))
        );
        assert!(asking[0].run(ask).is_err());
        assert_eq!(REQUESTS.load(Ordering::SeqCst), 1);
    });
}

/// Scenario 12: a package with its dependencies: three requests, four deliveries, for one was pushed before anybody
/// asked.
#[test]
fn a_package_is_three_requests_and_four_deliveries() {
    bounded(|| {
        static MODULES: HeirloomMap<&str, Vec<&str>> = HeirloomMap::new("modules");
        static REQUESTS: AtomicU32 = AtomicU32::new(0);
        fn resolve(at: &Lineage, name: &'static str) -> usize {
            let fetch = || {
                REQUESTS.fetch_add(1, Ordering::SeqCst);
                if name == "pkg" { vec!["pkg.a", "pkg.b", "pkg.related"] } else { vec![] }
            };
            let module = MODULES.at(at).get_or_init(&name, fetch).expect("there is one");
            1 + module.iter().map(|needs| resolve(at, needs)).sum::<usize>()
        }
        let (contexts, asking) = chain(1, ASKERS);
        let controller = contexts[0].lineage().clone();
        let mut delivered = MODULES.subscribe();
        MODULES.at(&controller).publish("pkg.related", vec![]).expect("nobody has it");
        let answers = ask_together(&asking, move || resolve(&controller, "pkg"));
        assert!(answers.iter().all(|modules| *modules == 4));
        assert_eq!(REQUESTS.load(Ordering::SeqCst), 3);
        assert_eq!(std::iter::from_fn(|| delivered.try_next()).count(), 4);
    });
}

/// Scenario 13: two grandchildren get a value through their one intermediary: one initialisation there, and none of it
/// for another branch.
#[test]
fn two_grandchildren_get_it_through_one_intermediary() {
    bounded(|| {
        static FILES: HeirloomMap<&str, u32> = HeirloomMap::new("files");
        static REQUESTS: AtomicU32 = AtomicU32::new(0);
        let (_contexts, asking) = chain(2, 2);
        let intermediary = asking[0].parent().expect("a branch");
        let ask = move || {
            let fetch = || {
                std::thread::sleep(Duration::from_millis(5));
                REQUESTS.fetch_add(1, Ordering::SeqCst) + 7
            };
            FILES.at(&intermediary).get_or_init(&"file", fetch).map(|file| *file).ok()
        };
        assert_eq!(ask_together(&asking[..2], ask), [Some(7), Some(7)]);
        assert_eq!(REQUESTS.load(Ordering::SeqCst), 1);
        assert!(asking[2].run(|| FILES.get(&"file")).is_err());
    });
}

/// Scenario 14: what stands below a place may have its service activated there, a sibling may not; it is activated
/// once.
#[test]
fn a_sibling_may_not_activate_what_is_not_above_it() {
    bounded(|| {
        static SERVICE: Heirloom<u32> = Heirloom::new("service");
        static ACTIVATIONS: AtomicU32 = AtomicU32::new(0);
        let (_contexts, asking) = chain(2, 1);
        let owner = asking[0].parent().expect("a branch");
        let activate = || SERVICE.at(&owner).get_or_init(|| ACTIVATIONS.fetch_add(1, Ordering::SeqCst));
        assert!(
            matches!(asking[1].run(activate), Err(ref it) if matches!(it.as_init(), Some(InitError::NotBelow { .. })))
        );
        let (first, second) = (owner.run(activate).expect("it owns it"), asking[0].run(activate).expect("it is below"));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(ACTIVATIONS.load(Ordering::SeqCst), 1);
    });
}

/// Scenario 16: five who wait are all served, or all woken with an error when what they wait for closes.
#[test]
fn five_waiters_are_all_served_or_all_told() {
    bounded(|| {
        static LATCH: HeirloomMap<u32, &str> = HeirloomMap::new("latch");
        for served in [true, false] {
            let owner = Scope::new("owner");
            let key = u32::from(served);
            let (begins, begun) = channel();
            let (_never, gate) = channel::<()>();
            let at = owner.lineage().clone();
            let leader = std::thread::spawn(move || {
                let wait = || {
                    begins.send(()).expect("the test listens");
                    let _ = gate.recv();
                    "late"
                };
                at.run(|| LATCH.at(&at).get_or_init(&key, wait).map(|value| *value))
            });
            begun.recv().expect("it runs");
            let pool = started(&owner, "pool", PoolConfig::leased(5));
            let at = owner.lineage().clone();
            let wait = move || LATCH.at(&at).get_or_init(&key, || unreachable!("another runs it")).map(|value| *value);
            let waiting: Vec<_> = (0..5).map(|_| owner.run(|| pool.submit(wait.clone())).expect("accepted")).collect();
            eventually("five wait", || pool.stats().waiting == 5);
            let expected = if served {
                LATCH.at(&owner).publish(key, "put").expect("the first wins");
                Some("put")
            } else {
                owner.cancel();
                None
            };
            for waiter in waiting {
                assert_eq!(waiter.join().expect("runs").ok(), expected);
            }
            if !served {
                // A cancelled scope takes a value until its last task is counted out, which a join does not wait for.
                let _ = owner.stop().expect("from outside");
            }
            drop(_never);
            assert_eq!(leader.join().expect("ends").ok(), expected);
        }
    });
}

/// Scenario 17: when the context that was to answer goes, whoever waits is told; when one between goes, it is told that
/// it is itself to stop; when a sibling goes, nothing happens to the others.
#[test]
fn waiters_hear_that_the_respondent_or_an_intermediary_has_gone() {
    bounded(|| {
        static CALLS: HeirloomMap<u32, ()> = HeirloomMap::new("calls");
        for (key, gone) in ["respondent", "intermediary", "sibling"].into_iter().enumerate() {
            let key = key as u32;
            let respondent = Scope::new("respondent");
            let intermediary = Scope::new_in(&respondent, "intermediary");
            let sibling = Scope::new_in(&respondent, "sibling");
            let (begins, begun) = channel();
            let (answer, asked) = channel::<()>();
            let at = respondent.lineage().clone();
            let answers = sibling.run(|| {
                // The sibling asks first, so it is the one that fetches, standing at the respondent.
                thread::spawn(move || {
                    let fetch = || {
                        begins.send(heirloom::current()).expect("the test listens");
                        let _ = asked.recv();
                    };
                    CALLS.at(&at).get_or_init(&key, fetch).map(drop)
                })
                .expect("a thread starts")
            });
            assert_eq!(begun.recv().expect("it runs"), *respondent);
            let at = respondent.lineage().clone();
            let (up, is_up) = channel();
            let waits = intermediary.run(|| {
                thread::spawn(move || {
                    up.send(()).expect("the test listens");
                    CALLS.at(&at).get_or_init(&key, || unreachable!("another runs it")).map(drop)
                })
                .expect("a thread starts")
            });
            is_up.recv().expect("it runs");
            match gone {
                "respondent" => respondent.cancel(),
                "intermediary" => intermediary.cancel(),
                _ => {
                    sibling.cancel();
                    answer.send(()).expect("it goes on all the same");
                }
            }
            let heard = waits.join().expect("ends");
            assert!(
                match gone {
                    "respondent" =>
                        matches!(heard, Err(ref it) if matches!(it.as_init(), Some(InitError::OwnerGone { .. }))),
                    "intermediary" =>
                        matches!(heard, Err(ref it) if matches!(it.as_init(), Some(InitError::Cancelled { .. }))),
                    _ => heard.is_ok(),
                },
                "{gone}: {heard:?}"
            );
            drop(answer);
            let _ = answers.join().expect("ends");
        }
    });
}

/// Scenario 18: a second handler of the same name is an error; after the first was removed it is none; after the end it
/// is.
#[test]
fn a_handler_is_added_once_again_after_its_removal_and_never_after_the_end() {
    bounded(|| {
        static HANDLERS: HeirloomMap<u32, &str> = HeirloomMap::new("handlers");
        let router = Scope::new("router");
        let at = HANDLERS.at(&router);
        at.bind_unique(1, "first").expect("free");
        assert!(
            matches!(at.bind_unique(1, "second"), Err(ref it) if matches!(it.as_bind(), Some(BindError::AlreadyBound { .. })))
        );
        assert_eq!(at.unbind(&1).as_deref(), Some(&"first"));
        at.bind_unique(1, "second").expect("free again");
        let _ = router.stop();
        assert!(
            matches!(at.bind_unique(2, "late"), Err(ref it) if matches!(it.as_bind(), Some(BindError::OwnerGone { .. })))
        );
        HANDLERS.seal();
        assert!(
            matches!(HANDLERS.bind_unique(3, "too late"), Err(ref it) if matches!(it.as_bind(), Some(BindError::Sealed { .. })))
        );
    });
}

/// Scenario 19: from ten contexts down, the top one answers; one chain's failure stays until it is reset, and is none
/// of another chain's.
#[test]
fn ten_contexts_deep_and_a_chain_that_fails_until_it_is_reset() {
    bounded(|| {
        static CHAINS: HeirloomMap<&str, u32> = HeirloomMap::new("chains").on_failure(OnFailure::Sticky);
        let mut nest = vec![Scope::new("0")];
        for depth in 0..9 {
            nest.push(Scope::new_in(&nest[depth], "below"));
        }
        CHAINS.at(&nest[0]).bind("top", 10_u32).expect("open");
        nest[9].run(|| {
            assert_eq!(CHAINS.get(&"top").as_deref().ok(), Some(&10));
            let at = CHAINS.at(&nest[0]);
            assert!(at.get_or_try_init(&"one", || Err::<u32, _>("broken")).is_err());
            assert!(at.get_or_try_init(&"one", || Ok::<_, String>(1)).is_err(), "the failure stays");
            assert_eq!(at.get_or_try_init(&"two", || Ok::<_, String>(2)).as_deref().ok(), Some(&2));
            assert!(at.forget(&"one"));
            assert_eq!(at.get_or_try_init(&"one", || Ok::<_, String>(1)).as_deref().ok(), Some(&1));
        });
    });
}

/// Scenario 26: places at different depths resolve one key: one initialisation.
#[test]
fn places_at_different_depths_resolve_a_key_once() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let mut nest = vec![Scope::new("0")];
        for depth in 0..ASKERS - 1 {
            nest.push(Scope::new_in(&nest[depth], "below"));
        }
        let at: Vec<_> = nest.iter().map(|scope| scope.lineage().clone()).collect();
        let owner = at[0].clone();
        let answers = ask_together(&at, move || {
            KEY.at(&owner).get_or_init(|| RUNS.fetch_add(1, Ordering::SeqCst)).expect("made")
        });
        assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])));
        assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    });
}

/// Scenario 27: after an error, a panic or the owner's end everyone who waits gets an error, and the next call tries
/// again.
#[test]
fn after_a_failure_everyone_is_told_and_the_next_call_tries_again() {
    bounded(|| {
        static KEY: HeirloomMap<u32, u32> = HeirloomMap::new("key");
        for way in 0..3 {
            let scope = Scope::new("owner");
            let pool = started(&scope, "pool", PoolConfig::leased(ASKERS));
            let (begins, begun) = channel();
            let (go, gate) = channel::<()>();
            let at = scope.lineage().clone();
            let leader = std::thread::spawn(move || {
                let make = || {
                    begins.send(()).expect("the test listens");
                    let _ = gate.recv();
                    if way == 1 { panic!("broken") } else { Err::<u32, _>("failed") }
                };
                at.run(|| KEY.at(&at).get_or_try_init(&way, make).map(drop))
            });
            begun.recv().expect("it runs");
            let at = scope.lineage().clone();
            let ask = move || KEY.at(&at).get_or_init(&way, || unreachable!("another runs it")).map(drop).unwrap_err();
            let waiting: Vec<_> =
                (0..ASKERS).map(|_| scope.run(|| pool.submit(ask.clone())).expect("accepted")).collect();
            eventually("all wait", || pool.stats().waiting == ASKERS);
            if way == 2 {
                scope.cancel();
            } else {
                drop(go);
            }
            for waiter in waiting {
                let error = waiter.join().expect("runs");
                let expected = match way {
                    0 => matches!(error.as_init(), Some(InitError::Failed { .. })),
                    1 => matches!(error.as_init(), Some(InitError::Panicked { .. })),
                    _ => matches!(error.as_init(), Some(InitError::OwnerGone { .. })),
                };
                assert!(expected, "{error}");
            }
            if way < 2 {
                let again = scope.run(|| KEY.at(&scope).get_or_init(&way, || 7));
                assert_eq!(again.as_deref().ok(), Some(&7));
                assert_eq!(leader.join().is_err(), way == 1);
            }
        }
    });
}

/// Scenario 28: an initialiser that starts a child, which asks for the same key, and joins it.
#[test]
fn a_child_that_the_initialiser_joins_is_told_at_once() {
    bounded(|| {
        static KEY: HeirloomMap<u32, u32> = HeirloomMap::new("key");
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(4));
        let ask = |key| move || KEY.get_or_init(&key, || unreachable!("its parent runs it")).map(|value| *value);
        let reentrant = |answer: Result<u32, heirloom::Error>| matches!(answer, Err(ref it) if matches!(it.as_init(), Some(InitError::Reentrant { .. })));
        let would_deadlock = |answer: Result<u32, heirloom::Error>| matches!(answer, Err(ref it) if matches!(it.as_init(), Some(InitError::WouldDeadlock { .. })));
        let thread = KEY.get_or_init(&0, || {
            u32::from(would_deadlock(thread::spawn(ask(0)).expect("a thread starts").join().expect("ends")))
        });
        let task =
            KEY.get_or_init(&1, || u32::from(would_deadlock(pool.submit(ask(1)).expect("open").join().expect("runs"))));
        let itself = KEY.get_or_init(&2, || u32::from(reentrant(ask(2)())));
        assert_eq!([thread, task, itself].map(|value| value.as_deref().ok().copied()), [Some(1); 3]);
    });
}

/// Scenario 32: a worker registers a heavy plugin and fails; the main thread tries again: one complete registration,
/// and nothing partial seen between.
#[test]
fn a_plugin_is_registered_as_a_whole_or_not_at_all() {
    bounded(|| {
        struct Plugin {
            parts: Vec<u32>,
        }
        static PLUGINS: HeirloomMap<&str, Plugin> = HeirloomMap::new("plugins");
        static TRIES: AtomicU32 = AtomicU32::new(0);
        fn load() -> Result<Plugin, String> {
            let mut parts = Vec::new();
            for part in 0..3 {
                parts.push(part);
                assert!(PLUGINS.get(&"heavy").is_err(), "a half-made plugin is seen");
                if part == 1 && TRIES.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err("its second part is missing".to_string());
                }
            }
            Ok(Plugin { parts })
        }
        let scope = Scope::new("scope");
        let workers = started(&scope, "workers", PoolConfig::leased(1));
        let mut registered = PLUGINS.subscribe();
        let failed = workers.submit(|| PLUGINS.get_or_try_init(&"heavy", load).map(drop)).expect("accepted");
        assert!(
            failed.join().expect("runs").is_err_and(|error| error.as_init().and_then(|it| it.as_failed()).is_some())
        );
        assert!(PLUGINS.get(&"heavy").is_err() && PLUGINS.keys().is_empty() && registered.try_next().is_none());
        let plugin = PLUGINS.get_or_try_init(&"heavy", load).expect("the second try");
        assert_eq!(plugin.parts, [0, 1, 2]);
        let told: Vec<_> = std::iter::from_fn(|| registered.try_next()).collect();
        assert!(told.len() == 1 && Arc::ptr_eq(told[0].value(), &plugin));
    });
}
