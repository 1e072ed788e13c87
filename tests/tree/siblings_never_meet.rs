//! A sibling's manager is never found: not a scope's, not a thread's, not a task's; by no verb.

use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, Scope, current, thread};

use crate::common;

#[test]
fn sibling_scopes_find_nothing_of_each_other() {
    common::bounded(|| {
        let parent = Scope::new("parent");
        let [a, b] = [Scope::new_in(&parent, "a"), Scope::new_in(&parent, "b")];
        let mine = a.create("render");
        assert!(b.get("render").is_err());
        assert!(b.with("render", |_| ()).is_err());
        assert!(b.remove("render").is_none());
        let theirs = b.get_or_create("render");
        assert!(!theirs.is_same(&mine));
        assert!(a.get("render").expect("found").is_same(&mine));
        assert!(parent.get("render").is_err());
    });
}

#[test]
fn sibling_threads_find_nothing_of_each_other() {
    common::bounded(|| {
        let parent = Scope::new("parent");
        let met = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let met = Arc::clone(&met);
                parent.run(|| {
                    thread::spawn(move || {
                        let missing = heirloom::get("render").is_err();
                        met.wait();
                        let mine = heirloom::get_or_create("render");
                        met.wait();
                        let found = heirloom::get("render").is_ok_and(|found| found.is_same(&mine));
                        met.wait();
                        (missing && found, mine)
                    })
                    .expect("a thread starts")
                })
            })
            .collect();
        let managers: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("ends")).collect();
        for (i, (own, manager)) in managers.iter().enumerate() {
            assert!(own);
            assert!(managers[i + 1..].iter().all(|(_, other)| !other.is_same(manager)));
        }
        assert!(parent.get("render").is_err());
    });
}

#[test]
fn tasks_of_one_pool_find_nothing_of_each_other() {
    common::bounded(|| {
        let parent = Scope::new("parent");
        let pool = parent.create("work");
        pool.start(PoolConfig::leased(4)).expect("starts");
        let met = Arc::new(Barrier::new(4));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let met = Arc::clone(&met);
                let task = parent.run(|| {
                    pool.submit(move || {
                        let mine = heirloom::create("render");
                        met.wait();
                        let found = heirloom::get("render").is_ok_and(|found| found.is_same(&mine));
                        met.wait();
                        found
                    })
                });
                task.expect("open")
            })
            .collect();
        for task in tasks {
            assert!(task.join().expect("ends"));
        }
    });
}

#[test]
fn tasks_one_after_another_on_one_thread_find_nothing_of_each_other() {
    common::bounded(|| {
        let parent = Scope::new("parent");
        let pool = parent.create("one");
        pool.start(PoolConfig::dedicated(1)).expect("starts");
        for _ in 0..50 {
            let found = parent.run(|| {
                pool.submit(|| {
                    let before = heirloom::get("render").is_ok();
                    let _mine = heirloom::create("render");
                    before
                })
            });
            assert!(!found.expect("open").join().expect("ends"));
        }
    });
}

#[test]
fn a_thread_and_a_task_of_one_place_find_nothing_of_each_other() {
    common::bounded(|| {
        let parent = Scope::new("parent");
        let pool = parent.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let theirs = pool.clone();
        let (task, child) = parent.run(|| {
            let child = thread::spawn(move || {
                let _mine = heirloom::create("of the thread");
                // Sent back to the parent to submit.
                (current(), theirs)
            })
            .expect("a thread starts")
            .join()
            .expect("ends");
            let task = child.1.submit(|| heirloom::get("of the thread").is_ok()).expect("open");
            (task, child)
        });
        assert!(!task.join().expect("ends"));
        assert!(child.0.get("of the thread").is_ok());
    });
}

#[test]
fn cousins_find_nothing_of_each_other() {
    common::bounded(|| {
        let top = Scope::new("top");
        let [left, right] = [Scope::new_in(&top, "left"), Scope::new_in(&top, "right")];
        let [a, b] = [Scope::new_in(&left, "a"), Scope::new_in(&right, "b")];
        let _left = left.create("io");
        let _a = a.create("render");
        assert!(b.get("io").is_err() && b.get("render").is_err());
        let shared = top.create("shared");
        assert!(a.get("shared").expect("found").is_same(&shared));
        assert!(b.get("shared").expect("found").is_same(&shared));
    });
}

#[test]
fn scopes_of_the_same_name_find_nothing_of_each_other() {
    common::bounded(|| {
        let [first, second] = [Scope::new("request"), Scope::new("request")];
        let _mine = first.create("db");
        assert!(second.get("db").is_err());
        assert_ne!(first.id(), second.id());
    });
}
