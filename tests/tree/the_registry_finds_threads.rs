//! `Registry::thread` finds the node of an OS thread by its `ThreadId`, once the thread has been looked at. The index
//! is weak and cleans itself.

use std::sync::mpsc;
use std::sync::{Arc, Barrier};

use heirloom::{Registry, Scope, current, thread};

use crate::common;

#[test]
fn a_thread_that_was_looked_at_is_found() {
    common::bounded(|| {
        let here = current();
        assert_eq!(Registry::global().thread(std::thread::current().id()), Some(here));
    });
}

#[test]
fn a_thread_that_was_not_looked_at_has_no_node() {
    common::bounded(|| {
        let (go, wait) = mpsc::channel::<()>();
        let child = thread::spawn(move || wait.recv().is_ok()).expect("a thread starts");
        assert_eq!(Registry::global().thread(child.thread().id()), None);
        drop(go);
        let _ = child.join();
    });
}

#[test]
fn a_thread_inside_a_scope_is_still_found_as_itself() {
    common::bounded(|| {
        let own = current();
        let scope = Scope::new("request");
        let guard = scope.enter();
        assert_eq!(Registry::global().thread(std::thread::current().id()), Some(own));
        drop(guard);
    });
}

#[test]
fn every_thread_finds_every_other() {
    common::bounded(|| {
        let family = Arc::new(Registry::new());
        let met = Arc::new(Barrier::new(8));
        let threads: Vec<_> = family.root().run(|| {
            (0..8)
                .map(|_| {
                    let (family, met) = (Arc::clone(&family), Arc::clone(&met));
                    thread::spawn(move || {
                        let here = current();
                        met.wait();
                        let nodes = family.snapshot().nodes;
                        let threads: Vec<_> = nodes.iter().filter_map(|node| Some((node.thread?, node.id))).collect();
                        let found = threads
                            .iter()
                            .all(|(thread, id)| family.thread(*thread).is_some_and(|node| node.id() == *id));
                        met.wait();
                        (found, threads.len(), here.thread_id() == Some(std::thread::current().id()))
                    })
                    .expect("a thread starts")
                })
                .collect()
        });
        for thread in threads {
            assert_eq!(thread.join().expect("ends"), (true, 8, true));
        }
    });
}

/// Alone, because a snapshot by another test holds the node for a moment.
#[test]
fn an_ended_thread_is_found_no_more() {
    common::alone(|| {
        for _ in 0..100 {
            let child = thread::spawn(|| drop(current())).expect("a thread starts");
            let id = child.thread().id();
            child.join().expect("ends");
            assert_eq!(Registry::global().thread(id), None);
        }
    });
}

/// Alone, because a snapshot by another test holds the node for a moment.
#[test]
fn an_ended_thread_whose_node_is_held_is_found_as_long_as_that_lives() {
    common::alone(|| {
        let child = thread::spawn(current).expect("a thread starts");
        let id = child.thread().id();
        let node = child.join().expect("ends");
        assert_eq!(Registry::global().thread(id).as_ref(), Some(&node));
        drop(node);
        assert_eq!(Registry::global().thread(id), None);
    });
}

#[test]
fn a_thread_of_another_family_is_not_found() {
    common::bounded(|| {
        let family = Registry::new();
        let (said, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let child = family.root().run(|| {
            thread::spawn(move || {
                let _ = said.send(current());
                wait.recv().is_ok()
            })
            .expect("a thread starts")
        });
        let node = heard.recv().expect("it runs");
        let id = child.thread().id();
        assert_eq!(family.thread(id), Some(node));
        assert_eq!(Registry::global().thread(id), None);
        assert_eq!(Registry::new().thread(id), None);
        drop(go);
        let _ = child.join();
    });
}
