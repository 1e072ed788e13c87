//! A thread nobody told heirloom about is a node of its own below the process, made on first use; it goes when the
//! thread ends. `wrap`, `wrap_fn` and `Lineage::enter` carry a place into it.

use std::sync::mpsc;

use heirloom::{Lineage, NodeKind, PoolConfig, Registry, Scope, current};

use crate::common;

/// The nodes of a thread in the process-wide family.
fn nodes_of(thread: std::thread::ThreadId) -> usize {
    Registry::global().snapshot().nodes.iter().filter(|node| node.thread == Some(thread)).count()
}

#[test]
fn it_stands_below_the_process() {
    common::bounded(|| {
        let node = std::thread::spawn(current).join().expect("ends");
        assert_eq!(node.kind(), NodeKind::Thread);
        assert_eq!(node.parent(), Some(Lineage::process()));
    });
}

#[test]
fn it_has_the_name_and_the_id_of_its_thread() {
    common::bounded(|| {
        let thread = std::thread::Builder::new().name("plain".into()).spawn(|| (current(), current())).expect("starts");
        let id = thread.thread().id();
        let (node, again) = thread.join().expect("ends");
        assert_eq!(node.name(), Some("plain"));
        assert_eq!(node.thread_id(), Some(id));
        assert_eq!(node, again, "it is made once");
    });
}

#[test]
fn it_does_not_stand_below_the_thread_that_started_it() {
    common::bounded(|| {
        let scope = Scope::new("starter");
        let _private = scope.create("private");
        let found = scope.run(|| std::thread::spawn(|| heirloom::get("private").is_ok())).join().expect("ends");
        assert!(!found);
    });
}

#[test]
fn it_is_made_on_first_use() {
    common::bounded(|| {
        let (asked, answer) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // Finding, submitting and entering look at no node of this thread's own.
            let _ = heirloom::get("no such name");
            let scope = Scope::new_in(&Lineage::process(), "elsewhere");
            let guard = scope.enter();
            drop(guard);
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            assert_eq!(pool.submit(current).expect("open").join().expect("ends").parent(), Some(Lineage::process()));
            let _ = asked.send(());
            let _ = wait.recv();
            drop(current());
            let _ = asked.send(());
            let _ = wait.recv();
        });
        let id = thread.thread().id();
        let _ = answer.recv();
        assert_eq!((nodes_of(id), Registry::global().thread(id)), (0, None));
        let _ = go.send(());
        let _ = answer.recv();
        assert_eq!(nodes_of(id), 1);
        assert_eq!(Registry::global().thread(id).and_then(|node| node.thread_id()), Some(id));
        drop(go);
        thread.join().expect("ends");
    });
}

/// Alone, because a snapshot by another test holds the node for a moment.
#[test]
fn its_node_goes_when_the_thread_ends() {
    common::alone(|| {
        let thread = std::thread::spawn(|| {
            let id = std::thread::current().id();
            drop(current());
            assert_eq!(nodes_of(id), 1);
        });
        let id = thread.thread().id();
        thread.join().expect("ends");
        assert_eq!(nodes_of(id), 0);
        assert_eq!(Registry::global().thread(id), None);
    });
}

#[test]
fn its_node_goes_also_when_the_thread_panics() {
    common::bounded(|| {
        let thread = std::thread::spawn(|| {
            let _here = current();
            std::panic::resume_unwind(Box::new(()));
        });
        let id = thread.thread().id();
        assert!(thread.join().is_err());
        // A snapshot that another test takes holds the node for a moment.
        common::eventually("the node goes", || nodes_of(id) == 0);
    });
}

/// Alone, because a snapshot by another test holds the node for a moment.
#[test]
fn what_it_owns_closes_when_the_thread_ends() {
    common::alone(|| {
        let (weak, handle) = std::thread::spawn(|| {
            let _ = heirloom::create("of the thread");
            let held = heirloom::create("held");
            held.start(PoolConfig::leased(1)).expect("starts");
            (held.owner().map(|owner| owner.id()), held)
        })
        .join()
        .expect("ends");
        assert!(handle.owner().is_none(), "the node is gone");
        assert!(handle.is_running(), "a handle keeps the manager");
        let left = Registry::global().managers().iter().any(|manager| *manager.namespace() == "of the thread".into());
        assert!(!left);
        assert!(Registry::global().snapshot().nodes.iter().all(|node| Some(node.id) != weak));
    });
}

#[test]
fn wrap_carries_a_place_into_it() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let mine = scope.create("mine");
        let job = scope.run(|| heirloom::wrap(|| (current(), heirloom::get("mine"))));
        let (node, found) = std::thread::spawn(job).join().expect("ends");
        assert_eq!(node, *scope);
        assert!(found.expect("a wrapped closure finds it").is_same(&mine));
    });
}

#[test]
fn wrap_puts_the_threads_own_place_back() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let job = scope.run(|| heirloom::wrap(current));
        let failing = scope.run(|| heirloom::wrap(|| std::panic::resume_unwind(Box::new(()))));
        std::thread::spawn(move || {
            let own = current();
            assert_ne!(job(), own);
            assert_eq!(current(), own);
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(failing));
            assert!(failed.is_err());
            assert_eq!(current(), own);
        })
        .join()
        .expect("ends");
    });
}

#[test]
fn wrap_fn_carries_a_place_into_every_call() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let callback = scope.run(|| heirloom::wrap_fn(current));
        std::thread::scope(|s| {
            let calls: Vec<_> = (0..4).map(|_| s.spawn(|| (callback(), callback(), current()))).collect();
            for call in calls {
                let (first, second, own) = call.join().expect("ends");
                assert_eq!((&first, &second), (scope.lineage(), scope.lineage()));
                assert_eq!(own.parent(), Some(Lineage::process()));
            }
        });
    });
}

#[test]
fn a_wrapped_closure_keeps_its_place_alive() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let id = scope.id();
        let job = scope.run(|| heirloom::wrap(|| current().id()));
        drop(scope);
        assert_eq!(std::thread::spawn(job).join().expect("ends"), id);
    });
}

#[test]
fn enter_carries_a_place_into_it() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let at = scope.lineage().clone();
        std::thread::spawn(move || {
            let guard = at.enter();
            assert_eq!(current(), at);
            drop(guard);
            assert_eq!(current().parent(), Some(Lineage::process()));
        })
        .join()
        .expect("ends");
    });
}

#[test]
fn entering_the_process_cuts_the_edge() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let _private = scope.create("private");
        scope.run(|| {
            let guard = Lineage::process().enter();
            assert_eq!(current(), Lineage::process());
            assert!(heirloom::get("private").is_err());
            let child = heirloom::thread::spawn(current).expect("a thread starts").join().expect("ends");
            assert_eq!(child.parent(), Some(Lineage::process()));
            drop(guard);
            assert!(heirloom::get("private").is_ok());
        });
    });
}
