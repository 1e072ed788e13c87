//! In a `HeirloomMap` each key is found, initialised and fails by itself, the nearest place first; a failure is tried
//! again or remembered, as the map says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use heirloom::{BindError, HeirloomMap, InitError, OnFailure, Scope};

use crate::common::{bounded, not_bound};

#[test]
fn the_nearest_place_that_has_the_key_wins() {
    bounded(|| {
        static MAP: HeirloomMap<String, u32> = HeirloomMap::new("map");
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let (a, b) = (String::from("a"), String::from("b"));
        assert!(MAP.get(&a).is_err() && MAP.keys().is_empty());
        assert_eq!(outer.run(|| MAP.bind(a.clone(), 1_u32)).expect("binds"), None);
        assert_eq!(inner.run(|| MAP.bind(b.clone(), 2_u32)).expect("binds"), None);
        inner.run(|| {
            assert_eq!((*MAP.get(&a).expect("above"), *MAP.get(&b).expect("here")), (1, 2));
            assert_eq!(MAP.bind(a.clone(), 3_u32).expect("binds"), None);
            assert_eq!(MAP.bind(a.clone(), 4_u32).expect("binds"), Some(Arc::new(3)));
            assert!(matches!(MAP.bind_unique(a.clone(), 5_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::AlreadyBound { .. }))));
            assert_eq!(MAP.with(&a, |value| *value).expect("here"), 4);
            let mut keys = MAP.keys();
            keys.sort_unstable();
            assert_eq!(keys, ["a", "b"]);
            assert_eq!(MAP.unbind(&a), Some(Arc::new(4)));
            assert_eq!(*MAP.get(&a).expect("above again"), 1);
            assert_eq!(MAP.unbind(&a), None, "that is not of this place");
        });
        let error = MAP.at(&outer).get(&b).unwrap_err();
        assert!(error.to_string().contains("map") && not_bound(&error).place_id() == outer.id(), "{error}");
        assert_eq!(MAP.at(&outer).keys(), ["a"]);
    });
}

#[test]
fn each_key_is_initialised_once() {
    bounded(|| {
        static MAP: HeirloomMap<u64, u64> = HeirloomMap::new("map");
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let askers: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    for key in 0..500_u64 {
                        let make = || {
                            RUNS.fetch_add(1, Ordering::SeqCst);
                            key * 2
                        };
                        assert_eq!(*MAP.get_or_init(&key, make).expect("made"), key * 2);
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.join().expect("ends");
        }
        assert_eq!((RUNS.load(Ordering::SeqCst), MAP.keys().len()), (500, 500));
    });
}

#[test]
fn keys_of_equal_hashes_are_two() {
    #[derive(Clone, PartialEq, Eq, Debug)]
    struct Colliding(u32);
    impl std::hash::Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            0_u8.hash(state);
        }
    }
    bounded(|| {
        static MAP: HeirloomMap<Colliding, u32> = HeirloomMap::new("map");
        let binders: Vec<_> = (0..4_u32)
            .map(|i| {
                std::thread::spawn(move || {
                    for round in 0..200 {
                        let key = Colliding(round);
                        assert_eq!(*MAP.get_or_init(&key, || round).expect("made"), round, "thread {i}");
                    }
                })
            })
            .collect();
        for binder in binders {
            binder.join().expect("ends");
        }
        assert_eq!(MAP.keys().len(), 200);
        assert!(MAP.get(&Colliding(1_000)).is_err());
    });
}

#[test]
fn a_failure_is_tried_again() {
    bounded(|| {
        static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map");
        assert!(
            matches!(MAP.get_or_try_init(&"a", || Err("no")), Err(ref it) if matches!(it.as_init(), Some(InitError::Failed { .. })))
        );
        assert!(!MAP.forget(&"a"), "nothing is remembered");
        assert_eq!(*MAP.get_or_init(&"a", || 1).expect("made"), 1);
    });
}

#[test]
fn a_sticky_failure_is_given_to_all_until_it_is_forgotten_or_a_value_comes() {
    bounded(|| {
        static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map").on_failure(OnFailure::Sticky);
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let ask = |key: &'static str| {
            MAP.get_or_try_init(&key, || {
                RUNS.fetch_add(1, Ordering::SeqCst);
                Err("there is none")
            })
        };
        for asked in 0..5 {
            assert!(
                matches!(ask("a"), Err(ref it) if matches!(it.as_init(), Some(InitError::Failed { .. }))),
                "asked {asked} times before"
            );
        }
        let below = Scope::new("below");
        assert!(below.run(|| ask("a")).is_err());
        assert_eq!(RUNS.load(Ordering::SeqCst), 1, "one negative answer for all");
        assert!(MAP.get(&"a").is_err() && MAP.keys().is_empty(), "a failure is no value");
        assert!(ask("b").is_err());
        assert_eq!(RUNS.load(Ordering::SeqCst), 2, "another key is not concerned");

        assert!(MAP.forget(&"a") && !MAP.forget(&"a"));
        assert!(ask("a").is_err());
        assert_eq!(RUNS.load(Ordering::SeqCst), 3);
        MAP.publish("a", 1_u32).expect("where there is a failure there is no value");
        assert_eq!(*ask("a").expect("published"), 1);
        assert!(!MAP.forget(&"a"), "a value is no failure");
        assert_eq!(*MAP.get(&"a").expect("still bound"), 1);
    });
}

#[test]
fn a_sticky_failure_goes_with_its_place() {
    bounded(|| {
        static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map").on_failure(OnFailure::Sticky);
        let ask = |scope: &Scope| scope.run(|| MAP.at(scope).get_or_try_init(&"a", || Err("no")));
        let (one, other) = (Scope::new("one"), Scope::new("other"));
        assert!(ask(&one).is_err());
        assert_eq!(*other.run(|| MAP.at(&other).get_or_init(&"a", || 7)).expect("its own"), 7);
        assert!(one.run(|| MAP.at(&one).forget(&"a")));
    });
}

#[test]
fn a_panic_is_not_remembered() {
    bounded(|| {
        static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map").on_failure(OnFailure::Sticky);
        let panics = || MAP.get_or_init(&"a", || std::panic::resume_unwind(Box::new(())));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(*MAP.get_or_init(&"a", || 7).expect("tried again"), 7);
    });
}

#[test]
fn a_key_lives_no_longer_than_what_is_kept_under_it() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Key(Arc<str>);
    bounded(|| {
        static MAP: HeirloomMap<Key, u32> = HeirloomMap::new("map");
        let text: Arc<str> = "key".into();
        let key = Key(Arc::clone(&text));
        let scope = Scope::new("owner");
        scope.run(|| MAP.bind(key.clone(), 1_u32)).expect("binds");
        assert_eq!(Arc::strong_count(&text), 3);
        assert!(scope.run(|| MAP.unbind(&key)).is_some());
        assert_eq!(Arc::strong_count(&text), 2);
        let failed = scope.run(|| MAP.at(&scope).get_or_try_init(&key, || Err("no")));
        assert!(failed.is_err());
        assert_eq!(Arc::strong_count(&text), 2);
        scope.run(|| MAP.bind(key.clone(), 1_u32)).expect("binds");
        drop(scope);
        assert_eq!(Arc::strong_count(&text), 2);
    });
}
