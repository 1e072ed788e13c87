//! Kept look-ups: a hit is an entry that was the nearest one when the look-up began, or became it later, and it is not
//! freed while it is used.

use crate::epoch::{Epoch, Passed};
use crate::model::model;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::os::{Arc, thread};

/// All names of a model have the same stripe.
const STRIPE: usize = 0;
/// No entry.
const NONE: usize = 0;

/// A node with the slots of two names. An entry is a number.
struct Node {
    slots: [AtomicUsize; 2],
    passed: Passed,
    writing: Mutex<()>,
}

/// A node, the node above it, and the hazard slots of two readers.
struct World {
    nodes: [Node; 2],
    epoch: Epoch,
    held: [AtomicUsize; 2],
    freed: [AtomicBool; 5],
    /// Counts the changes that have returned.
    changes: AtomicUsize,
}

/// One reader's memo, for one name.
type Memo = Option<(usize, u64)>;

impl World {
    /// The upper node has the entries 1 and 2, of the two names.
    fn new() -> Arc<Self> {
        let node = |slots: [usize; 2]| Node {
            slots: slots.map(AtomicUsize::new),
            passed: Passed(AtomicU32::new(0)),
            writing: Mutex::new(()),
        };
        Arc::new(Self {
            nodes: [node([NONE, NONE]), node([1, 2])],
            epoch: Epoch(AtomicU64::new(0)),
            held: std::array::from_fn(|_| AtomicUsize::new(NONE)),
            freed: std::array::from_fn(|_| AtomicBool::new(false)),
            changes: AtomicUsize::new(0),
        })
    }

    fn publish(&self, reader: usize, entry: usize) {
        self.held[reader].store(entry, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn protect(&self, reader: usize, slot: &AtomicUsize) -> usize {
        let mut seen = slot.load(Ordering::Relaxed);
        while seen != NONE {
            self.publish(reader, seen);
            let now = slot.load(Ordering::Acquire);
            if now == seen {
                break;
            }
            seen = now;
        }
        seen
    }

    fn used(&self, reader: usize, entry: usize) -> usize {
        assert!(!self.freed[entry].load(Ordering::Relaxed), "the entry is used after its end");
        self.held[reader].store(NONE, Ordering::Release);
        entry
    }

    /// Looks a name up from the lower node.
    fn look(&self, reader: usize, name: usize, memo: &mut Memo) -> usize {
        if let Some((entry, seen)) = *memo {
            self.publish(reader, entry);
            if self.epoch.now() == seen {
                return self.used(reader, entry);
            }
        }
        let seen = self.epoch.now();
        for node in &self.nodes {
            node.passed.mark(STRIPE);
            let entry = self.protect(reader, &node.slots[name]);
            if entry != NONE {
                *memo = Some((entry, seen));
                return self.used(reader, entry);
            }
        }
        NONE
    }

    /// Gives a name of a node another entry, and frees the one before unless a reader holds it.
    fn change(&self, node: usize, name: usize, entry: usize) {
        let node = &self.nodes[node];
        let one = node.writing.lock();
        let before = node.slots[name].swap(entry, Ordering::AcqRel);
        node.passed.changed(STRIPE, &self.epoch);
        drop(one);
        if before != NONE {
            fence(Ordering::SeqCst);
            if self.held.iter().all(|held| held.load(Ordering::Acquire) != before) {
                self.freed[before].store(true, Ordering::Relaxed);
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn changes(&self) -> usize {
        self.changes.load(Ordering::Acquire)
    }
}

/// Looks the first name up so often. `expects` says, by the changes that had returned before, which entries are right.
fn read(world: &World, reader: usize, times: usize, right: impl Fn(usize, usize) -> bool) {
    let mut memo = None;
    for _ in 0..times {
        let changes = world.changes();
        let found = world.look(reader, 0, &mut memo);
        assert!(right(changes, found), "{found} after {changes} changes");
    }
}

#[test]
fn a_removed_entry_is_found_no_more_and_freed_once_unused() {
    model(3, || {
        let world = World::new();
        let writer = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.change(1, 0, NONE))
        };
        read(&world, 0, 3, |changes, found| found == NONE || (changes == 0 && found == 1));
        writer.join().unwrap();
    });
}

#[test]
fn a_nearer_entry_is_found_once_its_addition_has_returned() {
    model(3, || {
        let world = World::new();
        let writer = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.change(0, 0, 3))
        };
        read(&world, 0, 3, |changes, found| found == 3 || (changes == 0 && found == 1));
        writer.join().unwrap();
    });
}

#[test]
fn a_change_that_takes_the_mark_of_another_one_hides_none() {
    model(2, || {
        let world = World::new();
        let writer = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                // The other name first: it takes the readers' mark.
                world.change(1, 1, 4);
                world.change(1, 0, 3);
            })
        };
        read(&world, 0, 3, |changes, found| found == 3 || (changes < 2 && found == 1));
        writer.join().unwrap();
    });
}

#[test]
fn two_writers_and_a_reader_agree() {
    model(2, || {
        let world = World::new();
        let writers = [(1, 1, 4), (0, 0, 3)].map(|(node, name, entry)| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.change(node, name, entry))
        });
        read(&world, 0, 2, |changes, found| found == 3 || (changes < 2 && found == 1));
        for writer in writers {
            writer.join().unwrap();
        }
        read(&world, 0, 1, |_, found| found == 3);
    });
}

#[test]
fn a_reader_that_finds_the_mark_of_another_one_relies_on_it() {
    model(3, || {
        let world = World::new();
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || read(&world, 1, 1, |changes, found| found == 3 || (changes == 0 && found == 1)))
        };
        let writer = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.change(0, 0, 3))
        };
        read(&world, 0, 2, |changes, found| found == 3 || (changes == 0 && found == 1));
        other.join().unwrap();
        writer.join().unwrap();
    });
}
