//! `create` always makes a new manager, here. One that this node already had under the name is only unlinked: it goes
//! on for those who hold it, and closes with its last handle.

use std::sync::mpsc;

use heirloom::{PoolConfig, Registry, Scope, SubmitErrorKind};

use crate::common;

#[test]
fn a_new_one_each_time_and_the_last_is_found() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let made: Vec<_> = (0..10).map(|_| scope.create("io")).collect();
        for (i, one) in made.iter().enumerate() {
            assert!(made[i + 1..].iter().all(|other| !other.is_same(one)));
        }
        assert!(scope.get("io").expect("found").is_same(&made[9]));
        assert_eq!(scope.managers().len(), 1, "the others are unlinked");
    });
}

#[test]
fn an_ancestors_is_hidden_and_not_touched() {
    common::bounded(|| {
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let above = outer.create("io");
        above.start(PoolConfig::leased(1)).expect("starts");
        let own = inner.create("io");
        assert!(inner.get("io").expect("found").is_same(&own));
        assert!(outer.get("io").expect("found").is_same(&above));
        assert!(above.is_running());
    });
}

#[test]
fn an_unlinked_one_goes_on_for_those_who_hold_it() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let first = scope.create("io");
        first.start(PoolConfig::leased(1)).expect("starts");
        let second = scope.create("io");
        assert!(first.is_running());
        assert!(!second.is_running());
        assert_eq!(first.submit(|| 7).expect("open").join().expect("ends"), 7);
        assert_eq!(first.owner().as_ref(), Some(scope.lineage()));
    });
}

#[test]
fn an_unlinked_one_closes_with_its_last_handle() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let first = scope.create("io");
        first.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let (said, heard) = mpsc::channel();
        // The task has no handle of the manager, and finds none: it outlives it.
        let task = first
            .submit(move || {
                let _ = wait.recv();
                let _ = said.send(());
            })
            .expect("open");
        let another = first.clone();
        let _second = scope.create("io");
        drop(first);
        assert!(another.is_running());
        drop(another);
        // Closed without blocking; a joining pool still finishes what it accepted.
        assert!(heard.try_recv().is_err());
        drop(go);
        assert!(task.join().is_ok());
        assert_eq!(heard.recv(), Ok(()));
    });
}

#[test]
fn an_unlinked_one_that_nobody_holds_closes_at_once() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let (go, wait) = mpsc::channel::<()>();
        let queued = {
            let first = root.create("io");
            first.start(PoolConfig::leased(1).daemon()).expect("starts");
            drop(first.submit(move || wait.recv().is_ok()).expect("open"));
            first.submit(|| ()).expect("open")
        };
        assert!(!queued.is_finished(), "the node holds the manager");
        let _second = root.create("io");
        assert!(queued.join().expect_err("a closed daemon pool cancels what is queued").is_cancelled());
        assert_eq!(family.managers().len(), 1);
        drop(go);
    });
}

#[test]
fn a_manager_closes_with_its_node_when_nobody_holds_it() {
    common::bounded(|| {
        let family = Registry::new();
        let (go, wait) = mpsc::channel::<()>();
        let scope = Scope::new_in(&family.root(), "owner");
        let pool = scope.create("io");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        drop(family.root().run(|| pool.submit(move || wait.recv().is_ok())).expect("open"));
        let queued = family.root().run(|| pool.submit(|| ())).expect("open");
        drop(pool);
        assert!(!queued.is_finished());
        drop(scope);
        assert!(queued.join().expect_err("cancelled").is_cancelled());
        assert!(family.managers().is_empty());
        drop(go);
    });
}

#[test]
fn a_handle_keeps_a_threads_manager_when_the_thread_is_over() {
    common::bounded(|| {
        let pool = heirloom::thread::spawn(|| {
            let pool = heirloom::create("io");
            pool.start(PoolConfig::leased(1)).expect("starts");
            pool
        })
        .expect("a thread starts")
        .join()
        .expect("ends");
        assert!(pool.owner().is_none());
        assert!(pool.is_running());
        assert_eq!(pool.submit(|| 7).expect("open").join().expect("ends"), 7);
    });
}

#[test]
fn the_last_handle_may_go_inside_one_of_its_own_tasks() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("io");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let held = pool.clone();
        let task = pool
            .submit(move || {
                let _ = wait.recv();
                drop(held);
                7
            })
            .expect("open");
        drop(root.remove("io"));
        drop(pool);
        assert_eq!(family.managers().len(), 1);
        drop(go);
        assert_eq!(task.join().expect("ends"), 7);
        assert!(family.managers().is_empty());
    });
}

#[test]
fn a_new_one_is_not_started() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        scope.create("io").start(PoolConfig::leased(1)).expect("starts");
        let second = scope.create("io");
        assert!(
            matches!(second.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })))
        );
        assert!(second.start(PoolConfig::leased(1)).is_ok());
    });
}
