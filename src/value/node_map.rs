//! The shelf: what a node keeps of a map, by the number of the key.
//!
//! The map's locks are held for as long as an entry is copied or exchanged. What is taken out goes to the caller, so
//! that no user code runs under them.

use dashmap::DashMap;

use crate::error::value::InitError;
use crate::lineage::slots::SlotValue;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow_drop;
use crate::value::binding::BoundValue;
use crate::value::key::Interned;

/// What is kept under one key.
pub(crate) enum Entry<K, V> {
    Bound(Arc<BoundValue<K, V>>),
    Failed(Failure<K>),
}

/// A failure that is remembered.
pub(crate) struct Failure<K> {
    error: Option<InitError>,
    _keeps: Arc<Interned<K>>,
}

impl<K> Failure<K> {
    pub(crate) fn new(error: InitError, keeps: Arc<Interned<K>>) -> Self {
        Self { error: Some(error), _keeps: keeps }
    }
}

impl<K> Drop for Failure<K> {
    fn drop(&mut self) {
        // As a value: its place may end on a thread where nobody can take a panic.
        swallow_drop(self.error.take());
    }
}

impl<K, V> Entry<K, V> {
    pub(crate) fn binding(&self) -> Option<&Arc<BoundValue<K, V>>> {
        match self {
            Self::Bound(binding) => Some(binding),
            Self::Failed(_) => None,
        }
    }
}

struct NodeMap<K, V>(DashMap<u64, Entry<K, V>>);

pub(crate) fn new<K: Send + Sync + 'static, V: Send + Sync + 'static>() -> Arc<SlotValue> {
    Arc::new(NodeMap::<K, V>(DashMap::with_shard_amount(4)))
}

fn map<K: 'static, V: 'static>(slot_value: &Arc<SlotValue>) -> Option<&DashMap<u64, Entry<K, V>>> {
    slot_value.downcast_ref::<NodeMap<K, V>>().map(|map| &map.0)
}

pub(crate) fn binding<K: 'static, V: 'static>(
    slot_value: &Arc<SlotValue>,
    number: u64,
) -> Option<Arc<BoundValue<K, V>>> {
    map(slot_value)?.get(&number)?.binding().cloned()
}

pub(crate) fn failure<K: 'static, V: 'static>(slot_value: &Arc<SlotValue>, number: u64) -> Option<InitError> {
    match &*map::<K, V>(slot_value)?.get(&number)? {
        Entry::Failed(failure) => failure.error.clone(),
        Entry::Bound(_) => None,
    }
}

pub(crate) fn put<K: 'static, V: 'static>(
    slot_value: &Arc<SlotValue>,
    number: u64,
    entry: Option<Entry<K, V>>,
) -> Option<Entry<K, V>> {
    let map = map(slot_value)?;
    match entry {
        Some(entry) => map.insert(number, entry),
        None => map.remove(&number).map(|(_, entry)| entry),
    }
}

/// Everything bound here.
pub(crate) fn all<K: 'static, V: 'static>(slot_value: &Arc<SlotValue>) -> Vec<Arc<BoundValue<K, V>>> {
    let Some(map) = map::<K, V>(slot_value) else { return Vec::new() };
    map.iter().filter_map(|entry| entry.binding().cloned()).collect()
}
