//! [`Hazards`]: the hazard pointers of one thread, as its locals know them.

use std::cell::Cell;

use crate::lineage::hazard::record::{Record, SLOTS};
use crate::sync::os::AtomicPtr;

/// The hazard pointers of one thread. It has no destructor: see [`super::give_back`].
pub(crate) struct Hazards {
    /// The record's slots, for as long as the thread has a record.
    pub(super) slots: [Cell<Option<&'static AtomicPtr<()>>>; SLOTS],
    /// From the thread's first look-up until its locals are destroyed.
    pub(super) record: Cell<Option<&'static Record>>,
    /// Counts the hazard pointers that live.
    pub(super) held: Cell<usize>,
    /// The bits of the addresses that walks have published and left again, since the last hazard pointer of the thread was
    /// dropped: a writer may have seen any of them.
    pub(super) left: Cell<u32>,
}

impl Hazards {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [const { Cell::new(None) }; SLOTS],
            record: Cell::new(None),
            held: Cell::new(0),
            left: Cell::new(0),
        }
    }

    pub(super) fn set_record(&self, record: Option<&'static Record>) {
        self.record.set(record);
        for (at, slot) in self.slots.iter().enumerate() {
            slot.set(record.map(|record| &record.slots[at]));
        }
    }
}
