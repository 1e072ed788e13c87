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
    let Some(held) = hold() else { return lend_counted::<W, R>(node, ns, f) };
    let entry = node.nearest(|node| W::of(node).find(ns, &held))?;
    // SAFETY: `held` keeps the entry until this returns, and protects no other meanwhile. The node is borrowed as long,
    // so none on the way to the root is dropped, which would free entries without a look at hazard pointers.
    Some(f(unsafe { (*entry).slot_value() }))
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
    let Some(held) = hold() else { return W::of(node).find_counted(ns).map(|found| f(&found)) };
    let entry = W::of(node).find(ns, &held)?;
    // SAFETY: `held` keeps the entry until this returns, and protects no other meanwhile. The node, whose drop would
    // free the entry, is borrowed as long.
    Some(f(unsafe { (*entry).slot_value() }))
}

/// Returns the first answer of `f` about the values at and above the node. `f` runs no user code.
pub(crate) fn nearest<W: SlotKind, R>(
    node: &Node,
    ns: &Namespace,
    mut f: impl FnMut(&Arc<SlotValue>) -> Option<R>,
) -> Option<R> {
    match hold() {
        Some(held) => node.nearest(|node| {
            let entry = W::of(node).find(ns, &held)?;
            // SAFETY: `held` keeps the entry until the next `find`, which comes after `f`. The node on the way is
            // borrowed.
            f(unsafe { (*entry).slot_value() })
        }),
        None => node.path().find_map(|node| f(&W::of(node).find_counted(ns)?)),
    }
}
