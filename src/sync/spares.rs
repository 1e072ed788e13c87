//! [`Spares`]: allocations of one type that wait for their next use, a few for the whole process.
//!
//! An object that is idle most of the time returns its memory here and takes it again, instead of keeping it or asking the
//! allocator each time. The object's address chooses a place, so the object finds its own spare again, whichever threads put
//! and take it, at the cost of one atomic operation. Objects that share a place pass on what they find there, or allocate.

use std::ptr;

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

/// So many spares wait at most.
const PLACES: usize = 64;

pub(crate) struct Spares<T>([CachePadded<AtomicCell<Option<Box<T>>>>; PLACES]);

/// The place of an object's spare.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place(usize);

impl Place {
    #[inline]
    pub(crate) fn of<O>(object: &O) -> Self {
        // 2^64 divided by the golden ratio: the upper half of the product depends on all bits.
        let product = (ptr::from_ref(object).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self((product >> 32) as usize % PLACES)
    }
}

impl<T> Spares<T> {
    pub(crate) const fn new() -> Self {
        Self([const { CachePadded::new(AtomicCell::new(None)) }; PLACES])
    }

    /// Takes the spare of a place, if there is one.
    #[inline]
    pub(crate) fn take(&self, place: Place) -> Option<Box<T>> {
        self.0[place.0].take()
    }

    /// Puts a spare. Drops the one that was there.
    #[inline]
    pub(crate) fn put(&self, place: Place, spare: Box<T>) {
        drop(self.0[place.0].swap(Some(spare)));
    }
}
