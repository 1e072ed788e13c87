//! A pool task stands below the place that submitted it: not below the thread that runs it, not below whoever caused
//! that thread to exist, not below the pool's owner. Whichever way it was submitted, and whichever pool runs it.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use heirloom::{Lineage, NodeKind, PoolConfig, PoolManager, Scope, current};

use crate::common;

/// One pool of each kind, owned by a scope that none of the submitters is below.
fn pools(owner: &Scope) -> Vec<PoolManager> {
    [PoolConfig::leased(2), PoolConfig::dedicated(2)]
        .into_iter()
        .enumerate()
        .map(|(i, config)| {
            let pool = owner.create(i as u64);
            pool.start(config).expect("starts");
            pool
        })
        .collect()
}

fn place_of(pool: &PoolManager) -> Lineage {
    pool.submit(current).expect("open").join().expect("ends")
}

#[test]
fn it_is_a_task_with_its_own_id() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let task = pool.submit(|| (current(), current())).expect("open");
            let id = task.id();
            let (first, second) = task.join().expect("ends");
            assert_eq!(first.kind(), NodeKind::Task);
            assert_eq!(first.task_id(), Some(id));
            assert_eq!(first, second, "its node is made once");
        }
    });
}

#[test]
fn it_finds_what_its_submitter_finds() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let request = Scope::new("request");
        let db = request.create("db");
        for pool in pools(&owner) {
            let found = request.run(|| pool.submit(|| heirloom::get("db"))).expect("open").join().expect("ends");
            assert!(found.expect("a task finds its submitter's").is_same(&db));
        }
    });
}

#[test]
fn it_does_not_find_what_only_the_pools_owner_has() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let _private = owner.create("private");
        let request = Scope::new("request");
        for pool in pools(&owner) {
            let found = request.run(|| pool.submit(|| heirloom::get("private").is_ok())).expect("open");
            assert!(!found.join().expect("ends"));
        }
    });
}

#[test]
fn one_worker_gives_each_task_its_own_submitter() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let one = owner.create("one");
        one.start(PoolConfig::dedicated(1)).expect("starts");
        let requests: Vec<Scope> = (0..50).map(|i| Scope::new(format!("request {i}"))).collect();
        let tasks: Vec<_> = requests.iter().map(|at| at.run(|| one.submit(current)).expect("open")).collect();
        for (request, task) in requests.iter().zip(tasks) {
            assert_eq!(task.join().expect("ends").parent().as_ref(), Some(request.lineage()));
        }
    });
}

#[test]
fn it_does_not_stand_below_whoever_caused_the_worker() {
    common::bounded(|| {
        for config in [PoolConfig::leased(4), PoolConfig::dedicated(4)] {
            let owner = Scope::new("owner");
            let pool = owner.create("work");
            pool.start(config).expect("starts");
            let first = Scope::new("causes the threads");
            let _private = first.create("private");
            // All at once, so that each task needs a thread of its own.
            let met = Arc::new(Barrier::new(4));
            let causes: Vec<_> = (0..4)
                .map(|_| {
                    let met = Arc::clone(&met);
                    first.run(|| pool.submit(move || met.wait().is_leader())).expect("open")
                })
                .collect();
            for cause in causes {
                assert!(cause.join().is_ok());
            }
            let second = Scope::new("uses them");
            for _ in 0..20 {
                let (at, found) = second
                    .run(|| pool.submit(|| (current().parent(), heirloom::get("private").is_ok())))
                    .expect("open")
                    .join()
                    .expect("ends");
                assert_eq!(at.as_ref(), Some(second.lineage()));
                assert!(!found);
            }
        }
    });
}

#[test]
fn it_stands_below_the_task_that_submitted_it_once_that_is_a_node() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let again = pool.clone();
            let (outer, inner) =
                pool.submit(move || (current(), place_of(&again))).expect("open").join().expect("ends");
            assert_eq!(inner.parent(), Some(outer));
        }
    });
}

#[test]
fn a_task_run_in_place_stands_below_its_submitter_too() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let one = owner.create("one");
        one.start(PoolConfig::leased(1).holds_permit()).expect("starts");
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let again = one.clone();
        // Submitted from the request, joined (and so run) standing elsewhere.
        let inner = one
            .submit(move || at.run(|| again.submit(current)).expect("open").join().expect("ends"))
            .expect("open")
            .join()
            .expect("ends");
        assert_eq!(inner.parent().as_ref(), Some(request.lineage()));
    });
}

#[test]
fn every_way_of_submitting_counts_the_place_of_the_call() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let request = Scope::new("request");
            let here = Some(request.lineage().clone());
            let parent = || current().parent();
            request.run(|| {
                assert_eq!(pool.submit(parent).expect("open").join().expect("ends"), here);
                assert_eq!(pool.submit_as("any", parent).expect("open").join().expect("ends"), here);
                assert_eq!(pool.try_submit(parent).expect("open").join().expect("ends"), here);
                let within = pool.submit_timeout(parent, Duration::from_secs(1));
                assert_eq!(within.expect("open").join().expect("ends"), here);
                let later = futures::executor::block_on(pool.submit_async(parent));
                assert_eq!(later.expect("open").join().expect("ends"), here);
                assert_eq!(pool.run(parent).expect("ends"), here);
                let scoped = pool.scope(|s| s.submit(parent).expect("open").join().expect("ends"));
                assert_eq!(scoped, here);
                for mapped in pool.map(0..20, move |_| parent()).expect("open") {
                    assert_eq!(mapped.expect("ends"), here);
                }
            });
        }
    });
}

#[test]
fn the_tasks_of_a_map_stand_where_it_was_made_wherever_it_is_read() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let request = Scope::new("request");
            let map = request.run(|| pool.map(0..100, |_| current().parent())).expect("open");
            let elsewhere = Scope::new("elsewhere");
            let parents: Vec<_> = elsewhere.run(|| map.collect());
            for parent in parents {
                assert_eq!(parent.expect("ends").as_ref(), Some(request.lineage()));
            }
        }
    });
}

#[test]
fn a_task_that_waited_for_room_stands_where_it_was_submitted() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("bounded");
        pool.start(PoolConfig::leased(1).queue_limit(1)).expect("starts");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, started) = std::sync::mpsc::channel();
        let blocker = pool.submit(move || (begun.send(()), wait.recv().is_ok())).expect("open");
        assert!(started.recv().is_ok());
        let queued = pool.submit(|| ()).expect("there is room for one");
        let request = Scope::new("request");
        let waits = request.run(|| {
            let pool = pool.clone();
            heirloom::thread::spawn(move || {
                let here = current();
                let task = pool.submit_timeout(|| current().parent(), common::BOUND).expect("there is room in the end");
                (here, task.join().expect("ends"))
            })
            .expect("a thread starts")
        });
        drop(go);
        let (here, parent) = waits.join().expect("ends");
        assert_eq!(parent, Some(here));
        assert!(blocker.join().is_ok() && queued.join().is_ok());
    });
}

#[test]
fn its_place_is_fixed_when_it_is_submitted() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = pool.submit(move || wait.recv().is_ok()).expect("open");
        let request = Scope::new("request");
        let id = request.id();
        let queued = request.run(|| pool.submit(|| current().parent().map(|parent| parent.id()))).expect("open");
        // The scope goes before the task starts: the parent that ended still answers.
        request.finish();
        drop(go);
        assert_eq!(queued.join().expect("ends"), Some(id));
        assert!(blocker.join().is_ok());
    });
}
