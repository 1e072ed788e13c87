//! [`BoundValue`]: one value at one node; and [`Binding`], its public copy for a subscriber.

use std::fmt;

use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::lineage::slots::Named;
use crate::names::id::NodeId;
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, AtomicU64, Ordering, Weak};
use crate::sync::weak_list::{Registration, WeakList};
use crate::value::contained::Contained;
use crate::value::key::Interned;

/// A node's entry for one value.
///
/// It is kept alive by its node, until it is unbound, replaced or the node ends; by a look-up under way; and by each
/// subscriber that has not read it yet. The value itself is also kept by each caller that got it.
pub(crate) struct BoundValue<K, V> {
    pub(crate) key: Arc<Interned<K>>,
    /// A look-up of another key may drop the entry, and could not take a panic.
    value: Contained<Arc<V>>,
    pub(crate) at: WeakNodeRef,
    at_id: NodeId,
    /// The entry's number among the bindings of its key; zero while it is not bound. Written under the key's lock.
    seq: AtomicU64,
    _registration: Registration<BoundValue<K, V>>,
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> BoundValue<K, V> {
    pub(crate) fn new(index: &WeakList<Self>, at: &NodeRef, key: Arc<Interned<K>>, value: Arc<V>) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            key,
            value: Contained::new(value),
            at: at.downgrade(),
            at_id: at.node().id(),
            seq: AtomicU64::new(0),
            _registration: index.insert(this.clone()),
        })
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Named for BoundValue<K, V> {
    fn namespace(&self) -> &Namespace {
        self.key.slot()
    }
}

impl<K, V> BoundValue<K, V> {
    #[inline]
    pub(crate) fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// With the key's lock held.
    pub(crate) fn set_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    /// With the key's lock held. Zero: not bound.
    pub(crate) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }
}

/// One value that was bound, as a [`Subscription`](crate::Subscription) returns it.
///
/// It keeps the value alive, and neither its node nor the binding.
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

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// Returns the value and drops the rest.
    #[must_use]
    pub fn into_value(self) -> Arc<V> {
        self.value
    }

    /// Returns the value's key in a [`HeirloomMap`](crate::HeirloomMap). It is `()` for a
    /// [`Heirloom`](crate::Heirloom), which has one value at each node.
    #[must_use]
    pub fn key(&self) -> &K {
        self.key.key()
    }

    /// Returns the node at which the value was bound; `None` once that node is dropped.
    #[must_use]
    pub fn at(&self) -> Option<Lineage> {
        self.at.upgrade().map(Lineage)
    }

    /// Returns the id of the node at which the value was bound.
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
