//! [`Bindings`]: all bindings of one key, wherever in the tree.
//!
//! # Invariants
//! 1. Every change (a binding, its removal, a landing, the seal, a subscription) is one critical section of the key's
//!    lock, so all threads agree on their order. Look-ups take no lock.
//! 2. No user code runs under the lock: values that come out of a node are dropped, and waiters are woken, after it. So
//!    a node's entry is read there under the slots' writer lock and not by a hazard pointer, whose release may free
//!    values that other threads left behind.
//! 3. A scope that ends drops its bindings without taking the lock. A binder checks again after the binding whether the
//!    node has ended, so no value stays behind at an ended scope.

use std::collections::VecDeque;

use slab::Slab;

use crate::error::value::InitError;
use crate::lineage::node::{NodeKind, NodeRef};
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;
use crate::sync::weak_list::WeakList;
use crate::value::binding::BoundValue;
use crate::value::flight::Flights;
use crate::value::key::next_number;
use crate::value::leader::Leader;
use crate::wait::waker_set::WakerSet;

/// The outcome of a flight.
pub(crate) type Outcome<V> = Result<Arc<V>, InitError>;

/// The bindings of one key.
pub(crate) struct Bindings<K, V> {
    pub(crate) name: &'static str,
    /// Nodes keep the key's values under this number. Never reused.
    pub(crate) number: Namespace,
    /// A node keeps a [`NodeMap`](crate::value::node_map) instead of one value.
    pub(super) mapped: bool,
    pub(super) flights: Flights<BindingState<K, V>, Outcome<V>, Leader>,
    pub(super) index: WeakList<BoundValue<K, V>>,
    /// Subscribers, woken outside the lock after each announcement and after the seal.
    pub(super) subscribers: WakerSet,
}

/// The state that the key's lock guards, beside the flights.
pub(crate) struct BindingState<K, V> {
    last: u64,
    pub(super) sealed: bool,
    /// The bindings that each subscriber has not read yet.
    pub(super) unread: Slab<VecDeque<Arc<BoundValue<K, V>>>>,
}

impl<K, V> BindingState<K, V> {
    /// Numbers a new binding. True when it was announced: the subscribers are to be woken, outside the lock.
    pub(super) fn bound(&mut self, binding: &Arc<BoundValue<K, V>>, announce: bool) -> bool {
        self.last += 1;
        binding.set_seq(self.last);
        if announce {
            self.unread.iter_mut().for_each(|(_, unread)| unread.push_back(Arc::clone(binding)));
        }
        announce && !self.unread.is_empty()
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Bindings<K, V> {
    pub(crate) fn new(name: &'static str, mapped: bool) -> Arc<Self> {
        Arc::new(Self {
            name,
            number: Namespace::from(next_number()),
            mapped,
            flights: Flights::new(BindingState { last: 0, sealed: false, unread: Slab::new() }),
            index: WeakList::new(),
            subscribers: WakerSet::new(),
        })
    }

    /// Ends all later bindings. Subscriptions end once they have returned the earlier ones.
    pub(crate) fn seal(&self) {
        self.flights.kept(|state| state.sealed = true);
        self.subscribers.wake_all();
    }

    /// Registers a subscriber. Its queue begins with the present bindings, in the order in which they were bound.
    pub(super) fn subscribe(&self) -> usize {
        // Each reference that may be the last one leaves the critical section.
        let (key, _live, _nodes) = self.flights.kept(|state| {
            let live = self.index.live();
            let nodes: Vec<Option<NodeRef>> = live.iter().map(|binding| binding.at.upgrade()).collect();
            let keeps = |node: &Option<NodeRef>| node.as_ref().is_some_and(keeps_values);
            let bound = live.iter().zip(&nodes).filter(|(binding, node)| binding.seq() > 0 && keeps(node));
            let mut unread: Vec<_> = bound.map(|(binding, _)| Arc::clone(binding)).collect();
            unread.sort_by_key(|binding| binding.seq());
            (state.unread.insert(unread.into()), live, nodes)
        });
        key
    }
}

/// A scope that has ended has dropped its bindings.
fn keeps_values(node: &NodeRef) -> bool {
    node.node().kind() != NodeKind::Scope || !node.node().is_over()
}
