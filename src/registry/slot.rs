//! The managers in the slots of a node. No other file puts managers there or lends them.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup::{self, InVain, SlotKind};
use crate::lineage::node::Node;
use crate::lineage::slots::{Shown, SlotValue, Slots};
use crate::names::namespace::{Namespace, Sought};
use crate::registry::manager::{Inner, PoolManager};
use crate::sync::os::Arc;

/// Selects a node's slot map of managers.
struct Managers;

impl SlotKind for Managers {
    const KIND: u64 = 0;

    #[inline]
    fn of(node: &Node) -> &Slots {
        &node.managers
    }
}

/// A handle that is lent without counting it.
struct Lent<'a> {
    manager: ManuallyDrop<PoolManager>,
    _borrow: Shown<'a>,
}

impl<'a> Lent<'a> {
    /// `shown` is from a slot map of managers.
    #[inline]
    fn of(shown: Shown<'a>) -> Self {
        // SAFETY: the value is that of an `Arc<Inner>`, which was made a trait object. All callers are in this file and pass
        // values of `Node::managers`. Values get there by `link`, `put` and `find_or_put` alone, below, and each of them puts in
        // `to_slot`'s result. (The other uses of the field, in the ends of a scope and of a worker, take values out.) The extra
        // handle is never dropped and lives no longer than the loan of the value, whose slot counts the manager meanwhile.
        let inner = unsafe { Arc::from_raw(shown.as_ptr::<Inner>()) };
        Lent { manager: ManuallyDrop::new(PoolManager::from_inner(inner)), _borrow: shown }
    }
}

impl Deref for Lent<'_> {
    type Target = PoolManager;

    #[inline]
    fn deref(&self) -> &PoolManager {
        &self.manager
    }
}

impl PoolManager {
    fn to_slot(&self) -> Arc<SlotValue> {
        Arc::clone(&self.inner) as _
    }

    pub(super) fn from_slot(slot_value: Arc<SlotValue>) -> Option<Self> {
        slot_value.downcast::<Inner>().map(Self::from_inner)
    }
}

/// Lends the nearest manager of this name, at the node or above it, to `f`.
#[inline]
pub(super) fn lend<R>(
    node: &Node,
    sought: Sought<'_>,
    in_vain: InVain,
    f: impl FnOnce(&PoolManager) -> R,
) -> Option<R> {
    lookup::lend::<Managers, R>(node, sought, in_vain, |shown| f(&Lent::of(shown)))
}

/// [`lend`] from the current node.
#[inline]
pub(super) fn lend_here<R>(sought: Sought<'_>, in_vain: InVain, f: impl FnOnce(&PoolManager) -> R) -> Option<R> {
    lookup::lend_here::<Managers, R>(sought, in_vain, |shown| f(&Lent::of(shown)))
}

/// The nearest manager of this name that runs, at the node or above it.
#[inline]
pub(super) fn nearest_running(node: &Node, ns: &Namespace) -> Option<PoolManager> {
    // The nearest one mostly runs, and is remembered.
    let nearest = |manager: &PoolManager| manager.is_running().then(|| manager.clone());
    lend(node, ns.sought(), InVain::Adds, nearest)?.or_else(|| walk_to_running(node, ns))
}

#[cold]
fn walk_to_running(node: &Node, ns: &Namespace) -> Option<PoolManager> {
    lookup::nearest::<Managers, _>(node, ns, |slot_value| {
        let manager = Lent::of(Shown::of(slot_value));
        manager.is_running().then(|| PoolManager::clone(&manager))
    })
}

/// [`nearest_running`] from the current node.
#[inline]
pub(super) fn nearest_running_here(ns: &Namespace) -> Option<PoolManager> {
    let pin = current::pin();
    nearest_running(current::nearest_node(&pin), ns)
}

/// The managers of one node.
pub(super) fn all(node: &Node) -> impl Iterator<Item = PoolManager> {
    node.managers.all().into_iter().filter_map(PoolManager::from_slot)
}

impl Lineage {
    /// This node's own manager of that name.
    pub(super) fn own(&self, ns: &Namespace) -> Option<PoolManager> {
        self.0.node().managers.find_counted(ns).and_then(PoolManager::from_slot)
    }

    /// This node's own manager of that name, or a new one. Among concurrent callers one makes it.
    pub(super) fn find_or_put(&self, ns: &Namespace) -> PoolManager {
        let make = || PoolManager::new(&self.0, ns.clone()).to_slot();
        match PoolManager::from_slot(self.0.node().managers.find_or_insert(ns, make)) {
            Some(manager) => manager,
            None => unreachable!("only managers live at nodes"),
        }
    }

    /// Puts a manager of this node into a slot; another one of that name is unlinked.
    pub(super) fn put(&self, manager: &PoolManager) {
        self.0.node().managers.replace(manager.namespace(), manager.to_slot());
    }

    /// Puts a manager of this node into a slot. False when the node has another one of that name.
    pub(super) fn link(&self, manager: &PoolManager) -> bool {
        let linked = self.0.node().managers.find_or_insert(manager.namespace(), || manager.to_slot());
        PoolManager::from_slot(linked).is_some_and(|linked| linked.is_same(manager))
    }

    /// Unlinks a manager if this node still has it.
    pub(super) fn unlink(&self, manager: &PoolManager) {
        drop(self.0.node().managers.remove_this(manager.namespace(), &manager.to_slot()));
    }

    /// Unlinks this node's own manager of that name.
    pub(super) fn take(&self, ns: &Namespace) -> Option<PoolManager> {
        self.0.node().managers.remove(ns).and_then(PoolManager::from_slot)
    }
}
