//! [`Record`]: the hazard pointers of one thread, in a list of all threads' records.

use std::iter;
use std::ptr;

use crate::lineage::hazard::barrier;
use crate::sync::os::{AtomicBool, AtomicPtr, Ordering, fence};

/// So many borrows one thread may have inside one another. A deeper one counts.
const SLOTS: usize = 4;

/// One thread's hazard pointers. Never freed; a thread that ends leaves its record to the next one.
pub(crate) struct Record {
    pub(super) slots: [AtomicPtr<()>; SLOTS],
    taken: AtomicBool,
    next: Option<&'static Record>,
    pub(super) lopsided: bool,
}

/// Null, or the newest record, which is leaked.
static NEWEST: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());

/// Returns the records of all threads, those of ended threads included.
pub(super) fn all() -> impl Iterator<Item = &'static Record> {
    // SAFETY: the pointer is null or that of a leaked record, which `publish` completed before. Sequentially
    // consistent: acquires the record; the order with the fences is that of `others_read`.
    let newest = unsafe { NEWEST.load(Ordering::SeqCst).as_ref() };
    iter::successors(newest, |record| record.next)
}

/// Takes the record of an ended thread, or makes one.
pub(super) fn take() -> &'static Record {
    let free = all().find(|record| !record.taken.swap(true, Ordering::SeqCst));
    let record = free.unwrap_or_else(publish);
    // Taken first, then used: pairs with the fence in `others_read`.
    fence(Ordering::SeqCst);
    record
}

fn publish() -> &'static Record {
    let record = Box::leak(Box::new(Record {
        slots: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS],
        taken: AtomicBool::new(true),
        next: None,
        lopsided: barrier::lopsided(),
    }));
    loop {
        record.next = all().next();
        let newest = record.next.map_or(ptr::null_mut(), |next| ptr::from_ref(next).cast_mut());
        if NEWEST.compare_exchange_weak(newest, record, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            return record;
        }
    }
}

/// Returns whether any thread but the one of `mine` has a record.
///
/// A thread that takes its first record after this check finds the writer's changes: the fences here and in `take`
/// order them.
pub(super) fn others_read(mine: Option<&Record>) -> bool {
    fence(Ordering::SeqCst);
    let is_mine = |record: &Record| mine.is_some_and(|mine| ptr::eq(mine, record));
    all().any(|record| !is_mine(record) && record.taken.load(Ordering::SeqCst))
}

impl Record {
    /// Leaves the record to another thread.
    pub(super) fn give_back(&self) {
        // Release: the thread's uses of the slots come before those of the next one; pairs with the swap in `take`.
        self.taken.store(false, Ordering::Release);
    }
}
