//! [`Watch`]: a waker's registration for the cancel requests and the end of a node.

use std::task::Waker;

use smallvec::SmallVec;

use crate::lineage::node::{Node, NodeRef};

/// Registers at the node itself, at every scope above it and at the root.
///
/// A canceller notifies the cancelled node and, where that has descendants, the nearest of the others. So a request
/// wakes its own waiters alone, and a wait costs as much as there are scopes above, however long the chain between
/// them.
pub(crate) struct Watch {
    node: NodeRef,
    /// The registration in each of the node's waker sets. As many as in a wait's stack, so that the type is compiled once.
    at: SmallVec<[usize; 6]>,
}

impl Watch {
    pub(crate) fn new(node: &NodeRef) -> Self {
        let mut at = SmallVec::new();
        node.node().register(|key| at.push(key));
        Self { node: node.clone(), at }
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.node()
    }

    /// Returns whether `done` is true of the node. Otherwise the waker is woken when it may have become true.
    pub(crate) fn poll(&mut self, waker: &Waker, done: impl Fn(&Node) -> bool) -> bool {
        for (set, at) in self.node().waker_sets().zip(&self.at) {
            set.set(*at, waker);
        }
        done(self.node())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (set, at) in self.node.node().waker_sets().zip(&self.at) {
            set.remove(*at);
        }
    }
}
