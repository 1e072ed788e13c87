//! [`EnterGuard`]: an entry on the stack for as long as the guard lives.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ptr;

use crate::lineage::current::entry::{EntryNode, LazyNode, StackEntry};
use crate::lineage::current::pin::release;
use crate::lineage::current::stack;
use crate::lineage::flow::Flow;
use crate::lineage::locals::LOCALS;
use crate::lineage::node::NodeRef;

/// Leaves an entered node when it is dropped. Not `Send`: the entry is on this thread's stack.
#[must_use = "the node is left as soon as this is dropped"]
pub(crate) struct EnterGuard {
    mark: u64,
    /// The flow that entered. Another one may drop the guard: a runtime's end drops the futures that it has.
    flow: Flow,
    here: PhantomData<*const ()>,
}

/// Puts an entry on the stack.
#[inline]
pub(crate) fn enter(node: NodeRef, lazy: LazyNode) -> EnterGuard {
    push(EntryNode::Counted(node), false, lazy)
}

/// Puts an entry on the stack for the thread itself, below all others.
pub(crate) fn enter_as_thread(node: NodeRef, lazy: LazyNode) -> EnterGuard {
    push(EntryNode::Counted(node), true, lazy)
}

/// Puts an entry on the stack that does not count the node.
///
/// # Safety
/// The reference, and the pointer in `lazy`, are valid until the entry is off the stack, which the caller makes sure of
/// with [`EnterGuard::exit_to`].
#[inline]
pub(crate) unsafe fn enter_borrowed(node: &NodeRef, lazy: LazyNode) -> EnterGuard {
    // SAFETY: the copy is never dropped, and by the caller's promise not used for longer than the original is valid.
    let copy = unsafe { ptr::read(node) };
    push(EntryNode::Borrowed(ManuallyDrop::new(copy)), false, lazy)
}

#[inline]
fn push(node: EntryNode, base: bool, lazy: LazyNode) -> EnterGuard {
    let mark = LOCALS.with(|locals| locals.next_mark.replace(locals.next_mark.get() + 1));
    let flow = Flow::now();
    let entry = StackEntry { mark, node, own: false, base, lazy };
    // Without a stack the thread's locals are being destroyed, and there is nothing to leave later either.
    let _ = stack::with(|stack| stack.change(flow, |entries| entries.push(entry)));
    EnterGuard { mark, flow, here: PhantomData }
}

impl EnterGuard {
    /// Takes off this entry, and every entry of the same flow above it: for a caller that ran foreign code.
    ///
    /// Entries of other flows stay: these may be suspended inside of a node of theirs.
    #[inline]
    pub(crate) fn exit_to(self) {
        let (mark, flow) = (self.mark, self.flow);
        mem::forget(self);
        let _ = stack::with(|stack| {
            let borrows = |top: &mut StackEntry| top.mark == mark && top.only_borrows();
            // Mostly: `drop` runs no user code then.
            if stack.change(flow, |entries| entries.pop_if(borrows).is_some()) {
                return;
            }
            let top = stack.change(flow, |entries| entries.pop_if(|top| top.mark == mark));
            if top.is_none() {
                let above = stack.change(flow, |entries| {
                    let at = entries.partition_point(|entry| entry.mark < mark);
                    entries.split_off(at)
                });
                above.into_iter().for_each(|entry| release(stack, entry));
            }
            // Outside the borrow: a node's end may run code that comes back here.
            if let Some(top) = top {
                release(stack, top);
            }
        });
    }
}

impl Drop for EnterGuard {
    #[inline]
    fn drop(&mut self) {
        let _ = stack::with(|stack| {
            let entry = stack.change(self.flow, |entries| {
                let top = entries.pop_if(|top| top.mark == self.mark);
                top.or_else(|| {
                    let at = entries.iter().rposition(|entry| entry.mark == self.mark);
                    at.map(|at| entries.remove(at))
                })
            });
            if let Some(entry) = entry {
                release(stack, entry);
            }
        });
    }
}
