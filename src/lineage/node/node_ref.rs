//! [`NodeRef`]: a counted reference to a node.

use std::borrow::Cow;
use std::mem::{self, ManuallyDrop};
use std::ptr;

use crate::lineage::node::role::Role;
use crate::lineage::node::tree_node::{Node, process};
use crate::sync::os::{Arc, AtomicPtr, Ordering, Weak};

/// A counted reference to a node. The process node is a static: it is `None`, counts nothing, and is the default.
#[derive(Clone, Default)]
pub(crate) struct NodeRef(Option<Arc<Node>>);

impl Node {
    pub(crate) fn new(parent: &NodeRef, name: Option<Cow<'static, str>>, role: Role) -> Arc<Self> {
        Self::new_child(parent.0.clone(), name, role, false)
    }

    /// Makes a child that no request of the nodes above reaches.
    pub(crate) fn new_shielded(parent: &NodeRef, name: Option<Cow<'static, str>>, role: Role) -> Arc<Self> {
        Self::new_child(parent.0.clone(), name, role, true)
    }

    pub(crate) fn parent_ref(&self) -> Option<NodeRef> {
        self.parent()?;
        Some(NodeRef(self.counted_parent().cloned()))
    }
}

impl NodeRef {
    pub(crate) const PROCESS: NodeRef = NodeRef(None);

    /// Returns whether both are the same node.
    #[inline]
    pub(crate) fn is(&self, other: &NodeRef) -> bool {
        ptr::eq(self.node(), other.node())
    }

    #[inline]
    pub(crate) fn node(&self) -> &Node {
        match &self.0 {
            Some(node) => node,
            None => process(),
        }
    }

    /// Returns the node's address, which is null for the process.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const Node {
        self.0.as_ref().map_or(ptr::null(), Arc::as_ptr)
    }

    /// Counts one more reference to the node at an address that [`as_ptr`](Self::as_ptr) returned.
    ///
    /// # Safety
    /// A reference to the node lives during this call.
    #[inline]
    pub(crate) unsafe fn counted(node: *const Node) -> Self {
        if node.is_null() {
            return Self::PROCESS;
        }
        // SAFETY: the address came from `Arc::as_ptr`, and the node is alive by the caller's promise. The count that is added
        // is the new reference's.
        Self(Some(unsafe {
            Arc::increment_strong_count(node);
            Arc::from_raw(node)
        }))
    }

    /// Returns the counted node, or `None` for a root.
    #[inline]
    pub(crate) fn below_root(&self) -> Option<&Arc<Node>> {
        self.0.as_ref().filter(|node| !node.is_root())
    }

    /// Returns whether the reference is counted, so that its drop may end a node.
    #[inline]
    pub(crate) fn is_counted(&self) -> bool {
        self.0.is_some()
    }

    /// Drops the reference. Returns the node if this was its last one: dropping the node runs user code.
    #[inline]
    pub(crate) fn into_last(self) -> Option<Node> {
        self.0.and_then(Arc::into_inner)
    }

    /// Returns the innermost scope at or above the node. Costs one load where there is none.
    pub(crate) fn innermost_scope(&self) -> Option<NodeRef> {
        let mut at = self.0.as_ref();
        while let Some(node) = at.filter(|node| node.scopes > 0) {
            if node.trackers().is_some() {
                return Some(NodeRef(Some(Arc::clone(node))));
            }
            at = node.counted_parent();
        }
        None
    }

    /// Returns the root of the node's family. Counts one reference, however long the way.
    pub(crate) fn root(&self) -> NodeRef {
        let mut root = self.0.as_ref();
        // Ends: invariant 1 of [`crate::lineage`].
        while let Some(node) = root.filter(|node| !node.is_root()) {
            root = node.counted_parent();
        }
        NodeRef(root.cloned())
    }

    /// Drops the reference, and ends the scope if its end is due. Runs user code.
    ///
    /// The last reference drops the node with its values, which is much cheaper than to take each value out while
    /// look-ups go on.
    pub(crate) fn end_and_release(self) {
        // `try_unwrap` is one step: a look-up in the family's index may count the node at this very moment.
        if let Some(Err(shared)) = self.0.map(Arc::try_unwrap) {
            shared.end_if_over();
        }
    }

    /// Returns the node if this is its last reference. No code sees the node then, so no notification is owed to it.
    ///
    /// # Errors
    /// The reference, where others live.
    #[inline]
    pub(crate) fn into_node(self) -> Result<Node, Self> {
        match self.0.map(Arc::try_unwrap) {
            Some(Ok(node)) => Ok(node),
            Some(Err(shared)) => Err(Self(Some(shared))),
            None => Err(Self::PROCESS),
        }
    }

    /// Returns a reference that keeps nothing alive.
    pub(crate) fn downgrade(&self) -> WeakNodeRef {
        WeakNodeRef(self.0.as_ref().map(Arc::downgrade))
    }
}

