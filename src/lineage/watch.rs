//! [`Watch`]: being told when a place is asked to stop, or ends.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use event_listener::EventListener;
use smallvec::SmallVec;

use crate::lineage::node::{Node, Place};

/// Listens at the place's own node, at every scope above it and at the root: whoever asks a node to stop tells that
/// node, and the nearest of the others where the node has descendants. So the end of one request wakes its own waiters
/// alone, and waiting costs as much as there are scopes above, however long the chain between them.
///
/// # The race to fear
/// A waiter looks, finds nothing, and a request comes before it listens. It cannot be missed: the waiter listens first and
/// looks then; the request is noted first and told then.
pub(crate) struct Watch {
    place: Place,
    listeners: SmallVec<[EventListener; 3]>,
}

impl Watch {
    pub(crate) fn new(place: &Place) -> Self {
        let listeners = place.node().bells().map(|bell| bell.listen()).collect();
        Self { place: place.clone(), listeners }
    }

    pub(crate) fn node(&self) -> &Node {
        self.place.node()
    }

    /// Whether `done` is true of the node; otherwise the waker is woken when it may have become true.
    pub(crate) fn poll(&mut self, waker: &Waker, done: impl Fn(&Node) -> bool) -> bool {
        loop {
            let mut told = false;
            for (bell, listener) in self.place.node().bells().zip(&mut self.listeners) {
                if let Poll::Ready(()) = Pin::new(&mut *listener).poll(&mut Context::from_waker(waker)) {
                    *listener = bell.listen();
                    told = true;
                }
            }
            if done(self.place.node()) {
                return true;
            }
            if !told {
                return false;
            }
        }
    }
}
