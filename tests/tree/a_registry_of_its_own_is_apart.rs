//! `Registry::new()` makes a family apart from the process-wide one: nothing in either finds, lists or ends anything of
//! the other.

use std::time::Duration;

use heirloom::{Lineage, NodeKind, PoolConfig, Registry, Scope, current, thread};

use crate::common::{self, alone};

#[test]
fn its_root_is_a_process_of_its_own() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        assert_eq!(root.kind(), NodeKind::Process);
        assert_eq!(root.parent(), None);
        assert_ne!(root, Lineage::process());
        assert_ne!(root, Registry::new().root());
        assert_eq!(Registry::global().root(), Lineage::process());
    });
}

#[test]
fn every_place_knows_the_root_of_its_own_family() {
    common::bounded(|| {
        let family = Registry::new();
        let outer = Scope::new_in(&family.root(), "outer");
        let inner = Scope::new_in(&outer, "inner");
        let thread = inner.run(|| thread::spawn(|| current().root()).expect("a thread starts")).join().expect("ends");
        assert_eq!([inner.root(), outer.root(), family.root().root(), thread], [0; 4].map(|_| family.root()));
        assert_eq!([Scope::new("global").root(), Lineage::process().root()], [0; 2].map(|_| Lineage::process()));
    });
}

#[test]
fn nothing_in_it_finds_anything_of_the_global_one() {
    alone(|| {
        let _everyones = Lineage::process().create("at the process");
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        assert!(scope.get("at the process").is_err());
        scope.run(|| {
            assert!(heirloom::get("at the process").is_err());
            let child = thread::spawn(|| heirloom::get("at the process").is_ok())
                .expect("a thread starts")
                .join()
                .expect("ends");
            assert!(!child);
        });
        drop(Lineage::process().remove("at the process"));
    });
}

#[test]
fn nothing_of_the_global_one_finds_anything_in_it() {
    common::bounded(|| {
        let family = Registry::new();
        let _mine = family.root().create("in the family");
        assert!(heirloom::get("in the family").is_err());
        assert!(Lineage::process().get("in the family").is_err());
        assert!(Registry::new().root().get("in the family").is_err());
    });
}

#[test]
fn what_is_made_standing_in_it_belongs_to_it() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.run(|| {
            assert_eq!(current(), root);
            let made = heirloom::create("made");
            assert_eq!(made.owner().as_ref(), Some(&root));
            let scope = Scope::new("scope");
            assert_eq!(scope.ancestors().last().as_ref(), Some(&root));
        });
    });
}

#[test]
fn listing_one_lists_nothing_of_the_other() {
    common::bounded(|| {
        let family = Registry::new();
        let inside = Scope::new_in(&family.root(), "inside");
        let outside = Scope::new_in(&Lineage::process(), "outside");
        let (mine, theirs) = (inside.create("mine"), outside.create("theirs"));
        let ids = |registry: &Registry| registry.snapshot().nodes.iter().map(|node| node.id).collect::<Vec<_>>();
        assert_eq!(ids(&family), [family.root().id(), inside.id()]);
        let global = ids(Registry::global());
        assert!(global.contains(&outside.id()) && !global.contains(&inside.id()));
        assert!(family.managers().iter().all(|each| each.is_same(&mine)));
        let global = Registry::global().managers();
        assert!(global.iter().any(|each| each.is_same(&theirs)) && !global.iter().any(|each| each.is_same(&mine)));
    });
}

#[test]
fn shutting_one_down_leaves_the_other_alone() {
    common::bounded(|| {
        let [a, b] = [Registry::new(), Registry::new()];
        let [mine, theirs] = [a.root().create("io"), b.root().create("io")];
        for pool in [&mine, &theirs] {
            pool.start(PoolConfig::leased(1)).expect("starts");
        }
        assert!(a.shutdown_timeout(Duration::from_secs(10)).is_complete());
        assert!(!mine.is_running());
        assert!(theirs.is_running());
    });
}

#[test]
fn its_tasks_on_a_pool_of_the_global_one_stay_in_it() {
    common::bounded(|| {
        let outside = Scope::new("outside");
        let pool = outside.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let family = Registry::new();
        let root = family.root();
        let _io = root.create("io");
        let (task, found) =
            root.run(|| pool.submit(|| (current(), heirloom::get("io").is_ok()))).expect("open").join().expect("ends");
        assert_eq!(task.parent(), Some(root));
        assert!(found);
    });
}

#[test]
fn the_process_can_be_entered_from_it() {
    common::bounded(|| {
        let family = Registry::new();
        family.root().run(|| {
            let guard = Lineage::process().enter();
            assert_eq!(current(), Lineage::process());
            drop(guard);
            assert_eq!(current(), family.root());
        });
    });
}
