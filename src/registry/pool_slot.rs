//! [`PoolSlot`]: the pool of a manager's last start, which submitters borrow without a count.
//!
//! The slot is read by each submit and written by each start. A reader protects the pool by a hazard pointer, as look-ups
//! protect what they find, so a submit makes no atomic read-modify-write for it. A start that puts a new pool in the place of
//! an ended one retires the latter: see [`crate::lineage::hazard`] for the proof.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use crate::lineage::hazard::{self, Held};
use crate::lineage::lookup;
use crate::pool::core::pool::Pool;
use crate::sync::os::{Arc, AtomicPtr, Ordering};

/// The pool of a manager's last start. Null before the first.
///
/// The word is the address of an `Arc`, as `Arc::into_raw` returns it, and owns that one's count.
pub(super) struct PoolSlot(AtomicPtr<Pool>);

/// A pool that is lent to one thread, without a count. Lives no longer than its slot; dropped in the reverse order of making.
pub(super) struct LentPool<'a> {
    pool: Option<ManuallyDrop<Arc<Pool>>>,
    #[allow(dead_code, reason = "held for its drop")]
    held: Held,
    /// The hazard pointer is one of this thread's.
    _slot: PhantomData<(&'a PoolSlot, *const ())>,
}

impl PoolSlot {
    pub(super) fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Lends the pool.
    #[inline]
    pub(super) fn load(&self) -> LentPool<'_> {
        let held = lookup::hold();
        let pool = held.protect(&self.0);
        // SAFETY: the address came from `Arc::into_raw`, by `replace`. The slot owned its count when `protect` confirmed the
        // address. Two things give the count up: `replace`, which retires it, so that it lasts until `held` is dropped; and the
        // drop of the slot, which the borrow of the slot excludes. The extra `Arc` is never dropped.
        let pool = (!pool.is_null()).then(|| ManuallyDrop::new(unsafe { Arc::from_raw(pool) }));
        LentPool { pool, held, _slot: PhantomData }
    }

    /// Puts a pool in the place of the one that was lent. Returns false when another start was first.
    pub(super) fn replace(&self, known: LentPool<'_>, pool: Arc<Pool>) -> bool {
        let before = known.get().map_or(ptr::null(), Arc::as_ptr).cast_mut();
        let new = Arc::into_raw(pool).cast_mut();
        // Release: a reader that acquires the address sees the pool as its start made it; pairs with `Held::protect`. The pool
        // that was lent is alive, so its address stands for no other.
        if self.0.compare_exchange(before, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: the count of `into_raw` above, which the slot has not taken.
            drop(unsafe { Arc::from_raw(new) });
            return false;
        }
        // Before the scan for hazard pointers, which this one would hold up.
        drop(known);
        if !before.is_null() {
            // SAFETY: the count that the slot owned until this exchange. No reader finds the address from now on, and `retire_counted`
            // keeps the count until no hazard pointer holds the address.
            hazard::retire_counted(unsafe { Arc::from_raw(before) });
        }
        true
    }
}

impl LentPool<'_> {
    #[inline]
    pub(super) fn get(&self) -> Option<&Arc<Pool>> {
        self.pool.as_deref()
    }
}

impl Drop for PoolSlot {
    fn drop(&mut self) {
        let pool = *self.0.get_mut();
        if !pool.is_null() {
            // SAFETY: the slot owns the count, and no reader borrows the slot any more.
            drop(unsafe { Arc::from_raw(pool) });
        }
    }
}
