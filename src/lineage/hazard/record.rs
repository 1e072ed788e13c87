//! [`Record`]: the hazard pointers of one thread, and the list of the records in use.
//!
//! A writer looks at the records in use alone, so a removal costs as much after thousands of threads have ended as before
//! the first. The list has a lock, which a thread takes twice in its life, and each removal.
//!
//! # The race to fear
//! A thread takes its first record just after a writer has looked at the list, and reads what the writer frees. The lock
//! excludes it. A writer changes the source of an address first, and takes the lock then. A record that is taken later is taken
//! under the lock, so its thread sees the change.

use std::ptr;

use crate::lineage::hazard::barrier;
use crate::sync::MutexGuard;
use crate::sync::fork;
use crate::sync::os::{AtomicPtr, AtomicUsize, Mutex, Ordering};

/// So many borrows one thread may have inside one another: look-ups that lend, and one for a submit. A deeper one takes a record
/// for itself. With them a record has the size of a cache line.
pub(super) const SLOTS: usize = 7;

/// One thread's hazard pointers. Never freed; a thread that ends leaves its record to the next one.
///
/// On a cache line of its own, which its thread alone writes.
#[repr(align(64))]
pub(crate) struct Record {
    pub(super) slots: [AtomicPtr<()>; SLOTS],
    /// The index of the record in [`Records::in_use`], changed under the lock.
    at: AtomicUsize,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Record>() == 64);

static RECORDS: Mutex<Records> = Mutex::new(Records { in_use: Vec::new(), free: Vec::new() });

/// All records.
pub(super) struct Records {
    in_use: Vec<&'static Record>,
    /// The records of ended threads.
    free: Vec<&'static Record>,
}

/// Takes the record of an ended thread, or makes one.
///
/// In a fork's child the record is in no list, whose lock a thread of the parent may hold for ever. Nothing is freed there.
pub(super) fn take() -> &'static Record {
    if fork::is_fork() {
        return Box::leak(Box::new(Record::new()));
    }
    barrier::prepare();
    let mut records = records();
    let record = records.free.pop().unwrap_or_else(|| Box::leak(Box::new(Record::new())));
    record.at.store(records.in_use.len(), Ordering::Relaxed);
    records.in_use.push(record);
    record
}

/// Locks the records.
pub(super) fn records() -> MutexGuard<'static, Records> {
    RECORDS.lock()
}

impl Records {
    /// Returns whether any thread but the one of `mine` has a record.
    pub(super) fn others_read(&self, mine: Option<&Record>) -> bool {
        self.in_use.iter().any(|record| !mine.is_some_and(|mine| ptr::eq(mine, *record)))
    }

    /// Returns the records of the threads that have one.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &'static Record> {
        self.in_use.iter().copied()
    }
}

impl Record {
    fn new() -> Self {
        let slots = [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS];
        Self { slots, at: AtomicUsize::new(0) }
    }

    /// Leaves the record to another thread. It holds no address any more.
    pub(super) fn give_back(&'static self) {
        if fork::is_fork() {
            return;
        }
        let mut records = records();
        let at = self.at.load(Ordering::Relaxed);
        records.in_use.swap_remove(at);
        if let Some(moved) = records.in_use.get(at) {
            moved.at.store(at, Ordering::Relaxed);
        }
        records.free.push(self);
    }
}
