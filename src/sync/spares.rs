//! [`Spares`]: allocations of one type that wait for their next use, a few for the whole process.
//!
//! An object that is idle most of the time returns its memory here and takes it again, instead of keeping it or asking the
//! allocator each time. Each thread has a place of its own, up to a number of threads: take and put cost one atomic
//! operation there. A spare that finds its place taken goes to a list that all threads share, since the thread that puts is
//! not always the thread that takes.

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;
use parking_lot::Mutex;

use crate::sync::weak_list::{SHARDS, shard};

/// The most spares in the shared list.
const MOST: usize = 64;

pub(crate) struct Spares<T> {
    places: [CachePadded<AtomicCell<Option<Box<T>>>>; SHARDS],
    shared: Mutex<Vec<Box<T>>>,
}

impl<T> Spares<T> {
    pub(crate) const fn new() -> Self {
        Self { places: [const { CachePadded::new(AtomicCell::new(None)) }; SHARDS], shared: Mutex::new(Vec::new()) }
    }

    /// Takes a spare, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.places[shard()].take().or_else(|| self.shared.lock().pop())
    }

    /// Puts a spare, or drops one when there are enough.
    #[inline]
    pub(crate) fn put(&self, spare: Box<T>) {
        if let Some(before) = self.places[shard()].swap(Some(spare)) {
            self.share(before);
        }
    }

    #[cold]
    fn share(&self, before: Box<T>) {
        let mut shared = self.shared.lock();
        if shared.len() < MOST {
            shared.push(before);
        }
    }
}
