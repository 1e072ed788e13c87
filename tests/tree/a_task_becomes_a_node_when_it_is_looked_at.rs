//! A thread or a task becomes a node when something is attached to it, or its id or its `Lineage` is asked for. Until
//! then it costs nothing, and what it submits stands below the nearest real node, fixed at submit: a task that submits
//! itself again for ever makes no chain.

use std::sync::mpsc::{self, Sender};

use heirloom::{Lineage, NodeKind, PoolConfig, PoolManager, Registry, Scope, current, thread};

use crate::common;

fn started(at: &Lineage) -> PoolManager {
    let pool = at.create("work");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

/// Runs `f` in a task of a family of its own, and counts the nodes of that family from within.
fn nodes_in_a_task(f: impl FnOnce() + Send + 'static) -> usize {
    let family = std::sync::Arc::new(Registry::new());
    let pool = started(&family.root());
    let counts = std::sync::Arc::clone(&family);
    let count = move || {
        f();
        counts.snapshot().nodes.iter().filter(|node| node.kind == NodeKind::Task).count()
    };
    family.root().run(|| pool.submit(count)).expect("open").join().expect("ends")
}

#[test]
fn a_task_nobody_looks_at_is_no_node() {
    common::bounded(|| assert_eq!(nodes_in_a_task(|| ()), 0));
}

#[test]
fn finding_a_manager_does_not_make_it_one() {
    common::bounded(|| {
        assert_eq!(nodes_in_a_task(|| assert!(heirloom::get("work").is_ok())), 0);
        assert_eq!(nodes_in_a_task(|| assert!(heirloom::with("work", |_| ()).is_ok())), 0);
        assert_eq!(nodes_in_a_task(|| drop(heirloom::get_or_create("work"))), 0);
    });
}

#[test]
fn looking_for_one_in_vain_does_not_make_it_one() {
    common::bounded(|| {
        assert_eq!(nodes_in_a_task(|| assert!(heirloom::get("no such name").is_err())), 0);
        assert_eq!(nodes_in_a_task(|| assert!(heirloom::with("no such name", |_| ()).is_err())), 0);
    });
}

#[test]
fn submitting_does_not_make_it_one() {
    common::bounded(|| {
        let submits = || {
            let work = heirloom::get("work").expect("found");
            drop(work.submit(|| ()).expect("open"));
            drop(work.try_submit(|| ()).expect("open"));
        };
        assert_eq!(nodes_in_a_task(submits), 0);
    });
}

#[test]
fn a_manager_attached_to_it_makes_it_one() {
    common::bounded(|| {
        assert_eq!(nodes_in_a_task(|| drop(heirloom::create("own"))), 1);
        assert_eq!(nodes_in_a_task(|| drop(heirloom::get_or_create("own"))), 1);
    });
}

#[test]
fn a_scope_or_a_thread_below_it_makes_it_one() {
    common::bounded(|| {
        assert_eq!(nodes_in_a_task(|| drop(Scope::new("below"))), 1);
        assert_eq!(nodes_in_a_task(|| thread::spawn(|| ()).expect("a thread starts").join().expect("ends")), 1);
    });
}

#[test]
fn asking_for_its_lineage_makes_it_one_and_no_more() {
    common::bounded(|| {
        let asks = || {
            let first = current();
            assert_eq!(current(), first);
            assert_eq!(current().id(), first.id());
        };
        assert_eq!(nodes_in_a_task(asks), 1);
    });
}

#[test]
fn a_task_that_submits_itself_for_ever_makes_no_chain() {
    fn step(pool: PoolManager, left: usize, done: Sender<(usize, usize)>, family: std::sync::Arc<Registry>) {
        if left == 0 {
            let nodes = family.snapshot().nodes.len();
            let _ = done.send((current().ancestors().count(), nodes));
            return;
        }
        let next = pool.clone();
        drop(pool.submit(move || step(next, left - 1, done, family)).expect("open"));
    }
    common::bounded(|| {
        let family = std::sync::Arc::new(Registry::new());
        let scope = Scope::new_in(&family.root(), "request");
        let pool = started(&scope);
        let (done, seen) = mpsc::channel();
        scope.run(|| step(pool, 20_000, done, family));
        // The last task stands directly below the scope; before it was looked at there were the root and the scope.
        assert_eq!(seen.recv(), Ok((3, 2)));
    });
}

#[test]
fn what_a_task_submits_before_it_is_a_node_stands_beside_it() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let pool = started(&scope);
        let again = pool.clone();
        let (before, own, after) = scope
            .run(|| {
                pool.submit(move || {
                    let before = again.submit(current).expect("open");
                    let own = current();
                    let after = again.submit(current).expect("open");
                    (before.join().expect("ends"), own, after.join().expect("ends"))
                })
            })
            .expect("open")
            .join()
            .expect("ends");
        assert_eq!(own.parent().as_ref(), Some(scope.lineage()));
        assert_eq!(before.parent().as_ref(), Some(scope.lineage()), "fixed when it was submitted");
        assert_eq!(after.parent(), Some(own));
    });
}

#[test]
fn what_a_thread_submits_before_it_is_a_node_stands_beside_it() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let pool = started(&scope);
        let (before, own, after) = scope
            .run(|| {
                thread::spawn(move || {
                    let before = pool.submit(current).expect("open").join().expect("ends");
                    let own = current();
                    (before, own, pool.submit(current).expect("open").join().expect("ends"))
                })
                .expect("a thread starts")
            })
            .join()
            .expect("ends");
        assert_eq!(before.parent().as_ref(), Some(scope.lineage()));
        assert_eq!(after.parent(), Some(own));
    });
}

#[test]
fn a_thread_nobody_looks_at_is_no_node() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let threads = root.run(|| {
            thread::scope(|s| {
                let counted = s.spawn(|| family.snapshot().nodes.len()).expect("a thread starts");
                counted.join().expect("ends")
            })
        });
        assert_eq!(threads, 1, "the root alone");
    });
}

#[test]
fn a_scope_is_always_a_node() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        let nodes = family.snapshot().nodes;
        assert_eq!(nodes.len(), 2);
        assert_eq!(
            (nodes[1].id, nodes[1].kind, nodes[1].name.as_deref()),
            (scope.id(), NodeKind::Scope, Some("request"))
        );
    });
}

#[test]
fn a_task_node_ends_with_its_task() {
    common::bounded(|| {
        let family = Registry::new();
        let pool = started(&family.root());
        let id = family.root().run(|| pool.submit(|| current().id())).expect("open").join().expect("ends");
        assert!(family.snapshot().node(id).is_none());
    });
}
