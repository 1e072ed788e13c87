//! Walking upwards is iterative: depth 100 000 works. Dropping a long chain is iterative too: a million links do not
//! overflow the stack.

use heirloom::{Lineage, PoolConfig, Registry, Scope, current};

use crate::common;

/// Small enough that a recursion of a thousandth of the depth would not fit.
const STACK: usize = 128 * 1024;
const DEEP: usize = 100_000;

fn on_a_small_stack<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(f).expect("starts").join().expect("ends")
}

fn chain(root: &Lineage, links: usize) -> Lineage {
    let mut at = root.clone();
    for _ in 0..links {
        at = Scope::new_in(&at, "link").lineage().clone();
    }
    at
}

#[test]
fn a_million_links_are_dropped() {
    common::bounded(|| {
        let left = on_a_small_stack(|| {
            let family = Registry::new();
            drop(chain(&family.root(), 1_000_000));
            family.snapshot().nodes.len()
        });
        assert_eq!(left, 1, "all of them");
    });
}

#[test]
fn a_chain_with_a_started_pool_in_every_link_is_dropped() {
    common::bounded(|| {
        // Not deeper, because a start looks at every scope above it; deep enough for this stack.
        const LINKS: usize = 3_000;
        let left = on_a_small_stack(|| {
            let family = Registry::new();
            let mut scopes = vec![Scope::new_in(&family.root(), "link")];
            for i in 0..LINKS {
                scopes[i].create("work").start(PoolConfig::leased(1)).expect("the line is open");
                scopes.push(Scope::new_in(&scopes[i], "link"));
            }
            let end = scopes[LINKS].lineage().clone();
            // The outermost first: the last handle then holds the whole chain.
            scopes.into_iter().for_each(Scope::finish);
            assert_eq!(family.managers().len(), LINKS);
            drop(end);
            (family.managers().len(), family.snapshot().nodes.len())
        });
        assert_eq!(left, (0, 1));
    });
}

#[test]
fn a_chain_of_nodes_that_own_managers_is_dropped_with_them() {
    common::bounded(|| {
        let left = on_a_small_stack(|| {
            let family = Registry::new();
            let mut at = family.root();
            for _ in 0..DEEP {
                at = Scope::new_in(&at, "link").lineage().clone();
                let _ = at.create("work");
            }
            assert_eq!(family.managers().len(), DEEP);
            drop(at);
            (family.managers().len(), family.snapshot().nodes.len())
        });
        assert_eq!(left, (0, 1));
    });
}

#[test]
fn a_chain_is_dropped_from_where_it_is_still_held() {
    common::bounded(|| {
        let (middle, left) = on_a_small_stack(|| {
            let family = Registry::new();
            let middle = chain(&family.root(), DEEP);
            let end = chain(&middle, DEEP);
            drop(end);
            (middle, family.snapshot().nodes.len())
        });
        assert_eq!(left, DEEP + 1);
        assert_eq!(middle.ancestors().count(), DEEP + 1);
    });
}

#[test]
fn a_chain_that_a_finished_task_held_last_is_dropped() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("small stacks");
        pool.start(PoolConfig::dedicated(1).stack_size(STACK)).expect("starts");
        let family = Registry::new();
        // Open scopes: each is told to end only after the task was accepted.
        let mut scopes = vec![Scope::new_in(&family.root(), "link")];
        for _ in 0..DEEP {
            let next = Scope::new_in(&scopes[scopes.len() - 1], "link");
            scopes.push(next);
        }
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let end = scopes[scopes.len() - 1].lineage().clone();
        let task = end.run(|| pool.submit(move || wait.recv().is_ok())).expect("open");
        drop(end);
        scopes.into_iter().for_each(Scope::finish);
        assert_eq!(family.snapshot().nodes.len(), DEEP + 2);
        drop(go);
        assert!(task.join().is_ok());
        assert!(pool.wait_idle().is_ok());
        assert_eq!(family.snapshot().nodes.len(), 1);
    });
}

#[test]
fn finding_something_100_000_above_works() {
    common::bounded(|| {
        on_a_small_stack(|| {
            let family = Registry::new();
            let top = family.root().create("top");
            let end = chain(&family.root(), DEEP);
            assert!(end.get("top").expect("found").is_same(&top));
            assert!(end.get_or_create("top").is_same(&top));
            assert!(end.with("top", |found| found.is_same(&top)).expect("found"));
            assert!(end.get("no such name").is_err());
            end.run(|| {
                assert!(heirloom::get("top").expect("found").is_same(&top));
                assert_eq!(current(), end);
            });
        });
    });
}

#[test]
fn walking_the_ancestors_100_000_up_works() {
    common::bounded(|| {
        on_a_small_stack(|| {
            let family = Registry::new();
            let end = chain(&family.root(), DEEP);
            assert_eq!(end.ancestors().count(), DEEP + 1);
            assert_eq!(end.ancestors().last(), Some(family.root()));
            assert!(format!("{end:?}").len() < 1_000, "a debug text stays short");
        });
    });
}

#[test]
fn a_chain_of_tasks_is_walked_and_dropped() {
    fn step(pool: heirloom::PoolManager, left: usize, done: std::sync::mpsc::Sender<usize>) {
        // Looked at, so each task is a node below the one before it.
        let here = current();
        if left == 0 {
            let _ = done.send(here.ancestors().count());
            return;
        }
        let next = pool.clone();
        drop(pool.submit(move || step(next, left - 1, done)).expect("open"));
    }
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("small stacks");
        pool.start(PoolConfig::dedicated(1).stack_size(STACK)).expect("starts");
        let (done, depth) = std::sync::mpsc::channel();
        let again = pool.clone();
        drop(root.run(|| pool.submit(move || step(again, DEEP, done))).expect("open"));
        assert_eq!(depth.recv(), Ok(DEEP + 2));
        assert!(pool.wait_idle().is_ok());
        assert_eq!(family.snapshot().nodes.len(), 1);
    });
}
