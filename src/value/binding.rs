//! [`BoundValue`]: one value at one node, and [`Binding`], what a subscriber is told of it.

use std::fmt;

use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::names::id::NodeId;
use crate::sync::os::{Arc, AtomicU64, Ordering, Weak};
use crate::sync::unwind::swallow_drop;
use crate::sync::weak_list::{Registration, WeakList};
use crate::value::key::Interned;

/// What a node keeps of one value.
///
/// What keeps it alive: its node, until it is unbound, replaced or the node ends; a look-up under way; and a subscriber
/// that has not been told of it yet. The value itself is also held by everyone who got it.
pub(crate) struct BoundValue<K, V: ?Sized> {
    pub(crate) key: Arc<Interned<K>>,
    value: Option<Arc<V>>,
    pub(crate) at: WeakNodeRef,
    at_id: NodeId,
    /// Which of the key's bindings it is; zero while it is not bound. Written under the desk's lock.
    seq: AtomicU64,
    _registration: Registration<BoundValue<K, V>>,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> BoundValue<K, V> {
    pub(crate) fn new(index: &WeakList<Self>, at: &NodeRef, key: Arc<Interned<K>>, value: Arc<V>) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            key,
            value: Some(value),
            at: at.downgrade(),
            at_id: at.node().id(),
            seq: AtomicU64::new(0),
            _registration: index.insert(this.clone()),
        })
    }
}

impl<K, V> BoundValue<K, V> {
    #[inline]
    pub(crate) fn value(&self) -> &Arc<V> {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a binding has its value until it is dropped"),
        }
    }

    /// With the desk's lock held.
    pub(crate) fn set_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    /// With the desk's lock held. Zero: not bound.
    pub(crate) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }
}

impl<K, V: ?Sized> Drop for BoundValue<K, V> {
    fn drop(&mut self) {
        // It may be dropped by whoever looked something else up, where nobody can take a panic.
        swallow_drop(self.value.take());
    }
}

/// One value that was bound, as a [`Subscription`](crate::Subscription) tells it.
///
/// It holds the value, and neither the place nor the binding.
pub struct Binding<V, K = ()> {
    key: Arc<Interned<K>>,
    value: Arc<V>,
    at: WeakNodeRef,
    at_id: NodeId,
}

impl<V, K> Binding<V, K> {
    pub(crate) fn new(binding: &BoundValue<K, V>) -> Self {
        let BoundValue { key, at, at_id, .. } = binding;
        Self { key: Arc::clone(key), value: Arc::clone(binding.value()), at: at.clone(), at_id: *at_id }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// The value, by itself.
    #[must_use]
    pub fn into_value(self) -> Arc<V> {
        self.value
    }

    /// Its key in a [`HeirloomMap`](crate::HeirloomMap). A [`Heirloom`](crate::Heirloom) has one value to a place, so
    /// there it is `()`.
    #[must_use]
    pub fn key(&self) -> &K {
        self.key.key()
    }

    /// Where it was bound; `None` when that place is gone.
    #[must_use]
    pub fn at(&self) -> Option<Lineage> {
        self.at.upgrade().map(Lineage)
    }

    /// The id of the place where it was bound.
    #[must_use]
    pub fn at_id(&self) -> NodeId {
        self.at_id
    }
}

impl<V, K> Clone for Binding<V, K> {
    fn clone(&self) -> Self {
        Self { key: Arc::clone(&self.key), value: Arc::clone(&self.value), at: self.at.clone(), at_id: self.at_id }
    }
}

impl<V: fmt::Debug, K: fmt::Debug> fmt::Debug for Binding<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("key", self.key()).field("value", &self.value).field("at", &self.at_id).finish()
    }
}
