//! The current node: a stack of entries for each thread, and on it one for each flow.
//!
//! The newest entry still on the stack names the current node. An enter guard takes *its own* entry off, wherever it
//! is, so guards dropped out of order never bring back a node that was left. Code that runs foreign code (a task, a
//! poll) cuts the stack back to the height it had, so a forgotten guard cannot leak its node into the next task.
//!
//! An entry is either a real node or *lazy*: a thread or a task that no code has looked at yet. The first look makes
//! its node (invariant 4 of [`crate::lineage`]).
//!
//! # Flows
//! An entry belongs to the [`Flow`] that made it, and no other flow sees it: a future of a runtime that holds a guard
//! across an `.await` stands there at its next poll, and the futures that the thread polls meanwhile do not.
//!
//! A flow without an entry stands somewhere all the same. The flow that has the thread for itself stands at the thread:
//! at the process on the main thread, elsewhere at a node that is made for it. Code that shares its thread, a guest or
//! any code of a thread that is marked as shared, stands at the process and owns nothing: [`here`] is the process, and
//! [`own_here`] is nothing.
//!
//! While the thread's locals are being destroyed the stack is dropped: everything falls back to the process node.

mod entry;
mod flows;
mod guard;
mod main_thread;
mod pin;
mod stack;

use std::time::Instant;

use crate::error::Cancelled;
use crate::lineage::current::entry::{EntryNode, StackEntry};
use crate::lineage::current::main_thread::is_main_thread;
use crate::lineage::flow::Flow;
use crate::lineage::locals::LOCALS;
use crate::lineage::node::{Node, NodeKind, NodeRef};

pub(crate) use self::entry::LazyNode;
pub(crate) use self::guard::{EnterGuard, enter, enter_as_thread, enter_borrowed};
pub(crate) use self::pin::{nearest_node, pin};

/// Returns the current node, made on first use.
///
/// Code that shares its thread and has no node of its own gets the process.
pub(crate) fn here() -> NodeRef {
    own_here().unwrap_or(NodeRef::PROCESS)
}

/// Returns the current node as an owner, made on first use.
///
/// `None` for code that shares its thread and has no node of its own.
#[inline]
pub(crate) fn own_here() -> Option<NodeRef> {
    stack::real_top().or_else(make_own_here)
}

/// [`own_here`] where the newest entry is not a real node, or none is there.
#[inline(never)]
fn make_own_here() -> Option<NodeRef> {
    let flow = Flow::now();
    let here = |stack: &stack::Stack| {
        if stack.look(flow, <[StackEntry]>::is_empty) {
            if stack.is_shared(flow) {
                return None;
            }
            if is_main_thread() {
                return Some(NodeRef::PROCESS);
            }
            // A thread that this crate did not start: a node below the process, for as long as the thread runs.
            let name = std::thread::current().name().map(String::from);
            let node = EntryNode::Counted(NodeRef::PROCESS);
            let entry = StackEntry { mark: 0, node, own: false, base: true, lazy: LazyNode::Thread(name, None) };
            stack.change(flow, |entries| entries.push(entry));
        }
        stack.change(flow, |entries| {
            let top = entries.last_mut()?;
            top.materialize();
            (!top.is_nowhere()).then(|| top.node_ref())
        })
    };
    // Code in the destructors of a thread's locals has the thread for itself.
    stack::with(here).unwrap_or_else(|| (!flow.is_guest()).then_some(NodeRef::PROCESS))
}

/// Returns the nearest real node, at which a task submitted now stands. Makes nothing.
#[inline]
pub(crate) fn nearest() -> NodeRef {
    stack::top_ref()
}

/// Returns the current node, if it is a real one. Makes nothing.
///
/// Returns `None` for a lazy thread or task, for code that shares its thread and has no node, and while the thread's
/// locals are being destroyed.
pub(crate) fn exactly_here() -> Option<NodeRef> {
    let flow = Flow::now();
    let exactly = |stack: &stack::Stack| {
        stack.look(flow, |entries| match entries.last() {
            Some(top) => matches!(top.lazy, LazyNode::Nothing).then(|| top.node_ref()),
            None => (!stack.is_shared(flow) && is_main_thread()).then_some(NodeRef::PROCESS),
        })
    };
    stack::with(exactly).flatten()
}

