//! A key says who inherits: everyone below, nobody, or everyone a value of their own made from the one above.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{Heirloom, InitError, PoolConfig, Scope, thread};

use crate::common::{bounded, not_bound};

#[test]
fn an_isolated_value_is_seen_where_it_was_bound_alone() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("id").isolated();
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let _at = scope.enter();
        KEY.bind(1_u32).expect("binds");
        assert_eq!(*KEY.get().expect("bound"), 1);
        assert!(KEY.at(&Scope::new("below")).get().is_err());
        assert!(thread::spawn(|| KEY.get().is_err()).expect("a thread starts").join().expect("ends"));
        assert!(std::thread::spawn(|| KEY.get().is_err()).join().expect("ends"));
        assert_eq!(*KEY.get().expect("bound"), 1, "and the parent's is unchanged");
    });
}

#[test]
fn a_task_that_is_no_node_yet_does_not_see_its_submitters() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("id").isolated();
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        KEY.at(&scope).bind(1_u32).expect("binds");
        let task = || {
            let unseen = KEY.get().is_err() && KEY.unbind().is_none() && KEY.with(|_| ()).is_err();
            KEY.bind(2_u32).expect("binds");
            (unseen, *KEY.get().expect("its own"))
        };
        // Submitted from a thread that stands at the very place.
        let ran = scope.run(|| pool.submit(task)).expect("open").join().expect("ends");
        assert_eq!(ran, (true, 2));
        assert_eq!(*KEY.at(&scope).get().expect("bound"), 1);
        let at = scope.lineage().clone();
        let entered = pool.submit(move || at.run(|| *KEY.get().expect("it stands there now"))).expect("open");
        assert_eq!(entered.join().expect("ends"), 1);
    });
}

#[test]
fn an_isolated_key_is_initialised_where_the_code_stands() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("id").isolated();
        let (outer, other) = (Scope::new("outer"), Scope::new("other"));
        let made = outer.run(|| {
            assert_eq!(*KEY.get_or_init(|| 1).expect("made"), 1);
            assert_eq!(*KEY.get_or_init(|| 2).expect("there"), 1);
            thread::spawn(|| *KEY.get_or_init(|| 3).expect("its own")).expect("a thread starts").join().expect("ends")
        });
        assert_eq!(made, 3);
        assert!(KEY.at(&other).get().is_err() && KEY.get().is_err());
        let sibling = other.run(|| KEY.at(&outer).get_or_init(|| 4));
        assert_eq!(*sibling.expect("a value that is there is found"), 1);
        KEY.at(&outer).unbind();
        let sibling = other.run(|| KEY.at(&outer).get_or_init(|| 4));
        assert!(matches!(sibling, Err(ref it) if matches!(it.as_init(), Some(InitError::NotBelow { .. }))));
    });
}

#[test]
fn each_place_below_a_fresh_one_gets_its_own_once() {
    bounded(|| {
        static MADE: AtomicU32 = AtomicU32::new(0);
        static KEY: Heirloom<(u32, Option<String>)> = Heirloom::new("fresh").fresh(|above| {
            MADE.fetch_add(1, Ordering::SeqCst);
            (above.0 + 1, heirloom::current().name().map(String::from))
        });
        let owner = Scope::new("owner");
        assert!(KEY.at(&owner).get().is_err());
        KEY.at(&owner).bind((0, None)).expect("binds");
        assert_eq!(KEY.at(&owner).get().expect("bound").0, 0, "the owner has the original");
        let below = Scope::new_in(&owner, "below");
        let met = Arc::new(Barrier::new(8));
        let askers: Vec<_> = (0..8)
            .map(|_| {
                let (at, met) = (below.lineage().clone(), Arc::clone(&met));
                std::thread::spawn(move || {
                    met.wait();
                    at.run(|| KEY.get().expect("made"))
                })
            })
            .collect();
        let seen: Vec<_> = askers.into_iter().map(|asker| asker.join().expect("ends")).collect();
        assert_eq!(*seen[0], (1, Some(String::from("below"))), "made standing there, of the one above");
        assert!(seen.iter().all(|one| Arc::ptr_eq(one, &seen[0])));
        assert_eq!(MADE.load(Ordering::SeqCst), 1);
        // The nearest that has one is what the next is made of, whoever else stands between.
        let between = Scope::new_in(&below, "between");
        let deep = Scope::new_in(&between, "deep");
        assert_eq!(KEY.at(&deep).get().expect("made").0, 2);
        assert_eq!(KEY.at(&between).get().expect("made").0, 2);
        assert_eq!(KEY.at(&owner).get().expect("bound").0, 0);
    });
}

#[test]
fn a_task_gets_a_fresh_one_of_its_own() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("fresh").fresh(|above| above + 1);
        let owner = Scope::new("owner");
        let pool = owner.create("pool");
        pool.start(PoolConfig::leased(2)).expect("starts");
        KEY.at(&owner).bind(10_u32).expect("binds");
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let task = || (KEY.get().expect("made"), KEY.get().expect("there"));
                owner.run(|| pool.submit(task)).expect("open")
            })
            .collect();
        let seen: Vec<_> = tasks.into_iter().map(|task| task.join().expect("ends")).collect();
        assert!(seen.iter().all(|(first, second)| **first == 11 && Arc::ptr_eq(first, second)));
        assert!(!Arc::ptr_eq(&seen[0].0, &seen[1].0));
    });
}

#[test]
fn a_fresh_one_that_asks_for_itself_is_refused_and_one_that_panics_may_be_tried_again() {
    bounded(|| {
        static TRIES: AtomicU32 = AtomicU32::new(0);
        static LOOP: Heirloom<u32> = Heirloom::new("loop").fresh(|_| match LOOP.get() {
            Ok(value) => *value,
            Err(error) => {
                assert!(matches!(not_bound(&error).init_error(), Some(InitError::Reentrant { key: "loop" })));
                7
            }
        });
        static PANICS: Heirloom<u32> = Heirloom::new("panics").fresh(|above| {
            assert!(TRIES.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
            above + 1
        });
        let owner = Scope::new("owner");
        let below = Scope::new_in(&owner, "below");
        LOOP.at(&owner).bind(1_u32).expect("binds");
        PANICS.at(&owner).bind(1_u32).expect("binds");
        assert_eq!(*LOOP.at(&below).get().expect("made"), 7);
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| PANICS.at(&below).get())).is_err());
        assert_eq!(*PANICS.at(&below).get().expect("made"), 2);
    });
}

#[test]
fn an_initialised_fresh_value_is_the_owners_and_the_caller_gets_its_own() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("fresh").fresh(|above| above + 1);
        let owner = Scope::new("owner");
        let below = Scope::new_in(&owner, "below");
        assert_eq!(*below.run(|| KEY.at(&owner).get_or_init(|| 1)).expect("made"), 2);
        assert_eq!((*KEY.at(&owner).get().expect("bound"), *KEY.at(&below).get().expect("made")), (1, 2));
    });
}

#[test]
fn an_isolated_key_asked_in_vain_names_the_asker_and_not_where_it_is_bound() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("invocation").isolated();
        let scope = Scope::new("request");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        KEY.at(&scope).bind(1_u32).expect("binds");
        let error = scope.run(|| pool.submit(|| KEY.get().unwrap_err())).expect("open").join().expect("ends");
        assert_ne!(not_bound(&error).place_id(), scope.id());
        assert!(error.to_string().contains("not inherited"), "{error}");
    });
}
