//! `with` looks up without cloning the handle. What it lends lives until it is given back, whatever others do to the
//! node meanwhile, and is let go of after that; lending may be nested to any depth, and on any number of threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{Lineage, PoolConfig, Registry, Scope};

use crate::common;

#[test]
fn what_is_lent_outlives_its_removal_by_another_thread() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("io").start(PoolConfig::leased(1)).expect("starts");
        let met = Arc::new(Barrier::new(2));
        let (at, theirs) = (root.clone(), Arc::clone(&met));
        let other = std::thread::spawn(move || {
            theirs.wait();
            // The last handle goes here, while the manager is lent.
            drop(at.remove("io"));
            theirs.wait();
        });
        let answer = root.with("io", |io| {
            met.wait();
            met.wait();
            assert!(io.is_running());
            io.submit(|| 7).expect("still open").join().expect("ends")
        });
        assert_eq!(answer.expect("found"), 7);
        other.join().expect("ends");
        common::eventually("nobody holds it any more", || family.managers().is_empty());
    });
}

#[test]
fn what_is_lent_outlives_its_replacement_by_another_thread() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("io").start(PoolConfig::leased(1)).expect("starts");
        let met = Arc::new(Barrier::new(2));
        let (at, theirs) = (root.clone(), Arc::clone(&met));
        let other = std::thread::spawn(move || {
            theirs.wait();
            for _ in 0..1_000 {
                let _ = at.create("io");
            }
            theirs.wait();
        });
        let running = root.with("io", |io| {
            met.wait();
            met.wait();
            io.is_running()
        });
        assert!(running.expect("found"));
        other.join().expect("ends");
        common::eventually("only the last is left", || family.managers().len() == 1);
    });
}

#[test]
fn what_is_lent_outlives_the_end_of_its_node() {
    common::bounded(|| {
        let family = Registry::new();
        let outer = Scope::new_in(&family.root(), "outer");
        outer.create("io").start(PoolConfig::leased(1)).expect("starts");
        let at = outer.lineage().clone();
        let guard = at.enter();
        drop(at);
        let mut held = Some((outer, guard));
        let answer = heirloom::with("io", |io| {
            // The place that this was asked at, and its last handle.
            drop(held.take());
            io.namespace().to_string()
        });
        assert_eq!(answer.expect("found"), "io");
        common::eventually("nothing is left", || family.managers().is_empty() && family.snapshot().nodes.len() == 1);
    });
}

#[test]
fn a_clone_of_what_is_lent_goes_on() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("io").start(PoolConfig::leased(1)).expect("starts");
        let kept = root.with("io", |io| {
            let kept = io.clone();
            drop(root.remove("io"));
            kept
        });
        let kept = kept.expect("found");
        assert_eq!(kept.submit(|| 7).expect("open").join().expect("ends"), 7);
        drop(kept);
        common::eventually("nobody holds it any more", || family.managers().is_empty());
    });
}

#[test]
fn lending_nests_to_any_depth() {
    fn nest(at: &Lineage, depth: u64) -> u64 {
        if depth == 0 {
            return 0;
        }
        at.with(depth, |lent| {
            let inner = nest(at, depth - 1);
            // After what was lent inside has been given back, and after its own removal.
            drop(at.remove(depth));
            assert_eq!(*lent.namespace(), depth.into());
            inner + 1
        })
        .expect("found")
    }
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        for name in 1..=300_u64 {
            let _ = root.create(name);
        }
        assert_eq!(nest(&root, 300), 300);
        assert!(root.managers().is_empty());
        common::eventually("nobody holds them any more", || family.managers().is_empty());
    });
}

#[test]
fn a_panic_gives_it_back() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        for _ in 0..200 {
            let _ = root.create("io");
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _ = root.with("io", |_| std::panic::resume_unwind(Box::new(())));
            }));
            assert!(failed.is_err());
            drop(root.remove("io"));
        }
        common::eventually("nobody holds them any more", || family.managers().is_empty());
    });
}

#[test]
fn readers_meet_a_writer() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let scope = Scope::new_in(&root, "below");
        let at = scope.lineage().clone();
        let _ = root.create("io");
        let over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..6)
            .map(|i| {
                let (at, over) = (at.clone(), Arc::clone(&over));
                std::thread::spawn(move || {
                    let mut found = 0_usize;
                    while !over.load(Ordering::Relaxed) {
                        let look = || {
                            at.with("io", |io| {
                                assert_eq!(*io.namespace(), "io".into());
                                assert!(io.owner().is_some());
                                // What is lent can be looked up, cloned and let go of inside.
                                drop(at.get("io"));
                                io.clone()
                            })
                        };
                        match i % 3 {
                            0 => found += usize::from(look().is_ok()),
                            1 => found += usize::from(at.get("io").is_ok()),
                            _ => found += usize::from(at.run(|| heirloom::with("io", |io| !io.is_running())).is_ok()),
                        }
                    }
                    found
                })
            })
            .collect();
        for round in 0..20_000_u64 {
            match round % 4 {
                0 => drop(root.create("io")),
                1 => drop(root.remove("io")),
                2 => drop(root.create(round % 7)),
                _ => drop(root.get_or_create("io")),
            }
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            let _ = reader.join().expect("every answer was whole");
        }
        for manager in root.managers() {
            drop(root.remove(manager.namespace()));
        }
        common::eventually("nobody holds them any more", || family.managers().is_empty());
    });
}

#[test]
fn threads_that_looked_things_up_and_ended_hold_nothing() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let _ = root.create("io");
        for _ in 0..300 {
            let at = root.clone();
            std::thread::spawn(move || assert!(at.with("io", |io| !io.is_running()).expect("found")))
                .join()
                .expect("ends");
        }
        drop(root.remove("io"));
        assert!(family.managers().is_empty());
    });
}
