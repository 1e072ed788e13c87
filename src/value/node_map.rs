//! [`NodeMap`]: the entries of one map at one node, by the number of the key.
//!
//! Its locks are held for as long as an entry is copied or exchanged. A removed entry goes to the caller, so that no
//! user code runs under them.

use crate::lineage::slots::{Named, SlotValue};
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;
use crate::sync::shards::Shards;

/// A node's slot value for a map: entries as a [`Heirloom`](crate::Heirloom) has one at a node.
pub(super) struct NodeMap {
    slot: Namespace,
    entries: Shards<u64, Arc<SlotValue>>,
}

impl Named for NodeMap {
    fn namespace(&self) -> &Namespace {
        &self.slot
    }
}

impl NodeMap {
    pub(super) fn make(slot: &Namespace) -> Arc<SlotValue> {
        Arc::new(Self { slot: slot.clone(), entries: Shards::new(4) })
    }

    /// Looks at the entry of one key. `f` runs no user code.
    pub(super) fn get<R>(
        slot_value: &Arc<SlotValue>,
        number: u64,
        f: impl FnOnce(&Arc<SlotValue>) -> Option<R>,
    ) -> Option<R> {
        f(slot_value.downcast_ref::<Self>()?.entries.read(&number).get(&number)?)
    }

    /// Changes the entry of one key, and returns the one before.
    pub(super) fn put(
        slot_value: &Arc<SlotValue>,
        number: u64,
        entry: Option<Arc<SlotValue>>,
    ) -> Option<Arc<SlotValue>> {
        let map = &slot_value.downcast_ref::<Self>()?.entries;
        match entry {
            Some(entry) => map.write(&number).insert(number, entry),
            None => map.write(&number).remove(&number),
        }
    }

    /// Returns the entries of all keys.
    pub(super) fn all(slot_value: &Arc<SlotValue>) -> Vec<Arc<SlotValue>> {
        let map = slot_value.downcast_ref::<Self>();
        map.map_or_else(Vec::new, |map| map.entries.all())
    }
}
