//! [`WeakList`]: a weak, self-cleaning list of live things.
//!
//! Listing never keeps anything alive: the list holds `Weak`s, and each listed thing holds a [`Registration`] whose
//! drop removes it. Insert and remove cost one short lock on a shard of the inserting thread, so that threads which
//! make and drop their own things do not contend.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use slab::Slab;

use crate::sync::local::WORDS;

const SHARDS: usize = 16;
/// A shard that became empty gives its memory back when it had grown beyond this many entries.
const KEEP: usize = 256;

/// The list.
pub(crate) struct WeakList<T: ?Sized> {
    shards: Arc<[Shard<T>; SHARDS]>,
}

type Shard<T> = crossbeam_utils::CachePadded<Mutex<Slab<Weak<T>>>>;

/// An entry of a [`WeakList`]. Dropping it removes the entry.
pub(crate) struct Registration<T: ?Sized> {
    shards: Arc<[Shard<T>; SHARDS]>,
    entry: ListKey,
}

/// An entry of a [`WeakList`], for a caller that keeps the list and removes the entry itself. It counts nothing.
#[derive(Clone, Copy)]
pub(crate) struct ListKey {
    at: u32,
    key: u32,
}

/// The shard of the calling thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    WORDS.with(|words| {
        let shard = words.shard.get().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        words.shard.set(Some(shard));
        shard
    })
}

impl<T: ?Sized> WeakList<T> {
    pub(crate) fn new() -> Self {
        Self { shards: Arc::new(std::array::from_fn(|_| Mutex::new(Slab::new()).into())) }
    }

    pub(crate) fn insert(&self, entry: Weak<T>) -> Registration<T> {
        Registration { shards: Arc::clone(&self.shards), entry: self.list(entry) }
    }

    /// Adds an entry until [`unlist`](Self::unlist).
    pub(crate) fn list(&self, entry: Weak<T>) -> ListKey {
        let at = shard();
        let key = self.shards[at].lock().insert(entry);
        // A shard with 2^32 live entries is 64 GiB of index; memory ends first.
        ListKey { at: at as u32, key: key as u32 }
    }

    pub(crate) fn unlist(&self, entry: ListKey) {
        remove(&self.shards, entry);
    }

    /// Returns all live entries, in no order. The references are made under the shards' locks, and used outside them.
    pub(crate) fn live(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in self.shards.iter() {
            all.extend(shard.lock().iter().filter_map(|(_, entry)| entry.upgrade()));
        }
        all
    }
}

fn remove<T: ?Sized>(shards: &[Shard<T>; SHARDS], ListKey { at, key }: ListKey) {
    let mut shard = shards[at as usize].lock();
    let entry = shard.try_remove(key as usize);
    if shard.is_empty() && shard.capacity() > KEEP {
        *shard = Slab::new();
    }
    drop(shard);
    // Outside the lock: this may be the last reference to the entry's memory.
    drop(entry);
}

impl<T: ?Sized> Drop for Registration<T> {
    fn drop(&mut self) {
        remove(&self.shards, self.entry);
    }
}
