//! Looking up what lives at or above a place: the one walk that managers and values share.

use crate::lineage::current;
use crate::lineage::family::SlotValue;
use crate::lineage::hazard::{self, Held};
use crate::lineage::node::Node;
use crate::lineage::slots::{Found, SlotEntry, Slots};
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;

/// What of a node is looked through.
pub(crate) trait SlotKind {
    fn of(node: &Node) -> &Slots;
}

/// The nearest at or above the node. Takes no lock; ends at the root.
#[inline]
fn find<W: SlotKind>(node: &Node, namespace: &Namespace, held: &Held) -> Option<*const SlotEntry> {
    node.nearest(|node| W::of(node).find(namespace, held))
}

/// Lends what was found to `f`. Without it, `f` comes back.
///
/// # Safety
/// `entry` was found with `held`, at or above a node that lives until this returns.
#[inline]
unsafe fn lend_found<R, F>(entry: Option<*const SlotEntry>, held: Held, f: F) -> Result<R, F>
where
    F: FnOnce(&Arc<SlotValue>) -> R,
{
    let Some(entry) = entry else { return Err(f) };
    // SAFETY: passed on to the caller.
    let found = unsafe { Found::new(entry, held) };
    Ok(f(found.slot_value()))
}

/// [`lend`] for a thread that borrows a few values inside one another already.
#[cold]
fn lend_counted<W: SlotKind, R>(node: &Node, namespace: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let found = node.path().find_map(|node| W::of(node).find_counted(namespace))?;
    Some(f(&found))
}

/// Lends the nearest at or above the node, which the caller keeps, without counting it.
#[inline]
pub(crate) fn lend<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let Some(held) = hazard::hold() else { return lend_counted::<W, R>(node, ns, f) };
    // SAFETY: the caller keeps the node.
    unsafe { lend_found(find::<W>(node, ns, &held), held, f) }.ok()
}

/// [`lend`], from where the code stands.
#[inline]
pub(crate) fn lend_here<W: SlotKind, R>(ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    // The place stays while `f` runs, whatever guards it drops.
    let pin = current::pin();
    lend::<W, R>(current::nearest_node(&pin), ns, f)
}

/// Lends what this very node has.
pub(crate) fn lend_own<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<SlotValue>) -> R) -> Option<R> {
    let Some(held) = hazard::hold() else { return W::of(node).find_counted(ns).map(|found| f(&found)) };
    // SAFETY: the caller keeps the node.
    unsafe { lend_found(W::of(node).find(ns, &held), held, f) }.ok()
}

/// The first answer of `f`, which runs no user code, about what lives at or above the node.
pub(crate) fn nearest<W: SlotKind, R>(
    node: &Node,
    ns: &Namespace,
    mut f: impl FnMut(&Arc<SlotValue>) -> Option<R>,
) -> Option<R> {
    match hazard::hold() {
        Some(held) => node.nearest(|node| {
            let entry = W::of(node).find(ns, &held)?;
            // SAFETY: `held` keeps it, until it is asked for another.
            f(unsafe { (*entry).slot_value() })
        }),
        None => node.path().find_map(|node| f(&W::of(node).find_counted(ns)?)),
    }
}
