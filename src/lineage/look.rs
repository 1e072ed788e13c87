//! Looking up what lives at or above a place: the one walk that managers and values share.

use crate::lineage::current;
use crate::lineage::hazard::{self, Held};
use crate::lineage::home::Resident;
use crate::lineage::node::Node;
use crate::lineage::residents::{Found, Named, Residents};
use crate::namespace::Namespace;
use crate::sync::os::Arc;

/// What of a node is looked through.
pub(crate) trait Kept {
    fn of(node: &Node) -> &Residents;
}

/// The nearest at or above the node. Takes no lock; ends at the root.
#[inline]
fn find<W: Kept>(node: &Node, namespace: &Namespace, held: &Held) -> Option<*const Named> {
    node.nearest(|node| W::of(node).find(namespace, held))
}

/// Lends what was found to `f`. Without it, `f` comes back.
///
/// # Safety
/// `named` was found with `held`, at or above a node that lives until this returns.
#[inline]
unsafe fn lend_found<R, F>(named: Option<*const Named>, held: Held, f: F) -> Result<R, F>
where
    F: FnOnce(&Arc<Resident>) -> R,
{
    let Some(named) = named else { return Err(f) };
    // SAFETY: passed on to the caller.
    let found = unsafe { Found::new(named, held) };
    Ok(f(found.resident()))
}

/// [`lend`] for a thread that borrows a few residents inside one another already.
#[cold]
fn lend_counted<W: Kept, R>(node: &Node, namespace: &Namespace, f: impl FnOnce(&Arc<Resident>) -> R) -> Option<R> {
    let found = node.path().find_map(|node| W::of(node).find_counted(namespace))?;
    Some(f(&found))
}

/// Lends the nearest at or above the node, which the caller keeps, without counting it.
#[inline]
pub(crate) fn lend<W: Kept, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<Resident>) -> R) -> Option<R> {
    let Some(held) = hazard::hold() else { return lend_counted::<W, R>(node, ns, f) };
    // SAFETY: the caller keeps the node.
    unsafe { lend_found(find::<W>(node, ns, &held), held, f) }.ok()
}

/// [`lend`], from where the code stands.
#[inline]
pub(crate) fn lend_here<W: Kept, R>(ns: &Namespace, f: impl FnOnce(&Arc<Resident>) -> R) -> Option<R> {
    // The place stays while `f` runs, whatever guards it drops.
    let pin = current::pin();
    lend::<W, R>(current::nearest_node(&pin), ns, f)
}

/// Lends what this very node has.
pub(crate) fn lend_own<W: Kept, R>(node: &Node, ns: &Namespace, f: impl FnOnce(&Arc<Resident>) -> R) -> Option<R> {
    let Some(held) = hazard::hold() else { return W::of(node).find_counted(ns).map(|found| f(&found)) };
    // SAFETY: the caller keeps the node.
    unsafe { lend_found(W::of(node).find(ns, &held), held, f) }.ok()
}

/// The first answer of `f`, which runs no user code, about what lives at or above the node.
pub(crate) fn nearest<W: Kept, R>(
    node: &Node,
    ns: &Namespace,
    mut f: impl FnMut(&Arc<Resident>) -> Option<R>,
) -> Option<R> {
    match hazard::hold() {
        Some(held) => node.nearest(|node| {
            let named = W::of(node).find(ns, &held)?;
            // SAFETY: `held` keeps it, until it is asked for another.
            f(unsafe { (*named).resident() })
        }),
        None => node.path().find_map(|node| f(&W::of(node).find_counted(ns)?)),
    }
}
