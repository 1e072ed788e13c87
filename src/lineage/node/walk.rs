//! The walk from a node towards the root, and the scopes on the way.

use std::ptr;

use crate::lineage::node::scope_trackers::ScopeTrackers;
use crate::lineage::node::tree_node::Node;

impl Node {
    /// Returns this node, its parent, and so on to the root. Ends: invariant 1 of [`crate::lineage`].
    pub(crate) fn path(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(self), |node| node.parent())
    }

    pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
        // A node with fewer scopes above it than `other` is not below it: a walk from far away ends at once.
        self.path().take_while(|node| node.scopes >= other.scopes).any(|node| ptr::eq(node, other))
    }

    /// Returns the scopes at or above this node, innermost first. Costs one load where there are none.
    #[inline]
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopeTrackers> {
        self.scope_nodes().map(|(_, trackers)| trackers)
    }

    /// Returns whether a scope at or above the node is closed.
    pub(crate) fn scope_closed(&self) -> bool {
        self.scopes().any(ScopeTrackers::is_closed)
    }

    /// Returns the scopes at or above this node, innermost first, as nodes.
    #[inline]
    pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        // The count shows which scope is the last, so the walk does not go on above it.
        let mut at = if self.scopes > 0 { Some(self) } else { None };
        std::iter::from_fn(move || {
            loop {
                let node = at?;
                let trackers = node.trackers();
                let left = node.scopes - u32::from(trackers.is_some());
                at = if left > 0 { node.counted_parent().map(|parent| &**parent) } else { None };
                if let Some(trackers) = trackers {
                    return Some((node, trackers));
                }
            }
        })
    }

    /// Returns the scopes of this node, innermost first, without those of `other`.
    ///
    /// Costs a walk over the scopes of both.
    pub(crate) fn scopes_beside<'a>(
        &'a self,
        other: &Node,
    ) -> impl Iterator<Item = (&'a Node, &'a ScopeTrackers)> + use<'a> {
        let (own, others) = (self.scopes as usize, other.scopes as usize);
        let deeper = own.saturating_sub(others);
        // Both walks begin at the same depth. Once two scopes are the same, so are all above.
        let own = self.scope_nodes().skip(deeper);
        let others = other.scope_nodes().skip(others.saturating_sub(self.scopes as usize));
        let apart = own.zip(others).take_while(|((own, _), (other, _))| !ptr::eq(*own, *other)).count();
        self.scope_nodes().take(deeper + apart)
    }
}
