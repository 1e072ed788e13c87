//! [`Interned`]: a user's key with a number, so that no `Eq` or `Hash` of the user's runs under a lock.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::ptr;

use smallvec::SmallVec;

use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, AtomicU64, Ordering, Weak};
use crate::sync::shards::Shards;
use crate::value::contained::Contained;

/// Returns a number that no other key of this process has. Never zero.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A key of a map, with the number that its values are kept under. While it is alive, an equal key is the same one.
pub(crate) struct Interned<K> {
    /// The slot of the key's values at each node: that of the `Heirloom`, or of the map.
    slot: Namespace,
    number: u64,
    hash: u64,
    key: Contained<K>,
    /// The key takes itself off; empty for the one key of a `Heirloom`.
    table: Weak<Buckets<K>>,
}

impl<K> Interned<K> {
    /// A key that is in no table.
    pub(crate) fn alone(slot: Namespace, key: K) -> Arc<Self> {
        Arc::new(Self { slot, number: 0, hash: 0, key: Contained::new(key), table: Weak::new() })
    }

    pub(crate) fn slot(&self) -> &Namespace {
        &self.slot
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K> Drop for Interned<K> {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            let this = ptr::from_ref(self);
            // The strong counts' common weak count keeps this key's memory until this returns, so `retain` frees none.
            let mut shard = table.write(&self.hash);
            if let Some(bucket) = shard.get_mut(&self.hash) {
                bucket.retain(|weak| !ptr::eq(weak.as_ptr(), this));
                if bucket.is_empty() {
                    shard.remove(&self.hash);
                }
            }
        }
    }
}

/// Keys by their hash.
type Buckets<K> = Shards<u64, Bucket<K>>;
type Bucket<K> = SmallVec<[Weak<Interned<K>>; 1]>;

/// The keys of one map that are in use. Weak: a key lives as long as a value or a failure is kept under it.
pub(crate) struct Table<K> {
    slot: Namespace,
    hasher: RandomState,
    buckets: Arc<Buckets<K>>,
}

impl<K: Hash + Eq> Table<K> {
    pub(crate) fn new(slot: Namespace) -> Self {
        Self { slot, hasher: RandomState::new(), buckets: Arc::new(Shards::new(8)) }
    }

    /// Returns the key, if a node keeps something under it.
    pub(crate) fn find(&self, key: &K) -> Option<Arc<Interned<K>>> {
        let same_hash = self.alive(self.hasher.hash_one(key));
        // Compared outside the lock.
        same_hash.into_iter().find(|one| one.key() == key)
    }

    pub(crate) fn intern(&self, key: K) -> Arc<Interned<K>> {
        let hash = self.hasher.hash_one(&key);
        let table = Arc::downgrade(&self.buckets);
        let new = Arc::new(Interned {
            slot: self.slot.clone(),
            number: next_number(),
            hash,
            key: Contained::new(key),
            table,
        });
        loop {
            let same_hash = self.alive(hash);
            if let Some(found) = same_hash.iter().find(|one| one.key() == new.key()) {
                return Arc::clone(found);
            }
            let mut shard = self.buckets.write(&hash);
            let bucket = shard.entry(hash).or_default();
            let compared =
                |weak: &Weak<Interned<K>>| same_hash.iter().any(|one| ptr::eq(Arc::as_ptr(one), weak.as_ptr()));
            // A key that came meanwhile may be equal. A key that ends takes itself off.
            if bucket.iter().all(|weak| weak.strong_count() == 0 || compared(weak)) {
                bucket.push(Arc::downgrade(&new));
                return Arc::clone(&new);
            }
        }
    }

    /// Returns the keys of this hash. Upgraded under the lock, used and dropped outside of it.
    fn alive(&self, hash: u64) -> SmallVec<[Arc<Interned<K>>; 1]> {
        let shard = self.buckets.read(&hash);
        shard.get(&hash).map(|bucket| bucket.iter().filter_map(Weak::upgrade).collect()).unwrap_or_default()
    }
}