/// Returns whether the running code can own something at its node. Makes nothing.
pub(crate) fn owns() -> bool {
    let flow = Flow::now();
    let owns = |stack: &stack::Stack| {
        stack.look(flow, |entries| match entries.last() {
            Some(top) => !top.is_nowhere(),
            None => !stack.is_shared(flow),
        })
    };
    stack::with(owns).unwrap_or(!flow.is_guest())
}

/// Returns whether the running code has an entry: of a thread of this crate, of a task, or of an entered node.
pub(crate) fn stands() -> bool {
    look(|entries| !entries.is_empty()).unwrap_or(false)
}

/// Marks the calling thread as shared: code of it without another entry no longer stands at the thread.
pub(crate) fn mark_shared() {
    let _ = stack::with(stack::Stack::mark_shared);
}

/// Returns a number that no other living thread has. Works while the thread's locals are being destroyed.
#[inline]
pub(crate) fn thread_number() -> usize {
    LOCALS.with(|locals| std::ptr::from_ref(locals) as usize)
}

/// Returns whether the running code has its thread for itself.
pub(crate) fn has_its_thread() -> bool {
    stack::with(|stack| !stack.is_shared(Flow::now())).unwrap_or(true)
}

/// Returns the running task's node, or the thread's outside of a task.
///
/// The node is made on first use. The code itself may stand at another one now.
pub(crate) fn own() -> Option<NodeRef> {
    let own = |stack: &stack::Stack| {
        stack.change(Flow::now(), |entries| {
            let own = entries.iter_mut().rfind(|entry| stack.shows(entry) && entry.is_beginning())?;
            own.materialize();
            Some(own.node_ref())
        })
    };
    stack::with(own).flatten()
}

/// Returns whether the running task's node, or the thread's outside of a task, is itself cancelled.
///
/// Makes no node: a lazy one was never cancelled.
pub(crate) fn own_cancel_requested() -> bool {
    look_at_own(|own| own.cancel_requested().then_some(())).is_some()
}

/// Returns the request of the running task's node, or of the thread's outside of a task. Makes no node.
#[cold]
pub(crate) fn own_cause() -> Option<Cancelled> {
    look_at_own(Node::own_cause)
}

/// Returns the deadline of the running task's node, or of the thread's outside of a task. Makes no node.
pub(crate) fn own_deadline() -> Option<Instant> {
    look_at_own(Node::own_deadline)
}

fn look_at_own<R>(f: impl FnOnce(&Node) -> Option<R>) -> Option<R> {
    let own = |entries: &[StackEntry]| {
        let own = entries.iter().rfind(|entry| entry.is_beginning())?;
        if own.own { f(own.node.node()) } else { None }
    };
    look(own).flatten()
}

/// Returns the calling thread's node, for code that has the thread for itself. Makes nothing.
pub(crate) fn own_thread() -> Option<NodeRef> {
    let own = |entry: &&StackEntry| entry.own && entry.node.node().kind() == NodeKind::Thread;
    look(|entries| entries.iter().find(own).map(StackEntry::node_ref)).flatten()
}

/// Returns whether the thread's record of hazard pointers is given back at its end.
///
/// False while the thread's locals are being destroyed.
pub(crate) fn gives_back() -> bool {
    stack::with(|_| ()).is_some()
}

/// Lends the entries that the running flow sees, oldest first. `None` while the thread's locals are being destroyed.
#[inline]
fn look<R>(f: impl FnOnce(&[StackEntry]) -> R) -> Option<R> {
    stack::with(|stack| stack.look(Flow::now(), f))
}

/// The current node, taken along to other code.
#[derive(Clone)]
pub(crate) struct CurrentNode {
    node: NodeRef,
    /// The code has this node for its own.
    owns: bool,
}

impl CurrentNode {
    pub(crate) fn here() -> Self {
        let own = own_here();
        Self { owns: own.is_some(), node: own.unwrap_or(NodeRef::PROCESS) }
    }

    pub(crate) fn node(&self) -> &NodeRef {
        &self.node
    }

    /// Returns how an entry of this node has to be lazy.
    pub(crate) fn lazy(&self) -> LazyNode {
        if self.owns { LazyNode::Nothing } else { LazyNode::Nowhere }
    }
}
