//! [`BindingSlot`]: one key at one node, and each change of the value there.

use smallvec::SmallVec;

use crate::error::value::{BindError, InitError};
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeKind, NodeRef};
use crate::lineage::slots::{Named, Removed, SlotValue};
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;
use crate::value::binding::BoundValue;
use crate::value::bindings::{BindingState, Bindings, Outcome};
use crate::value::contained::Contained;
use crate::value::flight::Slot;
use crate::value::key::Interned;
use crate::value::node_map::NodeMap;

/// One key at one node. A method that takes [`DeferredDrops`] is called with the key's lock held.
pub(super) struct BindingSlot<'a, K, V> {
    pub(super) bindings: &'a Bindings<K, V>,
    pub(super) node: NodeRef,
    pub(super) key: Arc<Interned<K>>,
}

/// How a value is bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BindMode {
    /// An earlier value of the node is replaced.
    Replacing,
    /// An earlier value of the node is an error.
    Unique,
}

/// A new binding: whether the subscribers are to be woken, and the binding that it replaced.
type Stored<K, V> = (bool, Option<Arc<BoundValue<K, V>>>);

/// A node's entry that remembers a failure, and keeps its key in use.
struct Failure<K> {
    error: Contained<InitError>,
    key: Arc<Interned<K>>,
}

impl<K: Send + Sync + 'static> Named for Failure<K> {
    fn namespace(&self) -> &Namespace {
        self.key.slot()
    }
}

/// Values read or removed under the key's lock. Dropped after it: the last reference may run user code.
#[derive(Default)]
pub(super) struct DeferredDrops {
    entries: SmallVec<[Arc<SlotValue>; 4]>,
    removed: SmallVec<[Removed; 2]>,
}

