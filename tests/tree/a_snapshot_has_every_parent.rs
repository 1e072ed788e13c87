//! `Registry::snapshot()` is plain data in which every node but the root follows its parent, however many threads make
//! and drop nodes meanwhile; it keeps nothing alive, and takes no longer than its number of nodes asks for.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heirloom::{Lineage, Registry, Scope};

use crate::common;

#[test]
fn a_child_made_by_another_thread_never_comes_without_its_parent() {
    common::bounded(|| {
        // The index is read in parts, one for each of a few threads. Threads in this order get parts in this order, but
        // for a turn in the middle, which is why there are several tries.
        for _ in 0..4 {
            let family = Registry::new();
            let (to_parent, go) = mpsc::channel::<()>();
            let (to_crowd, parents) = mpsc::channel::<Lineage>();
            let (to_child, crowded) = mpsc::channel::<Lineage>();
            let over = Arc::new(AtomicBool::new(false));
            let root = family.root();
            let parent = std::thread::spawn(move || {
                for () in go {
                    let _ = to_crowd.send(Scope::new_in(&root, "parent").lineage().clone());
                }
            });
            let root = family.root();
            let crowd = std::thread::spawn(move || {
                let mut crowd = Vec::new();
                for parent in parents {
                    if crowd.is_empty() {
                        // Many nodes between the two, so that reading the index takes a while.
                        crowd.extend((0..20_000).map(|_| Scope::new_in(&root, "crowd")));
                    }
                    let _ = to_child.send(parent);
                }
            });
            let _ = to_parent.send(());
            let (again, stop) = (to_parent.clone(), Arc::clone(&over));
            let child = std::thread::spawn(move || {
                for parent in crowded {
                    let _child = Scope::new_in(&parent, "child");
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let _ = again.send(());
                }
            });
            drop(to_parent);
            let mut orphans = 0;
            for _ in 0..100 {
                let mut seen = HashSet::new();
                for node in family.snapshot().nodes {
                    orphans += usize::from(node.parent.is_some_and(|parent| !seen.contains(&parent)));
                    seen.insert(node.id);
                }
            }
            over.store(true, Ordering::Relaxed);
            for thread in [child, parent, crowd] {
                thread.join().expect("ends");
            }
            assert_eq!(orphans, 0);
        }
    });
}

#[test]
fn a_family_100_000_deep_is_listed() {
    /// Returns the shortest time of a few snapshots.
    fn listed(links: usize) -> Duration {
        let family = Registry::new();
        let mut at = family.root();
        for _ in 0..links {
            at = Scope::new_in(&at, "link").lineage().clone();
        }
        let once = || {
            let began = Instant::now();
            let snapshot = family.snapshot();
            let took = began.elapsed();
            assert_eq!(snapshot.nodes.len(), links + 1);
            for pair in snapshot.nodes.windows(2) {
                assert_eq!(pair[1].parent, Some(pair[0].id), "a chain is listed link by link");
            }
            took
        };
        std::iter::repeat_with(once).take(5).min().expect("measured")
    }
    common::bounded(|| {
        let (few, many) = (listed(1_000), listed(100_000));
        // A look at each node's whole ancestry would take ten thousand times as long.
        assert!(many < few * 1_500, "{few:?} for 1 000 links, {many:?} for 100 000");
    });
}
