//! A thread started with `heirloom::thread::{spawn, Builder, scope}` is the child of the place that started it, and
//! finds what that place finds. `Builder::detached` cuts the edge.

use std::sync::Barrier;

use heirloom::{Lineage, NodeKind, PoolConfig, Registry, Scope, current, thread};

use crate::common;

#[test]
fn spawn_makes_a_child_of_the_current_place() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let io = scope.create("io");
        let child = scope.run(|| thread::spawn(|| (current(), heirloom::get("io"))).expect("a thread starts"));
        let id = child.thread().id();
        let (node, found) = child.join().expect("the child ends");
        assert_eq!(node.kind(), NodeKind::Thread);
        assert_eq!(node.parent().as_ref(), Some(scope.lineage()));
        assert_eq!(node.thread_id(), Some(id));
        assert!(found.expect("a child finds its starter's").is_same(&io));
    });
}

#[test]
fn a_thread_starts_below_a_thread_that_started_it() {
    common::bounded(|| {
        let here = current();
        let (child, grandchild) = thread::spawn(|| {
            let grandchild = thread::spawn(current).expect("a thread starts").join().expect("the grandchild ends");
            (current(), grandchild)
        })
        .expect("a thread starts")
        .join()
        .expect("the child ends");
        assert_eq!(grandchild.parent().as_ref(), Some(&child));
        assert_eq!(child.parent().as_ref(), Some(&here));
    });
}

#[test]
fn a_thread_starts_below_the_task_that_started_it() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (task, child) = pool
            .submit(|| (current(), thread::spawn(current).expect("a thread starts").join().expect("the child ends")))
            .expect("open")
            .join()
            .expect("the task ends");
        assert_eq!(task.kind(), NodeKind::Task);
        assert_eq!(child.parent(), Some(task));
    });
}

#[test]
fn builder_makes_a_child_with_its_name_and_stack() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let child = scope.run(|| {
            thread::Builder::new().name("worker").stack_size(512 * 1024).spawn(|| {
                assert_eq!(std::thread::current().name(), Some("worker"));
                current()
            })
        });
        let node = child.expect("the system has a thread").join().expect("the child ends");
        assert_eq!(node.name(), Some("worker"));
        assert_eq!(node.parent().as_ref(), Some(scope.lineage()));
    });
}

#[test]
fn an_impossible_thread_name_is_an_error_and_no_panic() {
    common::bounded(|| {
        let refused = thread::Builder::new().name("a\0b").spawn(|| ()).map(drop);
        let refused = refused.expect_err("no such name is possible");
        let source = match refused.as_spawn() {
            Some(heirloom::SpawnError::Thread { source }) => source,
            other => panic!("{other:?}"),
        };
        assert_eq!(source.kind(), std::io::ErrorKind::InvalidInput);
        assert_eq!((refused.kind(), refused.is_temporary()), (heirloom::ErrorKind::Invalid, false));
    });
}

#[test]
fn scope_threads_borrow_and_are_children_of_whoever_spawns_them() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let names = [String::from("a"), String::from("b")];
        let nodes: Vec<(Lineage, usize)> = scope.run(|| {
            thread::scope(|s| {
                let started: Vec<_> =
                    names.iter().map(|name| s.spawn(|| (current(), name.len())).expect("a thread starts")).collect();
                started.into_iter().map(|child| child.join().expect("the child ends")).collect()
            })
        });
        for (node, borrowed) in &nodes {
            assert_eq!(node.parent().as_ref(), Some(scope.lineage()));
            assert_eq!(*borrowed, 1);
        }
        assert_ne!(nodes[0].0, nodes[1].0);
    });
}

#[test]
fn a_scoped_thread_started_by_a_scoped_thread_is_its_child() {
    common::bounded(|| {
        let (child, grandchild) = thread::scope(|s| {
            s.spawn(move || (current(), s.spawn(current).unwrap().join().expect("the grandchild ends")))
                .expect("a thread starts")
                .join()
                .expect("the child ends")
        });
        assert_eq!(grandchild.parent(), Some(child));
    });
}

#[test]
fn a_scoped_builder_makes_a_named_child() {
    common::bounded(|| {
        let here = current();
        let node = thread::scope(|s| {
            let started = thread::Builder::new().name("scoped").spawn_scoped(s, current);
            started.expect("the system has a thread").join().expect("the child ends")
        });
        assert_eq!(node.name(), Some("scoped"));
        assert_eq!(node.parent(), Some(here));
    });
}

#[test]
fn a_detached_thread_stands_directly_below_the_process() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let _private = scope.create("private");
        let child = scope.run(|| {
            thread::Builder::new().detached().spawn(|| {
                let found = heirloom::get("private").is_ok();
                (current(), found)
            })
        });
        let (node, found) = child.expect("the system has a thread").join().expect("the child ends");
        assert_eq!(node.kind(), NodeKind::Thread);
        assert_eq!(node.parent(), Some(Lineage::process()));
        assert!(!found, "the edge is cut");
    });
}

#[test]
fn what_a_detached_thread_submits_before_it_is_looked_at_stands_below_the_process() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let child = scope.run(|| {
            thread::Builder::new().detached().spawn(move || pool.submit(current).expect("open").join().expect("ends"))
        });
        let task = child.expect("the system has a thread").join().expect("the child ends");
        assert_eq!(task.parent(), Some(Lineage::process()));
    });
}

#[test]
fn a_child_keeps_its_place_for_as_long_as_it_runs() {
    common::bounded(|| {
        let met = std::sync::Arc::new(Barrier::new(2));
        let scope = Scope::new("starter");
        let id = scope.id();
        let theirs = met.clone();
        let child = scope.run(|| {
            thread::spawn(move || {
                theirs.wait();
                theirs.wait();
                current().parent().map(|parent| parent.id())
            })
            .expect("a thread starts")
        });
        met.wait();
        drop(scope);
        met.wait();
        assert_eq!(child.join().expect("the child ends"), Some(id));
    });
}

#[test]
fn a_thread_started_in_a_family_of_its_own_belongs_to_it() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let node = root.run(|| thread::spawn(current).expect("a thread starts")).join().expect("the child ends");
        assert_eq!(node.parent(), Some(root));
        assert_ne!(node.ancestors().last(), Some(Lineage::process()));
    });
}

#[test]
fn a_panicking_child_gives_its_payload_to_whoever_joins() {
    common::bounded(|| {
        let child = thread::spawn(|| -> () { std::panic::panic_any(7_u8) }).expect("a thread starts");
        let payload = child.join().expect_err("it panicked").into_panic().expect("with a payload");
        assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    });
}
