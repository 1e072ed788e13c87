//! [`NodeMap`]: the entries of one map at one node, by the number of the key.
//!
//! Its locks are held for as long as an entry is copied or exchanged. A removed entry goes to the caller, so that no
//! user code runs under them.

use crate::lineage::slots::SlotValue;
use crate::sync::os::Arc;
use crate::sync::shards::Shards;

/// A node's slot value for a map: entries as a [`Heirloom`](crate::Heirloom) has one at a node.
pub(super) struct NodeMap(Shards<u64, Arc<SlotValue>>);

impl NodeMap {
    pub(super) fn make() -> Arc<SlotValue> {
        Arc::new(Self(Shards::new(4)))
    }

    /// Looks at the entry of one key. `f` runs no user code.
    pub(super) fn get<R>(
        slot_value: &Arc<SlotValue>,
        number: u64,
        f: impl FnOnce(&Arc<SlotValue>) -> Option<R>,
    ) -> Option<R> {
        f(slot_value.downcast_ref::<Self>()?.0.read(&number).get(&number)?)
    }

    /// Changes the entry of one key, and returns the one before.
    pub(super) fn put(
        slot_value: &Arc<SlotValue>,
        number: u64,
        entry: Option<Arc<SlotValue>>,
    ) -> Option<Arc<SlotValue>> {
        let map = &slot_value.downcast_ref::<Self>()?.0;
        match entry {
            Some(entry) => map.write(&number).insert(number, entry),
            None => map.write(&number).remove(&number),
        }
    }

    /// Returns the entries of all keys.
    pub(super) fn all(slot_value: &Arc<SlotValue>) -> Vec<Arc<SlotValue>> {
        let map = slot_value.downcast_ref::<Self>();
        map.map_or_else(Vec::new, |map| map.0.all())
    }
}
