//! [`Deadlines`]: the deadlines that are set, by the node or the task that each belongs to.
//!
//! A node has no field for a deadline: few nodes have one. The node's state has a flag instead, and so has a task's, and
//! this table has the rest. So code without deadlines pays one load, of the number of entries.
//!
//! # The life of an entry
//! ```text
//!   (none) --set--> SET --fire--> FIRED
//!      ^             | ^ \          |
//!      |             | +-set        | a further set is ignored: the request stands
//!      +--end/forget-+--------------+-- forget, acknowledge
//! ```
//!
//! # The races to fear
//! * **A deadline fires while another one is set.** The alarm reads the entry again, under the lock: one that was moved
//!   later is not due, and its own alarm comes. The alarm is armed under the lock, so it finds the entry.
//! * **A deadline is set while the node ends.** Both change one word, the owner's state: `note` sets the flag unless the
//!   owner has ended, and the end reads the flag. So either `set` removes the entry again, or the end does.
//! * **A deadline fires while the node ends.** One lock decides. An alarm that finds its entry cancels a node that has just
//!   ended, which does nothing.
//!
//! Timer handles are dropped outside the lock. The lock is taken before the timer's.

use std::collections::HashMap;
use std::collections::hash_map;
use std::time::Instant;

use crate::names::id::{NodeId, TaskId};
use crate::sync::fork;
use crate::sync::os::{AtomicUsize, LazyLock, Mutex, Ordering};
use crate::timer::Deadline;

/// A table that became empty gives its memory back when it had room for more than this many entries.
const KEEP: usize = 256;

/// The owner of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Node(NodeId),
    Task(TaskId),
}

pub(crate) struct Deadlines {
    entries: Mutex<HashMap<Owner, Entry>>,
    /// The number of entries, read without the lock.
    count: AtomicUsize,
}

struct Entry {
    at: Instant,
    fired: bool,
    timer: Option<Deadline>,
}

/// Returns the process's table.
pub(crate) fn deadlines() -> &'static Deadlines {
    static DEADLINES: LazyLock<Deadlines> = LazyLock::new(Deadlines::new);
    &DEADLINES
}

impl Deadlines {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()), count: AtomicUsize::new(0) }
    }

    /// Returns whether any deadline is set. Costs one load.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Sets the owner's deadline, or moves it. One that has fired stays.
    ///
    /// `arm` arms the timer. `note` sets the owner's flag, and returns false when the owner has ended.
    pub(crate) fn set(
        &self,
        owner: Owner,
        at: Instant,
        arm: impl FnOnce() -> Option<Deadline>,
        note: impl FnOnce() -> bool,
    ) {
        let before = {
            let mut entries = self.entries.lock();
            if entries.get(&owner).is_some_and(|entry| entry.fired) {
                return;
            }
            let timer = arm();
            self.insert(&mut entries, owner, Entry { at, fired: false, timer }, note)
        };
        drop(before);
    }

    /// Sets a deadline that has passed. Returns false when the owner has ended, or its deadline has fired before: the
    /// caller has nothing to cancel.
    pub(crate) fn expire(&self, owner: Owner, at: Instant, note: impl FnOnce() -> bool) -> bool {
        let (before, is_new) = {
            let mut entries = self.entries.lock();
            if entries.get(&owner).is_some_and(|entry| entry.fired) {
                return false;
            }
            let before = self.insert(&mut entries, owner, Entry { at, fired: true, timer: None }, note);
            (before, entries.contains_key(&owner))
        };
        drop(before);
        is_new
    }

    /// Returns the entry to be dropped outside the lock.
    fn insert(
        &self,
        entries: &mut HashMap<Owner, Entry>,
        owner: Owner,
        entry: Entry,
        note: impl FnOnce() -> bool,
    ) -> [Option<Entry>; 2] {
        let before = entries.insert(owner, entry);
        if before.is_none() {
            // Counted before the flag is set, so that code which knows of the deadline finds the count.
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        [before, if note() { None } else { self.remove(entries, owner) }]
    }

    fn remove(&self, entries: &mut HashMap<Owner, Entry>, owner: Owner) -> Option<Entry> {
        let entry = entries.remove(&owner)?;
        self.count.fetch_sub(1, Ordering::SeqCst);
        if entries.is_empty() && entries.capacity() > KEEP {
            *entries = HashMap::new();
        }
        Some(entry)
    }

    /// Removes the deadline of a node that has ended, unless it has fired: code that still stands there has no time left.
    pub(crate) fn end(&self, owner: Owner) {
        if fork::is_fork() {
            return;
        }
        let mut entries = self.entries.lock();
        let fired = entries.get(&owner).is_none_or(|entry| entry.fired);
        let entry = if fired { None } else { self.remove(&mut entries, owner) };
        drop(entries);
        drop(entry);
    }

    /// Removes the deadline of an owner that is gone.
    pub(crate) fn forget(&self, owner: Owner) {
        // In a fork's child another thread of the parent may hold the lock for ever.
        if fork::is_fork() {
            return;
        }
        let entry = self.remove(&mut self.entries.lock(), owner);
        drop(entry);
    }

    /// Fires the deadline. Returns false when there is none that is due, or it has fired: the alarm is out of date.
    pub(crate) fn fire(&self, owner: Owner, now: Instant) -> bool {
        let timer = match self.entries.lock().entry(owner) {
            hash_map::Entry::Occupied(mut entry) if !entry.get().fired && entry.get().at <= now => {
                let entry = entry.get_mut();
                entry.fired = true;
                entry.timer.take()
            }
            _ => return false,
        };
        drop(timer);
        true
    }

    /// Removes a deadline that has fired, since its owner has acknowledged the request.
    pub(crate) fn acknowledge(&self, owner: Owner) {
        if !self.any() || fork::is_fork() {
            return;
        }
        let mut entries = self.entries.lock();
        if entries.get(&owner).is_some_and(|entry| entry.fired) {
            // It has no timer any more, so its drop does nothing.
            let _ = self.remove(&mut entries, owner);
        }
    }

    /// Returns the owner's deadline.
    pub(crate) fn get(&self, owner: Owner) -> Option<Instant> {
        if !self.any() || fork::is_fork() {
            return None;
        }
        self.entries.lock().get(&owner).map(|entry| entry.at)
    }
}

/// Returns the earlier of two deadlines.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
