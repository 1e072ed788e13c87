//! [`Shards`]: a map behind several locks, so that threads with different keys seldom wait for each other.
//!
//! The keys are numbers of this crate or of `std`, never a user's, so that no user code runs under a lock and no
//! attacker chooses their hashes.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use crate::sync::os::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One shard's map.
pub(crate) type Shard<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// The map.
pub(crate) struct Shards<K, V>(Box<[RwLock<Shard<K, V>>]>);

/// A hasher of one number.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: neighbours land far apart, also in the upper bits.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

impl<K: Hash + Eq, V> Shards<K, V> {
    pub(crate) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| RwLock::default()).collect())
    }

    fn shard(&self, key: &K) -> &RwLock<Shard<K, V>> {
        let hash = BuildHasherDefault::<Mix>::default().hash_one(key);
        // The shard's own map takes the lowest and the highest bits.
        &self.0[(hash >> 32) as usize % self.0.len()]
    }

    /// The shard of the key, locked for reading.
    pub(crate) fn read(&self, key: &K) -> RwLockReadGuard<'_, Shard<K, V>> {
        self.shard(key).read()
    }

    /// The shard of the key, locked for writing.
    pub(crate) fn write(&self, key: &K) -> RwLockWriteGuard<'_, Shard<K, V>> {
        self.shard(key).write()
    }

    /// Returns a copy of all values, which one lock after the other gives.
    pub(crate) fn all(&self) -> Vec<V>
    where
        V: Clone,
    {
        let mut all = Vec::new();
        for shard in &self.0 {
            all.extend(shard.read().values().cloned());
        }
        all
    }
}
