//! [`Stack`]: the entries of one thread, by flow.

use std::cell::{Cell, RefCell};
use std::ptr;

use crate::lineage::current::entry::{LazyNode, StackEntry};
use crate::lineage::current::flows::Flows;
use crate::lineage::flow::Flow;
use crate::lineage::hazard;
use crate::lineage::locals::LOCALS;
use crate::lineage::node::{Node, NodeRef};

thread_local! {
    /// The folder's one thread-local with a destructor.
    static STACK: Stack = const { Stack::new() };
}

pub(super) struct Stack {
    flows: RefCell<Flows<StackEntry>>,
    /// The thread was marked as shared: its code does not see the entry of the thread itself.
    shared: Cell<bool>,
    /// Entries that were taken off while the thread had a pin.
    kept: RefCell<Vec<StackEntry>>,
}

/// Lends the calling thread's stack. `None` while the thread's locals are being destroyed.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Stack) -> R) -> Option<R> {
    STACK.try_with(f).ok()
}

/// Returns the node of the running flow's newest entry, null for the process. Costs two loads.
#[inline]
pub(super) fn top() -> *const Node {
    let flow = Flow::now();
    LOCALS.with(|locals| if locals.flow.get() == flow { locals.top.get() } else { turn_to(flow) })
}

/// Returns the node of the running flow's newest entry, counted.
#[inline]
pub(super) fn top_ref() -> NodeRef {
    // SAFETY: the pointer is that of the newest entry, which has a reference to the node, or null.
    unsafe { NodeRef::counted(top()) }
}

/// Returns the node at which the running flow stands, if it is known to be a real one. `None` for a flow that did not run
/// last.
#[inline]
pub(super) fn real_top() -> Option<NodeRef> {
    let flow = Flow::now();
    let real = LOCALS.with(|locals| locals.flow.get() == flow && locals.real.get());
    real.then(top_ref)
}

#[cold]
fn turn_to(flow: Flow) -> *const Node {
    // Without a stack there is no entry to be seen.
    with(|stack| stack.change(flow, |_| ())).map_or(ptr::null(), |()| LOCALS.with(|locals| locals.top.get()))
}

/// Notes the newest entry that a flow sees. Without one, a flow that does not share its thread stands at the thread.
#[inline]
fn set_top(flow: Flow, top: Option<&StackEntry>, is_shared: bool) {
    LOCALS.with(|locals| {
        locals.flow.set(flow);
        locals.top.set(top.map_or(ptr::null(), |top| top.node.as_ptr()));
        locals.real.set(match top {
            Some(top) => matches!(top.lazy, LazyNode::Nothing),
            None => !is_shared && locals.is_main.get() == Some(true),
        });
    });
}

impl Stack {
    const fn new() -> Self {
        Self { flows: RefCell::new(Flows::new()), shared: Cell::new(false), kept: RefCell::new(Vec::new()) }
    }

    /// Changes the entries of a flow. `f` runs no user code: the stack is borrowed.
    #[inline]
    pub(super) fn change<R>(&self, flow: Flow, f: impl FnOnce(&mut Vec<StackEntry>) -> R) -> R {
        let mut flows = self.flows.borrow_mut();
        let entries = flows.of_mut(flow);
        let out = f(entries);
        set_top(flow, entries.last().filter(|top| self.shows(top)), self.is_shared(flow));
        out
    }

    /// Lends the entries that a flow sees, oldest first. `f` runs no user code.
    #[inline]
    pub(super) fn look<R>(&self, flow: Flow, f: impl FnOnce(&[StackEntry]) -> R) -> R {
        let flows = self.flows.borrow();
        let entries = flows.of(flow);
        let hidden = entries.iter().take_while(|entry| !self.shows(entry)).count();
        f(&entries[hidden..])
    }

    /// Returns whether code sees the entry. Those of a thread itself are below all others.
    #[inline]
    pub(super) fn shows(&self, entry: &StackEntry) -> bool {
        !(entry.base && self.shared.get())
    }

    /// Returns whether the flow shares its thread: without an entry it has no node then.
    #[inline]
    pub(super) fn is_shared(&self, flow: Flow) -> bool {
        flow.is_guest() || self.shared.get()
    }

    pub(super) fn mark_shared(&self) {
        self.shared.set(true);
        self.change(Flow::THREAD, |_| ());
    }

    /// Keeps an entry that was taken off until [`take_kept`](Self::take_kept).
    pub(super) fn keep(&self, entry: StackEntry) {
        self.kept.borrow_mut().push(entry);
    }

    pub(super) fn take_kept(&self) -> Vec<StackEntry> {
        self.kept.take()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        set_top(Flow::THREAD, None, true);
        hazard::give_back();
    }
}
