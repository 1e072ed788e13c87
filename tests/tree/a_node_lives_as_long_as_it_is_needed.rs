//! A node lives as long as its own code runs, or a descendant lives, or a handle to it is held. A parent that ended
//! still answers its descendants.

use std::sync::mpsc;

use heirloom::{Lineage, NodeId, PoolConfig, Registry, Scope, current, thread};

use crate::common;

fn lives(family: &Registry, id: NodeId) -> bool {
    family.snapshot().node(id).is_some()
}

#[test]
fn a_scope_lives_until_it_is_dropped() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        assert!(lives(&family, id));
        drop(scope);
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_handle_keeps_it() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let (id, handle) = (scope.id(), scope.lineage().clone());
        drop(scope);
        assert!(lives(&family, id));
        let another = handle.clone();
        drop(handle);
        assert!(lives(&family, id));
        drop(another);
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_guard_keeps_it() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let guard = scope.enter();
        drop(scope);
        assert!(lives(&family, id));
        assert_eq!(current().id(), id);
        drop(guard);
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_descendant_keeps_it() {
    common::bounded(|| {
        let family = Registry::new();
        let outer = Scope::new_in(&family.root(), "outer");
        let middle = Scope::new_in(&outer, "middle");
        let inner = Scope::new_in(&middle, "inner");
        let ids = [outer.id(), middle.id(), inner.id()];
        drop(outer);
        drop(middle);
        assert!(ids.iter().all(|id| lives(&family, *id)));
        drop(inner);
        assert!(!ids.iter().any(|id| lives(&family, *id)), "the whole line goes with its last descendant");
    });
}

#[test]
fn a_running_thread_keeps_its_starter() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let (go, wait) = mpsc::channel::<()>();
        let child = scope.run(|| thread::spawn(move || wait.recv().is_ok()).expect("a thread starts"));
        drop(scope);
        assert!(lives(&family, id));
        drop(go);
        let _ = child.join().expect("ends");
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_thread_lives_while_its_code_runs() {
    common::bounded(|| {
        let family = Registry::new();
        let (said, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let child = family.root().run(|| {
            thread::spawn(move || {
                let _ = said.send(current().id());
                wait.recv().is_ok()
            })
            .expect("a thread starts")
        });
        let id = heard.recv().expect("it runs");
        assert!(lives(&family, id));
        drop(go);
        let _ = child.join();
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_queued_task_keeps_its_submitter_and_a_finished_one_does_not() {
    common::bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let blocker = family.root().run(|| pool.submit(move || wait.recv().is_ok())).expect("open");
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let queued = scope.run(|| pool.submit(|| ())).expect("open");
        scope.finish();
        assert!(lives(&family, id));
        drop(go);
        assert!(queued.join().is_ok());
        assert!(blocker.join().is_ok());
        // Idle means that the tasks have let go of all they held; the handles hold nothing.
        assert!(pool.wait_idle().is_ok());
        assert!(!lives(&family, id));
    });
}

#[test]
fn a_handle_to_an_unfinished_task_keeps_nothing_after_its_end() {
    common::bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let unclaimed = scope.run(|| pool.submit(|| 7)).expect("open");
        drop(scope);
        assert!(pool.wait_idle().is_ok());
        assert!(!lives(&family, id));
        drop(unclaimed);
    });
}

#[test]
fn a_cancelled_task_lets_go_of_its_submitter_at_once() {
    common::bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let blocker = family.root().run(|| pool.submit(move || wait.recv().is_ok())).expect("open");
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let queued = scope.run(|| pool.submit(|| ())).expect("open");
        scope.finish();
        queued.cancel();
        assert!(!lives(&family, id));
        drop(go);
        assert!(blocker.join().is_ok());
    });
}

#[test]
fn a_manager_does_not_keep_its_owner() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "scope");
        let id = scope.id();
        let held = scope.create("held");
        assert_eq!(held.owner().as_ref(), Some(scope.lineage()));
        drop(scope);
        assert!(!lives(&family, id));
        assert_eq!(held.owner(), None);
    });
}

#[test]
fn a_parent_that_ended_still_answers_its_descendants() {
    common::bounded(|| {
        let outer = Scope::new("outer");
        let db = outer.create("db");
        let inner = Scope::new_in(&outer, "inner");
        let parent = outer.lineage().clone();
        drop(outer);
        assert!(inner.get("db").expect("the parent answers").is_same(&db));
        assert_eq!(inner.parent().as_ref(), Some(&parent));
        drop(parent);
        drop(db);
        let found = inner.get("db").expect("the parent's node keeps what it owns");
        assert_eq!(found.owner().as_ref().and_then(Lineage::name), Some("outer"));
    });
}

#[test]
fn a_thread_that_ended_still_answers_its_child() {
    common::bounded(|| {
        let (go, wait) = mpsc::channel::<()>();
        let parent = thread::spawn(move || {
            let db = heirloom::create("db");
            db.start(PoolConfig::leased(1)).expect("starts");
            thread::spawn(move || {
                let _ = wait.recv();
                let found = heirloom::get("db").expect("the parent answers");
                (found.submit(|| 7).expect("open").join().expect("ends"), current().parent())
            })
            .expect("a thread starts")
        })
        .expect("a thread starts");
        let child = parent.join().expect("ends");
        drop(go);
        let (answer, parent) = child.join().expect("ends");
        assert_eq!(answer, 7);
        assert!(parent.is_some_and(|parent| parent.thread_id().is_some()));
    });
}

#[test]
fn a_task_that_ended_still_answers_what_it_started() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let inner = pool
            .submit(|| {
                let _ = heirloom::create("of the task");
                Scope::new("inner")
            })
            .expect("open")
            .join()
            .expect("ends");
        assert!(inner.get("of the task").is_ok());
        assert!(inner.parent().is_some_and(|task| task.task_id().is_some()));
    });
}

#[test]
fn a_parent_never_changes() {
    common::bounded(|| {
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let line: Vec<Lineage> = inner.ancestors().collect();
        outer.run(|| drop(inner.enter()));
        outer.close();
        drop(outer);
        assert_eq!(inner.ancestors().collect::<Vec<_>>(), line);
        assert_eq!(line.last(), Some(&Lineage::process()));
    });
}
