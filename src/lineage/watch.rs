//! [`Watch`]: being told when a place is asked to stop, or ends.

use std::task::Waker;

use smallvec::SmallVec;

use crate::lineage::node::{Node, NodeRef};
use crate::wait::waker_set::WakerSet;

/// Listens at the place's own node, at every scope above it and at the root: whoever asks a node to stop tells that
/// node, and the nearest of the others where the node has descendants. So the end of one request wakes its own waiters
/// alone, and waiting costs as much as there are scopes above, however long the chain between them.
pub(crate) struct Watch {
    place: NodeRef,
    /// Where it listens at each of the bells.
    at: SmallVec<[usize; 3]>,
}

impl Watch {
    pub(crate) fn new(place: &NodeRef) -> Self {
        Self { place: place.clone(), at: place.node().waker_sets().map(WakerSet::insert).collect() }
    }

    pub(crate) fn node(&self) -> &Node {
        self.place.node()
    }

    /// Whether `done` is true of the node; otherwise the waker is woken when it may have become true.
    pub(crate) fn poll(&mut self, waker: &Waker, done: impl Fn(&Node) -> bool) -> bool {
        for (set, at) in self.place.node().waker_sets().zip(&self.at) {
            set.set(*at, waker);
        }
        done(self.place.node())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (set, at) in self.place.node().waker_sets().zip(&self.at) {
            set.remove(*at);
        }
    }
}
