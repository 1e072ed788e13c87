//! However many places at whatever depth ask for one key at once, its initialiser runs once, standing at the owner; all
//! get its value, and nobody sees anything before it is ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use heirloom::{Heirloom, InitError, Lineage, PoolConfig, Registry, Scope, thread};

use crate::common::{bounded, eventually};

#[test]
fn askers_at_different_depths_get_one_value() {
    bounded(|| {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let key: Arc<Heirloom<u32>> = Arc::new(Heirloom::new("key"));
        for round in 1..=50 {
            let family = Registry::new();
            let mut scopes = vec![Scope::new_in(&family.root(), "0")];
            for depth in 0..7 {
                scopes.push(Scope::new_in(&scopes[depth], "below"));
            }
            let met = Arc::new(Barrier::new(16));
            let askers: Vec<_> = (0..16)
                .map(|i| {
                    let (at, met, key) = (scopes[i % 8].lineage().clone(), Arc::clone(&met), Arc::clone(&key));
                    std::thread::spawn(move || {
                        met.wait();
                        let make = || {
                            assert_eq!(heirloom::current().parent(), None, "it stands at the root of its family");
                            RUNS.fetch_add(1, Ordering::SeqCst);
                            round
                        };
                        at.run(|| key.get_or_init(make)).expect("made")
                    })
                })
                .collect();
            let values: Vec<_> = askers.into_iter().map(|asker| asker.join().expect("ends")).collect();
            assert!(values.iter().all(|value| **value == round && Arc::ptr_eq(value, &values[0])));
            assert_eq!(RUNS.load(Ordering::SeqCst), round, "once for each family");
        }
    });
}

#[test]
fn those_who_wait_give_their_place_away() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        let leader = std::thread::spawn(move || {
            let make = || {
                began.send(()).expect("somebody waits for it");
                gate.recv().expect("opened");
                7
            };
            KEY.get_or_init(make)
        });
        begins.recv().expect("it runs");
        let ask = || *KEY.get_or_init(|| unreachable!("another runs it")).expect("made");
        let askers: Vec<_> = (0..5).map(|_| pool.submit(ask).expect("open")).collect();
        eventually("all wait, in a pool of one", || pool.stats().waiting == 5);
        assert!(KEY.get().is_err(), "nobody sees anything before it is ready");
        go.send(()).expect("it waits");
        assert_eq!(*leader.join().expect("ends").expect("made"), 7);
        for asker in askers {
            assert_eq!(asker.join().expect("ends"), 7);
        }
    });
}

#[test]
fn a_value_that_is_bound_wins_whatever_the_owner() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        KEY.at(&outer).bind(1_u32).expect("binds");
        let never = || unreachable!("there is one");
        assert_eq!(*inner.run(|| KEY.get_or_init(never)).expect("bound"), 1);
        assert_eq!(*inner.run(|| KEY.at(&inner).get_or_init(never)).expect("bound"), 1, "also from above the owner");
        KEY.at(&inner).bind(2_u32).expect("binds");
        assert_eq!(*inner.run(|| KEY.at(&outer).get_or_init(never)).expect("bound"), 2, "also from below it");
    });
}

#[test]
fn one_grandchild_asks_through_what_is_between_and_the_other_finds_it() {
    bounded(|| {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        static KEY: Heirloom<String> = Heirloom::new("module");
        let master = Scope::new("master");
        let intermediary = Scope::new_in(&master, "intermediary");
        let ask = |at: &Lineage| {
            let make = || {
                RUNS.fetch_add(1, Ordering::SeqCst);
                heirloom::current().name().map(String::from).expect("a scope has a name")
            };
            at.run(|| KEY.at(&intermediary).get_or_init(make)).expect("made")
        };
        let (left, right) = (Scope::new_in(&intermediary, "left"), Scope::new_in(&intermediary, "right"));
        let (first, second) = (ask(&left), ask(&right));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!((first.as_str(), RUNS.load(Ordering::SeqCst)), ("intermediary", 1));
        assert!(KEY.at(&master).get().is_err());
    });
}

