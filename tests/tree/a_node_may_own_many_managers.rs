//! A node may own any number of managers and values: each is found, replaced and removed by its name, also while others
//! come and go beside it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{HeirloomMap, Namespace, Registry, Scope};

use crate::common;

const MANY: u64 = 5_000;

/// Names of all kinds.
fn name(number: u64) -> Namespace {
    match number % 3 {
        0 => number.into(),
        1 => format!("manager {number}").into(),
        _ => format!("{number}").into(),
    }
}

#[test]
fn each_of_many_managers_is_found_by_its_name() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let made: Vec<_> = (0..MANY).map(|number| scope.create(name(number))).collect();
        let below = Scope::new_in(&scope, "below");
        for (number, manager) in (0..).zip(&made) {
            assert!(scope.get(name(number)).expect("it is there").is_same(manager));
            assert!(below.get_or_create(name(number)).is_same(manager));
        }
        assert!(scope.get(name(MANY)).is_err());
        assert_eq!(scope.managers().len(), made.len());
        assert!(below.managers().is_empty());
    });
}

#[test]
fn each_of_many_managers_is_replaced_and_removed_by_its_name() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        (0..MANY).for_each(|number| drop(root.create(name(number))));
        for number in (0..MANY).step_by(2) {
            let before = root.get(name(number)).expect("it is there");
            let after = root.create(name(number));
            assert!(!after.is_same(&before) && root.get(name(number)).expect("it is there").is_same(&after));
        }
        assert_eq!(root.managers().len() as u64, MANY, "a replacement takes the place of the one before");
        for number in (0..MANY).step_by(3) {
            assert!(root.remove(name(number)).is_some());
            assert!(root.remove(name(number)).is_none() && root.get(name(number)).is_err());
        }
        let left: HashSet<_> = root.managers().iter().map(|manager| manager.namespace().clone()).collect();
        assert_eq!(left, (0..MANY).filter(|number| number % 3 != 0).map(name).collect());
    });
}

#[test]
fn many_managers_end_with_their_node() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        (0..MANY).for_each(|number| drop(scope.create(name(number))));
        (0..MANY / 2).for_each(|number| drop(scope.remove(name(number))));
        assert_eq!(family.managers().len() as u64, MANY - MANY / 2);
        drop(scope);
        assert!(family.managers().is_empty());
    });
}

#[test]
fn each_of_many_values_is_found_at_its_node() {
    static MAP: HeirloomMap<u64, u64> = HeirloomMap::new("map");
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        for key in 0..MANY {
            MAP.at(&scope).bind(key, key * 2).expect("the scope lives");
        }
        scope.run(|| (0..MANY).for_each(|key| assert_eq!(*MAP.get(&key).expect("it is bound"), key * 2)));
    });
}

#[test]
fn look_ups_find_what_is_there_while_others_come_and_go() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let made = Arc::new(AtomicU64::new(0));
        let begin = Arc::new(Barrier::new(4));
        let readers: Vec<_> = (0..3_u64)
            .map(|seed| {
                let (root, made, begin) = (root.clone(), Arc::clone(&made), Arc::clone(&begin));
                std::thread::spawn(move || {
                    begin.wait();
                    let mut number = seed;
                    loop {
                        let there = made.load(Ordering::Acquire);
                        if there == MANY {
                            return;
                        }
                        // Odd ones stay.
                        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let asked = ((number >> 33) % there.max(1)) | 1;
                        let found = root.with(name(asked), |manager| assert_eq!(*manager.namespace(), name(asked)));
                        assert!(found.is_ok() || asked >= there, "{asked} of {there}");
                        // Even ones go and come.
                        let _ = root.with(name(asked - 1), |manager| assert_eq!(*manager.namespace(), name(asked - 1)));
                    }
                })
            })
            .collect();
        begin.wait();
        for number in 0..MANY {
            drop(root.create(name(number)));
            made.store(number, Ordering::Release);
            if number % 4 == 0 {
                drop(root.remove(name(number / 4 * 2)));
            }
        }
        made.store(MANY, Ordering::Release);
        for reader in readers {
            reader.join().expect("every answer was right");
        }
    });
}