impl From<Arc<Node>> for NodeRef {
    fn from(node: Arc<Node>) -> Self {
        // The process's root is in an `Arc` as well, while all references to it are `None`.
        if ptr::eq(Arc::as_ptr(&node), process()) { Self(None) } else { Self(Some(node)) }
    }
}

/// A reference that keeps no node alive; made by [`NodeRef::downgrade`].
#[derive(Clone)]
pub(crate) struct WeakNodeRef(Option<Weak<Node>>);

impl WeakNodeRef {
    pub(crate) const PROCESS: WeakNodeRef = WeakNodeRef(None);

    pub(crate) fn is_process(&self) -> bool {
        self.0.is_none()
    }

    /// A reference to no node, for an object that never belongs to one.
    pub(crate) fn nowhere() -> Self {
        Self(Some(Weak::new()))
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.ptr_eq(&Weak::new()))
    }

    pub(crate) fn upgrade(&self) -> Option<NodeRef> {
        match &self.0 {
            None => Some(NodeRef::PROCESS),
            Some(node) => node.upgrade().map(|node| NodeRef(Some(node))),
        }
    }
}

/// A weak reference that is set once. One word, null until then, or a [note](Self::note).
///
/// The word is the address of a forgotten `Weak`, as `Weak::into_raw` returns it, and owns that one's count. A note is an
/// odd number, which no address of a node is.
pub(crate) struct OnceWeak(AtomicPtr<Node>);

impl OnceWeak {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Keeps an odd number until the reference is set. Called before another thread sees the word.
    pub(crate) fn note(&self, odd: usize) {
        debug_assert!(odd % 2 == 1, "an even number would be taken for an address");
        self.0.store(ptr::without_provenance_mut(odd), Ordering::Relaxed);
    }

    /// Returns the number that [`note`](Self::note) keeps, unless the reference was set since.
    #[inline]
    pub(crate) fn noted(&self) -> Option<usize> {
        let word = self.0.load(Ordering::Relaxed);
        is_note(word).then(|| word.addr())
    }

    /// True for the first call. The process is never set.
    pub(crate) fn set(&self, node: &NodeRef) -> bool {
        let Some(node) = &node.0 else { return false };
        let before = self.0.load(Ordering::Relaxed);
        let unset = if is_note(before) { before } else { ptr::null_mut() };
        let weak = Arc::downgrade(node);
        let address = weak.as_ptr().cast_mut();
        // Release: the count is there before `upgrade` reads the address; pairs with its Acquire.
        let first = self.0.compare_exchange(unset, address, Ordering::Release, Ordering::Relaxed).is_ok();
        if first {
            // The word owns the count from now on, as if the address came from `Weak::into_raw`.
            mem::forget(weak);
        }
        first
    }

    pub(crate) fn upgrade(&self) -> Option<NodeRef> {
        let node = self.0.load(Ordering::Acquire);
        if node.is_null() || is_note(node) {
            return None;
        }
        // SAFETY: the word owns a weak count that came with this address, until the drop, which the borrow excludes.
        // `ManuallyDrop` leaves the count with the word.
        let node = ManuallyDrop::new(unsafe { Weak::from_raw(node) });
        node.upgrade().map(|node| NodeRef(Some(node)))
    }
}

fn is_note(word: *mut Node) -> bool {
    word.addr() & 1 == 1
}

impl Drop for OnceWeak {
    fn drop(&mut self) {
        let node = *self.0.get_mut();
        if !node.is_null() && !is_note(node) {
            // SAFETY: the word owns a weak count that came with this address, and is not used after this.
            drop(unsafe { Weak::from_raw(node) });
        }
    }
}