#[test]
fn a_parent_may_and_a_sibling_may_not() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("service");
        let service = Scope::new("service");
        let (child, sibling) = (Scope::new_in(&service, "child"), Scope::new("sibling"));
        let refused = sibling.run(|| KEY.at(&service).get_or_init(|| 1));
        assert!(
            matches!(refused, Err(ref it) if matches!(it.as_init(), Some(InitError::NotBelow { key: "service", .. })))
        );
        let above = KEY.at(&service).get_or_init(|| 1);
        assert!(
            matches!(above, Err(ref it) if matches!(it.as_init(), Some(InitError::NotBelow { .. }))),
            "nor does one from above, who would leave it to others"
        );
        let first = child.run(|| KEY.at(&service).get_or_init(|| 2)).expect("stands below");
        let again = service.run(|| KEY.at(&service).get_or_init(|| 3)).expect("stands there");
        assert!(Arc::ptr_eq(&first, &again));
    });
}

#[test]
fn the_askers_values_and_requests_to_stop_do_not_reach_it() {
    bounded(|| {
        static TENANT: Heirloom<&str> = Heirloom::new("tenant");
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let request = Scope::new("request");
        TENANT.at(&request).bind("acme").expect("binds");
        let pool = request.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        let task = request.run(|| {
            pool.submit(move || {
                let make = || {
                    assert!(TENANT.get().is_err());
                    began.send(()).expect("somebody waits for it");
                    gate.recv().expect("opened");
                    assert!(!heirloom::acknowledge_cancel(), "it is not its own to decline");
                    heirloom::is_cancelled()
                };
                let made = *KEY.get_or_init(make).expect("made");
                (made, heirloom::is_cancelled())
            })
        });
        let task = task.expect("open");
        begins.recv().expect("it runs");
        task.cancel();
        request.cancel();
        go.send(()).expect("it waits");
        assert_eq!(task.join().expect("ends by value"), (false, true));
        assert!(!*KEY.get().expect("bound at the process"));
    });
}

#[test]
fn a_thread_that_is_asked_to_stop_initialises_for_the_others_all_the_same() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let (go, gate) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        let asked = thread::spawn(move || {
            let make = || {
                began.send(()).expect("somebody waits for it");
                gate.recv().expect("opened");
                assert!(heirloom::sleep(std::time::Duration::ZERO).is_ok());
                heirloom::is_cancelled() || heirloom::acknowledge_cancel()
            };
            (*KEY.get_or_init(make).expect("made"), heirloom::is_cancelled())
        })
        .expect("a thread starts");
        begins.recv().expect("it runs");
        asked.cancel();
        go.send(()).expect("it waits");
        assert_eq!(asked.join().expect("ends"), (false, true));
    });
}

#[test]
fn nothing_half_made_is_seen_while_one_fails_and_another_tries_again() {
    bounded(|| {
        struct Plugin {
            ready: AtomicBool,
        }
        static KEY: Heirloom<Plugin> = Heirloom::new("plugin");
        let over = Arc::new(AtomicBool::new(false));
        let watchers: Vec<_> = (0..2)
            .map(|_| {
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    let mut seen = 0;
                    while !over.load(Ordering::SeqCst) {
                        seen += usize::from(KEY.with(|plugin| assert!(plugin.ready.load(Ordering::SeqCst))).is_ok());
                    }
                    seen
                })
                .expect("a thread starts")
            })
            .collect();
        let worker = thread::spawn(|| {
            KEY.get_or_try_init(|| {
                let _half = Plugin { ready: AtomicBool::new(false) };
                Err("it fails half way")
            })
            .map(drop)
        })
        .expect("a thread starts");
        assert!(worker.join().expect("ends").is_err());
        let plugin = KEY.get_or_init(|| Plugin { ready: AtomicBool::new(true) }).expect("made");
        assert!(plugin.ready.load(Ordering::SeqCst));
        over.store(true, Ordering::SeqCst);
        for watcher in watchers {
            watcher.join().expect("saw nothing half made");
        }
    });
}

#[test]
fn the_place_is_restored_after_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("asker");
        let _at = scope.enter();
        let leaves_a_guard = || {
            std::mem::forget(Scope::new("left behind").enter());
            1
        };
        assert_eq!(*KEY.get_or_init(leaves_a_guard).expect("made"), 1);
        assert_eq!(heirloom::current(), *scope);
        KEY.at(&Lineage::process()).unbind();
        let panics = || KEY.get_or_init(|| std::panic::resume_unwind(Box::new(())));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(heirloom::current(), *scope);
    });
}
