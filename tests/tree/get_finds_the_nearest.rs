//! `get` answers with the nearest ancestor-or-self that has the name; a node that owns other namespaces never hides an
//! ancestor's. `get_or_create` does the same, and creates one here if nobody has it. `with` lends instead of cloning,
//! `managers` and `remove` speak of the very node.

use heirloom::{Lineage, PoolConfig, Registry, Scope, current};

use crate::common::{self, alone};

/// A family of a root and three scopes, each below the one before.
fn line(family: &Registry) -> [Scope; 3] {
    let a = Scope::new_in(&family.root(), "a");
    let b = Scope::new_in(&a, "b");
    let c = Scope::new_in(&b, "c");
    [a, b, c]
}

#[test]
fn itself_comes_first() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let _above = a.create("io");
        let own = c.create("io");
        assert!(c.get("io").expect("found").is_same(&own));
    });
}

#[test]
fn the_nearest_ancestor_wins() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, b, c] = line(&family);
        let at_root = family.root().create("io");
        assert!(c.get("io").expect("found").is_same(&at_root));
        let at_a = a.create("io");
        assert!(c.get("io").expect("found").is_same(&at_a));
        let at_b = b.create("io");
        assert!(c.get("io").expect("found").is_same(&at_b));
        assert!(a.get("io").expect("found").is_same(&at_a));
        assert!(family.root().get("io").expect("found").is_same(&at_root));
    });
}

#[test]
fn a_node_with_other_names_hides_nothing() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, b, c] = line(&family);
        let io = a.create("io");
        for name in 0..50_u64 {
            let _ = b.create(name);
            let _ = c.create(name);
        }
        let _also = c.create("render");
        assert!(c.get("io").expect("found").is_same(&io));
        assert!(c.get_or_create("io").is_same(&io));
        assert!(c.remove("io").is_none(), "it is not at this very node");
    });
}

#[test]
fn a_descendants_is_never_found() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let _below = c.create("io");
        assert!(a.get("io").is_err());
        assert!(family.root().get("io").is_err());
    });
}

#[test]
fn the_free_functions_act_where_the_code_stands() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        c.run(|| {
            let made = heirloom::create("mine");
            assert_eq!(made.owner().as_ref(), Some(c.lineage()));
            assert!(heirloom::get("mine").expect("found").is_same(&made));
            assert!(heirloom::with("mine", |found| found.is_same(&made)).expect("found"));
        });
        let made = a.run(|| heirloom::get_or_create("here"));
        assert_eq!(made.owner().as_ref(), Some(a.lineage()));
        c.run(|| assert!(heirloom::get_or_create("here").is_same(&made)));
    });
}

#[test]
fn get_or_create_creates_here_only_if_nobody_has_it() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, b, c] = line(&family);
        let made = b.get_or_create("io");
        assert_eq!(made.owner().as_ref(), Some(b.lineage()));
        assert!(!made.is_running(), "it is not started");
        assert!(c.get_or_create("io").is_same(&made));
        assert!(c.managers().is_empty());
        let above = a.get_or_create("io");
        assert!(!above.is_same(&made), "b's is not above a");
        assert!(c.get("io").expect("found").is_same(&made));
    });
}

#[test]
fn with_lends_what_get_finds() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let io = a.create("io");
        assert!(c.with("io", |found| found.is_same(&io)).expect("found"));
        assert!(c.with("no such name", |_| ()).is_err());
    });
}

#[test]
fn everything_may_be_done_inside_with() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let io = a.create("io");
        io.start(PoolConfig::leased(1)).expect("starts");
        let answer = c.run(|| {
            heirloom::with("io", |found| {
                // At the place it was found, under the name it was found by: nothing is locked meanwhile.
                let replaced = a.create("io");
                assert!(heirloom::get("io").expect("found").is_same(&replaced));
                assert!(heirloom::with("io", |inner| inner.is_same(&replaced)).expect("found"));
                assert!(a.remove("io").is_some());
                assert!(heirloom::get("io").is_err());
                let _own = heirloom::get_or_create("io");
                assert_eq!(current(), *c);
                found.submit(|| 7).expect("it is still what was found").join().expect("ends")
            })
        });
        assert_eq!(answer.expect("found"), 7);
    });
}

#[test]
fn a_panic_inside_with_locks_nothing() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let io = a.create("io");
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = c.with("io", |_| std::panic::resume_unwind(Box::new(())));
        }));
        assert!(failed.is_err());
        assert!(c.get("io").expect("found").is_same(&io));
        assert!(a.remove("io").is_some_and(|removed| removed.is_same(&io)));
    });
}

#[test]
fn managers_are_those_of_the_very_node() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, b, c] = line(&family);
        let _ = a.create("above");
        let (io, render) = (b.create("io"), b.create("render"));
        let _ = c.create("below");
        let own = b.managers();
        assert_eq!(own.len(), 2);
        assert!(own.iter().any(|each| each.is_same(&io)) && own.iter().any(|each| each.is_same(&render)));
    });
}

#[test]
fn remove_unlinks_the_very_nodes_own() {
    common::bounded(|| {
        let family = Registry::new();
        let [a, _b, c] = line(&family);
        let above = a.create("io");
        let own = c.create("io");
        assert!(c.remove("io").is_some_and(|removed| removed.is_same(&own)));
        assert!(c.get("io").expect("found").is_same(&above), "what it hid is found again");
        assert!(c.remove("io").is_none());
        assert!(a.remove("io").is_some_and(|removed| removed.is_same(&above)));
        assert!(c.get("io").is_err());
    });
}

#[test]
fn a_removed_manager_goes_on_for_those_who_hold_it() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let io = scope.create("io");
        io.start(PoolConfig::leased(1)).expect("starts");
        drop(scope.remove("io"));
        assert!(io.is_running());
        assert_eq!(io.submit(|| 7).expect("open").join().expect("ends"), 7);
        assert_eq!(io.owner().as_ref(), Some(scope.lineage()));
    });
}

#[test]
fn what_is_at_the_process_everyone_finds() {
    alone(|| {
        let made = Lineage::process().create("at the process");
        let scope = Scope::new("request");
        assert!(scope.get("at the process").expect("found").is_same(&made));
        let found = std::thread::spawn(|| heirloom::get("at the process")).join().expect("ends");
        assert!(found.expect("found").is_same(&made));
        assert!(Lineage::process().remove("at the process").is_some());
    });
}
