//! [`StackEntry`]: one entry of a thread's stack of nodes.

use std::borrow::Cow;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;

use crate::lineage::node::{Node, NodeRef, OnMaterialize, Role};
use crate::lineage::thread_state::ThreadState;
use crate::names::id::TaskId;
use crate::sync::os::Arc;

/// The nearest real node of an entry.
pub(super) enum EntryNode {
    Counted(NodeRef),
    /// A bitwise copy of a reference that outlives the entry.
    Borrowed(ManuallyDrop<NodeRef>),
}

impl Deref for EntryNode {
    type Target = NodeRef;

    #[inline]
    fn deref(&self) -> &NodeRef {
        match self {
            Self::Counted(node) => node,
            Self::Borrowed(node) => node,
        }
    }
}

pub(super) struct StackEntry {
    /// Names the entry. Marks rise towards the top.
    pub(super) mark: u64,
    pub(super) node: EntryNode,
    /// The node is that of the code that stands here: the entry's drop is the code's end.
    pub(super) own: bool,
    /// The thread itself stands here, for as long as it runs.
    pub(super) base: bool,
    pub(super) lazy: LazyNode,
}

/// The thread or task of an entry that is no node yet.
pub(crate) enum LazyNode {
    /// None: code stands at the entry's node.
    Nothing,
    /// None, now and later: code stands at the process without owning anything there.
    Nowhere,
    /// A thread's name, and the state that it shares with its handle if this crate started it.
    Thread(Option<String>, Option<Arc<ThreadState>>),
    /// The pointer is valid until the entry is off the stack: see [`enter_borrowed`](super::enter_borrowed).
    Task(TaskId, *const dyn OnMaterialize),
}

impl StackEntry {
    /// Makes the node of a lazy entry. Runs no user code.
    pub(super) fn materialize(&mut self) {
        let node = match mem::replace(&mut self.lazy, LazyNode::Nothing) {
            LazyNode::Nothing => return,
            LazyNode::Nowhere => {
                self.lazy = LazyNode::Nowhere;
                return;
            }
            LazyNode::Thread(name, state) => {
                let shielded = state.as_ref().is_some_and(|state| state.shielded);
                let make = if shielded { Node::new_shielded } else { Node::new };
                let node = make(&self.node, name.map(Cow::Owned), Role::Thread(std::thread::current().id()));
                if let Some(state) = state {
                    state.materialized(&node);
                }
                node
            }
            LazyNode::Task(id, task) => {
                let node = Node::new(&self.node, None, Role::Task(id));
                // SAFETY: the caller of `enter_borrowed` keeps the task valid until the entry is off the stack, which
                // the borrow of the entry says that it is not.
                unsafe { &*task }.materialized(&node);
                node
            }
        };
        self.own = true;
        // The old node is the new one's parent, so this drops no last reference.
        self.node = EntryNode::Counted(node.into());
    }

    /// Returns whether a task or a thread began here: a node or not, the code that stands here is that itself.
    pub(super) fn is_beginning(&self) -> bool {
        self.own || matches!(self.lazy, LazyNode::Thread(..) | LazyNode::Task(..))
    }

    /// Returns whether the entry keeps no node and ends none: no pin needs it, and its drop runs no user code.
    #[inline]
    pub(super) fn only_borrows(&self) -> bool {
        !self.own && matches!(self.node, EntryNode::Borrowed(_))
    }

    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self.lazy, LazyNode::Nowhere)
    }

    pub(super) fn node_ref(&self) -> NodeRef {
        NodeRef::clone(&self.node)
    }
}

impl Drop for StackEntry {
    #[inline]
    fn drop(&mut self) {
        if self.own {
            self.node.node().end();
        }
    }
}
