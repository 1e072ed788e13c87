//! The look-up: one walk towards the root, shared by managers and values, and its short cut through the thread's [`memo`].
//!
//! A hit in the memo costs the same at every depth: it reads no node but the first, and no slot. A miss walks, and keeps
//! what it found.

use crate::lineage::current;
use crate::lineage::hazard::{self, Held};
use crate::lineage::locals::LOCALS;
use crate::lineage::memo::{Answer, Question, Stripe};
use crate::lineage::node::Node;
use crate::lineage::slots::{Shown, SlotValue, Slots};
use crate::names::namespace::{Namespace, Sought};
use crate::sync::os::Arc;

/// The choice of a node's slots: those of managers, or those of values.
pub(crate) trait SlotKind {
    /// 0 or 1: the memo tells the kinds apart by it.
    const KIND: u64;

    fn of(node: &Node) -> &Slots;
}

/// The answer of a look-up in vain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InVain {
    /// It is the caller's error.
    Fails,
    /// The caller adds a value. Such a walk marks no node, so the addition advances no epoch.
    Adds,
}

/// A found value, with the hazard pointer that keeps its entry.
struct Borrowed {
    value: *const (),
    #[allow(dead_code, reason = "held for its drop")]
    held: Held,
}

/// Takes a hazard pointer of this thread.
#[inline]
pub(crate) fn hold() -> Held {
    hazard::hold(current::gives_back)
}

/// Lends the nearest value at or above the node to `f`, without counting it. Takes no lock; ends at the root.
#[inline]
pub(crate) fn lend<W: SlotKind, R>(
    node: &Node,
    sought: Sought<'_>,
    in_vain: InVain,
    f: impl FnOnce(Shown<'_>) -> R,
) -> Option<R> {
    let held = hold();
    let known = match sought.key {
        Some(key) => LOCALS.with(|locals| locals.memo.recall(Question::new(node.id(), W::KIND, key))),
        None => None,
    };
    let borrowed = match known {
        Some(answer) if held.protect_known(answer.entry, || answer.stands()) => Borrowed { value: answer.value, held },
        _ => walk::<W>(held, node, sought, in_vain)?,
    };
    // SAFETY: `held` keeps the entry until the end of this call. `walk` has just found it. Or else an earlier walk from this
    // very node found it, in slots of this kind; the epoch stands, so no writer had taken it out when `held` published it
    // (see `epoch`). The slots are those of the node and the nodes above it, which are borrowed with the node.
    Some(f(unsafe { Shown::again(borrowed.value) }))
}

/// Walks from the node to the first value with this name, and keeps the answer in the thread's memo.
#[inline(never)]
fn walk<W: SlotKind>(mut held: Held, node: &Node, sought: Sought<'_>, in_vain: InVain) -> Option<Borrowed> {
    let Sought { name, key } = sought;
    let (found, answer) = match key {
        None => (node.nearest(|node| W::of(node).find(name, &held))?, None),
        Some(key) => {
            if in_vain == InVain::Adds {
                node.nearest(|node| W::of(node).find(name, &held))?;
            }
            let stripe = Stripe::of(name);
            // Before the walk: see `epoch`.
            let seen = stripe.epoch().now();
            let found = node.nearest(|node| {
                W::of(node).passed.mark(stripe.number());
                W::of(node).find(name, &held)
            })?;
            (found, Some((Question::new(node.id(), W::KIND, key), stripe.epoch(), seen)))
        }
    };
    let value = Shown::of(found.value(&mut held)).as_ptr();
    if let Some((question, epoch, seen)) = answer {
        let answer = Answer { entry: found.address(), value, epoch: Some(epoch), seen };
        LOCALS.with(|locals| locals.memo.keep(question, answer));
    }
    Some(Borrowed { value, held })
}

/// [`lend`] from the current node.
#[inline]
pub(crate) fn lend_here<W: SlotKind, R>(
    sought: Sought<'_>,
    in_vain: InVain,
    f: impl FnOnce(Shown<'_>) -> R,
) -> Option<R> {
    // The pin keeps the node while `f` runs, whichever enter guards `f` drops.
    let pin = current::pin();
    lend::<W, R>(current::nearest_node(&pin), sought, in_vain, f)
}

/// Lends the value of this very node to `f`.
pub(crate) fn lend_own<W: SlotKind, R>(node: &Node, ns: &Namespace, f: impl FnOnce(Shown<'_>) -> R) -> Option<R> {
    let mut held = hold();
    let found = W::of(node).find(ns, &held)?;
    Some(f(Shown::of(found.value(&mut held))))
}

/// Returns the first answer of `f` about the values at and above the node. `f` runs no user code.
pub(crate) fn nearest<W: SlotKind, R>(
    node: &Node,
    ns: &Namespace,
    mut f: impl FnMut(&Arc<SlotValue>) -> Option<R>,
) -> Option<R> {
    let mut held = hold();
    node.nearest(|node| f(W::of(node).find(ns, &held)?.value(&mut held)))
}
