//! A value that is pushed fulfils an initialiser's flight under way: everyone who waits gets it at once, the first one
//! wins, and the initialiser's own result is dropped. Without a flight it is bound where there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use heirloom::{BindError, Heirloom, HeirloomMap, Lineage, PoolConfig, Scope};

use crate::common::{bounded, eventually};

#[test]
fn waiters_get_it_while_the_initialiser_still_runs() {
    bounded(|| {
        static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
        for ends in ["value", "error", "panic"] {
            let scope = Scope::new("askers");
            let pool = scope.create("pool");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let (go, gate) = mpsc::channel::<()>();
            let (began, begins) = mpsc::channel();
            let leader = std::thread::spawn(move || {
                let make = || {
                    began.send(()).expect("somebody waits for it");
                    gate.recv().expect("told");
                    match ends {
                        "value" => Ok(1),
                        "error" => Err("too late"),
                        _ => std::panic::resume_unwind(Box::new("too late")),
                    }
                };
                catch_unwind(AssertUnwindSafe(|| MODULES.get_or_try_init(&ends, make)))
            });
            begins.recv().expect("it runs");
            let ask = move || *MODULES.get_or_init(&ends, || unreachable!("another runs it")).expect("fulfilled");
            let waiters: Vec<_> = (0..3).map(|_| pool.submit(ask).expect("open")).collect();
            eventually("all wait", || pool.stats().waiting == 3);
            MODULES.publish(ends, 2_u32).expect("the first");
            for waiter in waiters {
                assert_eq!(waiter.join().expect("ends"), 2);
            }
            assert!(
                matches!(MODULES.publish(ends, 3_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::AlreadyBound { .. })))
            );
            go.send(()).expect("it waits");
            match leader.join().expect("ends") {
                Ok(made) => assert_eq!(*made.expect("it gets what was published"), 2),
                Err(_) => assert_eq!(ends, "panic"),
            }
            assert_eq!(*MODULES.get(&ends).expect("bound"), 2);
        }
    });
}

#[test]
fn what_the_late_initialiser_made_is_dropped() {
    bounded(|| {
        static DROPS: AtomicU32 = AtomicU32::new(0);
        struct Counted(u32);
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPS.fetch_add(self.0, Ordering::SeqCst);
            }
        }
        static MODULES: HeirloomMap<&str, Counted> = HeirloomMap::new("modules");
        let made = MODULES.get_or_init(&"a", || {
            MODULES.publish("a", Counted(100)).expect("the first");
            Counted(1)
        });
        assert_eq!((made.expect("published").0, DROPS.load(Ordering::SeqCst)), (100, 1));
    });
}

#[test]
fn a_bound_value_fulfils_it_too() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let made = KEY.get_or_init(|| {
            KEY.at(&Lineage::process()).bind(2_u32).expect("binds");
            1
        });
        assert_eq!(*made.expect("bound meanwhile"), 2);
        assert_eq!(*KEY.get().expect("bound"), 2);
    });
}

#[test]
fn one_that_was_taken_away_again_is_still_what_the_flight_landed_with() {
    bounded(|| {
        static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
        let made = MODULES.get_or_init(&"a", || {
            MODULES.publish("a", 2_u32).expect("the first");
            MODULES.at(&Lineage::process()).unbind(&"a");
            1
        });
        assert_eq!(*made.expect("published"), 2);
        assert!(MODULES.get(&"a").is_err(), "and it stays away");
        assert_eq!(*MODULES.get_or_init(&"a", || 3).expect("made anew"), 3);
    });
}

#[test]
fn it_belongs_to_one_place_and_key() {
    bounded(|| {
        static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
        let scope = Scope::new("owner");
        let made = MODULES.get_or_init(&"a", || {
            MODULES.publish("b", 5_u32).expect("another key");
            MODULES.at(&scope).publish("a", 6_u32).expect("another place");
            1
        });
        assert_eq!(*made.expect("made"), 1);
        assert_eq!((*MODULES.get(&"a").expect("bound"), *MODULES.at(&scope).get(&"a").expect("bound")), (1, 6));
    });
}

#[test]
fn a_package_is_fetched_with_its_dependencies_and_one_of_them_is_pushed() {
    bounded(|| {
        static REQUESTS: AtomicU32 = AtomicU32::new(0);
        static MODULES: HeirloomMap<&str, Vec<&str>> = HeirloomMap::new("modules");
        fn import(name: &'static str) -> Result<usize, heirloom::Error> {
            let module = MODULES.get_or_try_init(&name, || {
                REQUESTS.fetch_add(1, Ordering::SeqCst);
                match name {
                    "package" => {
                        // The answer brings what will be wanted next.
                        MODULES.preload([("package.a", vec!["package.b"])]).expect("open");
                        Ok(vec!["package.a", "package.b"])
                    }
                    "package.b" => Ok(vec!["leaf"]),
                    "leaf" => Ok(vec![]),
                    _ => Err("no such module"),
                }
            })?;
            module.iter().try_fold(1, |sum, name| Ok(sum + import(name)?))
        }
        assert_eq!(import("package").expect("found"), 6);
        assert_eq!(REQUESTS.load(Ordering::SeqCst), 3, "three requests, four modules");
        let mut keys = MODULES.keys();
        keys.sort_unstable();
        assert_eq!(keys, ["leaf", "package", "package.a", "package.b"]);
        assert_eq!(MODULES.preload([("leaf", vec![]), ("other", vec![])]).expect("open"), 1, "one was there");
        assert!(import("missing").is_err());
    });
}

#[test]
fn publishing_races_initialising_and_all_agree() {
    bounded(|| {
        static MODULES: HeirloomMap<u32, u32> = HeirloomMap::new("modules");
        const ROUNDS: u32 = 2_000;
        let met = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4_u32)
            .map(|i| {
                let met = Arc::clone(&met);
                std::thread::spawn(move || {
                    (0..ROUNDS)
                        .map(|round| {
                            met.wait();
                            match i {
                                0 => {
                                    let _ = MODULES.publish(round, 100_u32);
                                    *MODULES.get(&round).expect("one of them is there")
                                }
                                _ => *MODULES.get_or_init(&round, || i).expect("made"),
                            }
                        })
                        .collect::<Vec<u32>>()
                })
            })
            .collect();
        let seen: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("ends")).collect();
        assert!(seen.iter().all(|each| *each == seen[0]));
    });
}
