//! An id names one node or one task for as long as the process runs: no later one gets it, on whatever thread.

use std::collections::HashSet;

use heirloom::{NodeId, PoolConfig, Registry, Scope, TaskId};

use crate::common;

const THREADS: usize = 8;
const EACH: usize = 2_000;

#[test]
fn a_node_id_is_never_reused_after_its_node_ended() {
    common::bounded(|| {
        let family = Registry::new();
        let makers: Vec<_> = (0..THREADS)
            .map(|_| {
                let root = family.root();
                // Each scope ends before the next is opened, so that its memory is there to be used again.
                std::thread::spawn(move || {
                    (0..EACH).map(|_| Scope::new_in(&root, "short").id()).collect::<Vec<NodeId>>()
                })
            })
            .collect();
        let mut seen = HashSet::from([family.root().id()]);
        for maker in makers {
            for id in maker.join().expect("a maker ends") {
                assert!(seen.insert(id), "{id} came twice");
            }
        }
        assert_eq!(seen.len(), THREADS * EACH + 1);
    });
}

#[test]
fn a_thread_that_comes_after_another_has_another_id() {
    common::bounded(|| {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let id = std::thread::spawn(|| heirloom::current().id()).join().expect("the thread ends");
            assert!(seen.insert(id), "{id} came twice");
        }
    });
}

#[test]
fn a_task_id_is_never_reused_whatever_pool_and_submitter() {
    common::bounded(|| {
        let submitters: Vec<_> = (0..THREADS)
            .map(|_| {
                heirloom::thread::spawn(|| {
                    let mut ids: Vec<TaskId> = Vec::new();
                    for _ in 0..20 {
                        let pool = heirloom::create("short");
                        pool.start(PoolConfig::leased(2)).expect("a new manager starts");
                        let tasks: Vec<_> =
                            (0..50).map(|_| pool.submit(|| heirloom::current().task_id()).expect("open")).collect();
                        for task in tasks {
                            let id = task.id();
                            assert_eq!(task.join().expect("the task ends"), Some(id), "a task knows its own id");
                            ids.push(id);
                        }
                    }
                    ids
                })
                .expect("a thread starts")
            })
            .collect();
        let mut seen = HashSet::new();
        for submitter in submitters {
            for id in submitter.join().expect("a submitter ends") {
                assert!(seen.insert(id), "{id} came twice");
            }
        }
    });
}

#[test]
fn the_id_of_a_task_that_was_refused_or_cancelled_is_not_given_to_the_next() {
    common::bounded(|| {
        let scope = Scope::new("ids");
        let pool = scope.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = pool.submit(move || wait.recv()).expect("open");
        let mut seen = HashSet::from([blocker.id()]);
        for _ in 0..500 {
            let queued = pool.submit(|| ()).expect("open");
            queued.cancel();
            assert!(seen.insert(queued.id()));
        }
        drop(go);
        let _ = blocker.join();
    });
}
