//! [`Pin`]: keeps the entries of a thread's stack, so that their nodes can be borrowed.

use std::marker::PhantomData;

use crate::lineage::current::entry::StackEntry;
use crate::lineage::current::stack::{self, Stack};
use crate::lineage::locals::LOCALS;
use crate::lineage::node::{Node, process};

/// A promise: while it lives, no node on this thread's stack ends, nor one taken off.
pub(crate) struct Pin(PhantomData<*const ()>);

#[inline]
pub(crate) fn pin() -> Pin {
    LOCALS.with(|locals| locals.pins.set(locals.pins.get() + 1));
    Pin(PhantomData)
}

/// Returns the nearest real node. Costs two loads.
#[inline]
pub(crate) fn nearest_node(_pinned: &Pin) -> &Node {
    // SAFETY: the pointer is null or the node of the newest entry. An entry that counts its node keeps it: one that is
    // taken off while the thread has a pin is kept until the last pin is dropped. A borrowed node outlives the call
    // that entered it, by the contract of `enter_borrowed`, and that call returns after this code, which runs inside of
    // it and drops its pin first.
    unsafe { stack::top().as_ref() }.unwrap_or_else(|| process())
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        let left = LOCALS.with(|locals| {
            let left = locals.pins.get() - 1;
            locals.pins.set(left);
            left
        });
        if left < 0 {
            drop_kept(left);
        }
    }
}

#[cold]
#[inline(never)]
fn drop_kept(left: isize) {
    if left == isize::MIN {
        LOCALS.with(|locals| locals.pins.set(0));
        // Dropped outside the borrow: a node's end may run code that comes back here.
        drop(stack::with(Stack::take_kept));
    }
}

/// Drops an entry taken off the stack, or keeps it while the thread has a pin.
#[inline]
pub(super) fn release(stack: &Stack, entry: StackEntry) {
    let pins = LOCALS.with(|locals| locals.pins.get());
    if pins == 0 {
        drop(entry);
    } else {
        // Sets the sign alone.
        LOCALS.with(|locals| locals.pins.set(pins | isize::MIN));
        stack.keep(entry);
    }
}