impl DeferredDrops {
    fn keep(&mut self, entry: Arc<SlotValue>) -> Arc<SlotValue> {
        self.entries.push(Arc::clone(&entry));
        entry
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> BindingSlot<'_, K, V> {
    pub(super) fn id(&self) -> Slot {
        (self.node().id(), self.key.number())
    }

    pub(super) fn node(&self) -> &Node {
        self.node.node()
    }

    /// The error of an initialiser's call where the node has ended, or is cancelled.
    #[cold]
    pub(super) fn owner_gone(&self) -> InitError {
        InitError::OwnerGone { key: self.bindings.name, cause: self.node().end_cause() }
    }

    fn words(&self) -> String {
        Lineage(self.node.clone()).to_string()
    }

    fn slot_value(&self, drops: &mut DeferredDrops) -> Option<Arc<SlotValue>> {
        self.node().values.find_counted(&self.bindings.number).map(|slot_value| drops.keep(slot_value))
    }

    /// Returns the entry at this very node: a [`BoundValue`] or a [`Failure`].
    fn entry(&self, drops: &mut DeferredDrops) -> Option<Arc<SlotValue>> {
        let found = self.slot_value(drops)?;
        if !self.bindings.mapped {
            return Some(found);
        }
        NodeMap::get(&found, self.key.number(), |entry| Some(drops.keep(Arc::clone(entry))))
    }

    /// Returns the binding at this very node.
    pub(super) fn own(&self, drops: &mut DeferredDrops) -> Option<Arc<BoundValue<K, V>>> {
        self.entry(drops)?.downcast()
    }

    /// Returns the failure that this very node remembers.
    pub(super) fn failure(&self, drops: &mut DeferredDrops) -> Option<InitError> {
        Some(InitError::clone(&self.entry(drops)?.downcast_ref::<Failure<K>>()?.error))
    }

    /// Changes the entry at this very node, and returns the binding before.
    fn put(&self, entry: Option<Arc<SlotValue>>, drops: &mut DeferredDrops) -> Option<Arc<BoundValue<K, V>>> {
        let Bindings { number, mapped, .. } = self.bindings;
        let values = &self.node().values;
        let before = if *mapped {
            let map = match entry {
                Some(_) => drops.keep(values.find_or_insert(number, || NodeMap::make(number))),
                None => self.slot_value(drops)?,
            };
            NodeMap::put(&map, self.key.number(), entry)?
        } else {
            let (before, removed) = values.exchange(number, entry)?;
            drops.removed.extend(removed);
            before
        };
        drops.keep(before).downcast()
    }

    /// Binds, and returns the binding before.
    fn store(
        &self,
        state: &mut BindingState<K, V>,
        binding: &Arc<BoundValue<K, V>>,
        announce: bool,
        drops: &mut DeferredDrops,
    ) -> Result<Stored<K, V>, BindError> {
        if state.sealed && announce {
            return Err(BindError::Sealed { key: self.bindings.name });
        }
        let gone = || {
            let cause = self.node().end_cause();
            BindError::OwnerGone { key: self.bindings.name, place: self.words(), cause }
        };
        if self.node().is_over() {
            return Err(gone());
        }
        let before = self.put(Some(Arc::clone(binding) as _), drops);
        // Checked again after the binding: invariant 3 of `bindings`.
        if self.node().is_over() {
            // An ended thread or task keeps its values for the nodes below; a scope has dropped them.
            let back = before.filter(|_| self.node().kind() != NodeKind::Scope);
            self.put(back.map(|before| before as _), drops);
            return Err(gone());
        }
        if let Some(before) = &before {
            before.set_seq(0);
        }
        Ok((state.bound(binding, announce), before))
    }

    /// Makes a binding that no node has yet.
    pub(super) fn binding(&self, value: Arc<V>) -> Arc<BoundValue<K, V>> {
        BoundValue::new(&self.bindings.index, &self.node, Arc::clone(&self.key), value)
    }

    /// Binds a value, and returns the one before. A flight that is under way here lands with the value.
    pub(super) fn bind(&self, value: Arc<V>, mode: BindMode) -> Result<Option<Arc<V>>, BindError> {
        let mut drops = DeferredDrops::default();
        let binding = self.binding(Arc::clone(&value));
        let bound = self.bindings.flights.publish(self.id(), |state| {
            // The seal comes first: a unique binding that meets both is refused for the seal.
            if mode == BindMode::Unique && !state.sealed && self.own(&mut drops).is_some() {
                return (None, Err(BindError::AlreadyBound { key: self.bindings.name, place: self.words() }));
            }
            let stored = self.store(state, &binding, true, &mut drops);
            (stored.is_ok().then(|| Ok(Arc::clone(&value))), stored)
        });
        let (announced, before) = bound?;
        self.announced(announced);
        Ok(before.map(|before| Arc::clone(before.value())))
    }

    /// Wakes the subscribers, outside the lock.
    pub(super) fn announced(&self, announced: bool) {
        if announced {
            self.bindings.subscribers.wake_all();
        }
    }

    /// Removes the binding of this very node.
    pub(super) fn unbind(&self) -> Option<Arc<V>> {
        let mut drops = DeferredDrops::default();
        let before = self.bindings.flights.kept(|_| {
            self.own(&mut drops)?;
            let before = self.put(None, &mut drops)?;
            before.set_seq(0);
            Some(before)
        })?;
        Some(Arc::clone(before.value()))
    }

    /// Binds an initialiser's value as its flight lands. True when the subscribers are to be woken.
    pub(super) fn complete(
        &self,
        state: &mut BindingState<K, V>,
        binding: &Arc<BoundValue<K, V>>,
        announce: bool,
        drops: &mut DeferredDrops,
    ) -> (Outcome<V>, bool) {
        match self.store(state, binding, announce, drops) {
            Ok((announced, _)) => (Ok(Arc::clone(binding.value())), announced),
            Err(BindError::Sealed { key }) => (Err(InitError::Sealed { key }), false),
            Err(_) => (Err(self.owner_gone()), false),
        }
    }

    /// Remembers a failure at the node, as its flight lands.
    pub(super) fn fail(&self, error: &InitError, drops: &mut DeferredDrops) {
        // A look-up of a `Heirloom` expects a binding, unchecked.
        assert!(self.bindings.mapped, "only a map remembers failures");
        if !self.node().is_over() {
            let failure = Failure { error: Contained::new(error.clone()), key: Arc::clone(&self.key) };
            self.put(Some(Arc::new(failure)), drops);
            if self.node().is_over() {
                self.put(None, drops);
            }
        }
    }

    /// Forgets a remembered failure. True when there was one.
    pub(super) fn forget(&self) -> bool {
        let mut drops = DeferredDrops::default();
        let forgotten = self.bindings.flights.kept(|_| {
            self.failure(&mut drops)?;
            Some(self.put(None, &mut drops))
        });
        forgotten.is_some()
    }
}

/// Takes every value of a key out of the tree: the key is dropped, so no code can find one any more.
pub(super) fn give_up<K: Send + Sync + 'static, V: Send + Sync + 'static>(bindings: &Bindings<K, V>) {
    bindings.seal();
    for binding in bindings.index.live() {
        if let Some(node) = binding.at.upgrade() {
            drop(BindingSlot { bindings, node, key: Arc::clone(&binding.key) }.unbind());
        }
    }
}
