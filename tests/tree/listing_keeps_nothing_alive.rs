//! The registry keeps only weak references: neither it nor its snapshots and trees keep a node or a manager alive, and
//! what ends takes itself off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heirloom::{NodeKind, PoolConfig, Registry, Scope, thread};

use crate::common;

#[test]
fn a_snapshot_and_a_tree_keep_no_node_and_no_manager() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        let pool = scope.create("io");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (snapshot, tree) = (family.snapshot(), family.tree());
        let id = scope.id();
        drop((scope, pool));
        assert!(family.snapshot().node(id).is_none());
        assert!(family.managers().is_empty());
        // What they say is of the moment they were taken.
        assert!(snapshot.node(id).is_some_and(|node| node.managers.len() == 1));
        assert!(tree.to_string().contains("\"request\""));
    });
}

#[test]
fn the_managers_listed_are_those_alive() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let held = root.create("held");
        let _ = root.create("linked");
        let unlinked = root.create("unlinked");
        drop(root.remove("unlinked"));
        let _ = root.create("gone");
        drop(root.remove("gone"));
        let listed = family.managers();
        assert_eq!(listed.len(), 3);
        assert!(listed.iter().any(|each| each.is_same(&held)) && listed.iter().any(|each| each.is_same(&unlinked)));
        assert!(listed.iter().any(|each| *each.namespace() == "linked".into()));
        drop(listed);
        drop(unlinked);
        assert_eq!(family.managers().len(), 2);
    });
}

#[test]
fn a_removed_manager_is_gone_at_once_whatever_is_removed_elsewhere() {
    const TIMES: usize = 50_000;
    common::bounded(|| {
        let over = AtomicBool::new(false);
        let left = std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let family = Registry::new();
                    while !over.load(Ordering::SeqCst) {
                        // Unlinks the one before.
                        let _ = family.root().create("elsewhere");
                    }
                });
            }
            let family = Registry::new();
            let is_left = |_: &usize| {
                let _ = family.root().create("here");
                drop(family.root().remove("here"));
                !family.managers().is_empty()
            };
            let left = (0..TIMES).filter(is_left).count();
            over.store(true, Ordering::SeqCst);
            left
        });
        assert_eq!(left, 0, "other threads dropped managers later");
    });
}

#[test]
fn what_ends_takes_itself_off() {
    common::bounded(|| {
        let family = Registry::new();
        for _ in 0..1_000 {
            Scope::run("request", |_| ());
            let scope = Scope::new_in(&family.root(), "request");
            scope.create("io").start(PoolConfig::leased(1)).expect("starts");
            scope.run(|| thread::spawn(|| drop(heirloom::current())).expect("a thread starts")).join().expect("ends");
        }
        assert_eq!(family.snapshot().nodes.len(), 1);
        assert!(family.managers().is_empty());
    });
}

#[test]
fn the_registry_may_go_before_its_family() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root().id();
        let scope = Scope::new_in(&family.root(), "request");
        let pool = scope.create("io");
        drop(family);
        assert_eq!(scope.ancestors().last().map(|at| at.id()), Some(root));
        assert!(scope.get("io").expect("found").is_same(&pool));
        let child = scope.run(|| thread::spawn(heirloom::current).expect("a thread starts")).join().expect("ends");
        assert_eq!(child.parent().as_ref(), Some(scope.lineage()));
    });
}

#[test]
fn listing_meets_making_and_ending_anywhere() {
    common::bounded(|| {
        let family = Arc::new(Registry::new());
        let over = Arc::new(AtomicBool::new(false));
        let makers: Vec<_> = (0..4)
            .map(|_| {
                let (root, over) = (family.root(), Arc::clone(&over));
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let outer = Scope::new_in(&root, "outer");
                        let pool = outer.create("io");
                        pool.start(PoolConfig::leased(1)).expect("the scope is open");
                        let inner = Scope::new_in(&outer, "inner");
                        let task = inner.run(|| pool.submit(|| heirloom::current().kind())).expect("open");
                        drop(outer);
                        drop(inner.get("io"));
                        let _ = task.join();
                    }
                })
            })
            .collect();
        for _ in 0..300 {
            let snapshot = family.snapshot();
            assert_eq!(snapshot.nodes[0].kind, NodeKind::Process);
            assert_eq!(family.tree().to_string().lines().next().map(|line| line.starts_with("process")), Some(true));
            for manager in family.managers() {
                assert_eq!(*manager.namespace(), "io".into());
            }
        }
        over.store(true, Ordering::Relaxed);
        for maker in makers {
            maker.join().expect("ends");
        }
        // A task lets go of its submitter a moment after its handle resolves.
        common::eventually("nothing is left", || family.snapshot().nodes.len() == 1 && family.managers().is_empty());
    });
}
