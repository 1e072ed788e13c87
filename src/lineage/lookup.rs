//! The look-up: one walk towards the root, shared by managers and values.

use crate::lineage::current;
use crate::lineage::hazard::{self, Held};
use crate::lineage::node::Node;
use crate::lineage::slots::{SlotValue, Slots};
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;

/// The choice of a node's slots: those of managers, or those of values.
pub(crate) trait SlotKind {
    fn of(node: &Node) -> &Slots;
}

#[inline]
fn hold() -> Option<Held> {
    hazard::hold(current::gives_back)
}

/// Lends the nearest value at or above the node to `f`, without counting it. Takes no lock; ends at the root.
#[inline]
pub(crate) fn lend<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let Some(mut held) = hold() else { return lend_counted::<W, R>(node, ns, f) };
    let found = node.nearest(|node| W::of(node).find(ns, &held))?;
    Some(f(found.value(&mut held)))
}

/// [`lend`] for a thread whose hazard pointers are all in use by borrows under way.
#[cold]
fn lend_counted<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let found = node.path().find_map(|node| W::of(node).find_counted(ns))?;
    Some(f(&found))
}

/// [`lend`] from the current node.
#[inline]
pub(crate) fn lend_here<W: SlotKind, R>(ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    // The pin keeps the node while `f` runs, whichever enter guards `f` drops.
    let pin = current::pin();
    lend::<W, R>(current::nearest_node(&pin), ns, f)
}

/// Lends the value of this very node to `f`.
pub(crate) fn lend_own<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let Some(mut held) = hold() else { return W::of(node).find_counted(ns).map(|found| f(&found)) };
    let found = W::of(node).find(ns, &held)?;
    Some(f(found.value(&mut held)))
}

/// Returns the first answer of `f` about the values at and above the node. `f` runs no user code.
pub(crate) fn nearest<W: SlotKind, R>(
    node: &Node,
    ns: &Namespace,
    mut f: impl FnMut(&Arc<SlotValue>) -> Option<R>,
) -> Option<R> {
    match hold() {
        Some(mut held) => node.nearest(|node| f(W::of(node).find(ns, &held)?.value(&mut held))),
        None => node.path().find_map(|node| f(&W::of(node).find_counted(ns)?)),
    }
}
