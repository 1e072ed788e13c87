//! [`Bindings`]: where the values of one key are bound, one at a time.
//!
//! # Invariants
//! 1. Every change (a binding, its end by hand, a landing, the seal, a subscription) is one critical section of the
//!    desk's lock, so all agree on their order. Look-ups take no lock.
//! 2. Under the lock no user code runs: what comes out of a node is dropped, and whoever waits is woken, after it. So
//!    what a node keeps is looked up there by its writers' lock and not by a hazard pointer, whose end may free what
//!    others left.
//! 3. A scope that ends drops what is bound there without asking the desk. Whoever binds looks again afterwards whether
//!    the place is over, so nothing stays behind at one.

use std::any::Any;
use std::task::Waker;

use smallvec::SmallVec;

use crate::error::value::{BindError, InitError};
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeKind, NodeRef};
use crate::lineage::slots::{Removed, SlotValue};
use crate::names::namespace::Namespace;
use crate::runtime;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::sync::weak_list::WeakList;
use crate::value::binding::BoundValue;
use crate::value::flight::{Flights, Leads, Slot};
use crate::value::inbox::Inbox;
use crate::value::key::{Interned, next_number};
use crate::value::node_map::{self, Entry, Failure};
use crate::wait::graph::{self, Obligation};

/// What a flight lands with.
pub(crate) type Outcome<V> = Result<Arc<V>, InitError>;

/// The thread that an initialiser runs on owes the value, or the future that it is.
pub(crate) struct Leader(pub(crate) Arc<Obligation>);

impl Leader {
    pub(crate) fn me() -> Self {
        Self(Obligation::new(graph::me()))
    }

    /// The future that the calling thread polls.
    pub(crate) fn future() -> Self {
        Self(Obligation::by(runtime::obligor()))
    }
}

impl Leads for Leader {
    fn completed(&self) {
        self.0.fulfil();
    }

    fn is_elsewhere(&self) -> bool {
        // A thread that forked inside of its own initialiser goes on with it in both processes.
        self.0.is_elsewhere() && !self.0.is_mine()
    }
}

/// The bindings of one key.
pub(crate) struct Bindings<K, V> {
    pub(crate) name: &'static str,
    /// What nodes keep the key's values under. Never reused.
    pub(crate) number: Namespace,
    /// A node keeps many, on a shelf, instead of one.
    mapped: bool,
    pub(crate) flights: Flights<BindingState<K, V>, Outcome<V>, Leader>,
    index: WeakList<BoundValue<K, V>>,
}

/// What the desk's lock guards, beside the flights.
pub(crate) struct BindingState<K, V> {
    last: u64,
    sealed: bool,
    inboxes: Vec<Arc<Inbox<K, V>>>,
}

/// Wakers of subscribers, to be woken outside the lock.
#[must_use]
pub(crate) struct Wakers(SmallVec<[Waker; 2]>);

impl Wakers {
    pub(crate) fn wake(self) {
        for waker in self.0 {
            swallow(|| waker.wake());
        }
    }
}

/// Who is to be told of a new binding, and the one it took the place of.
type Stored<K, V> = (Wakers, Option<Arc<BoundValue<K, V>>>);

/// What must not be dropped under the lock: all that comes out of a node, be it changed or only looked at, because it
/// may have become the last reference meanwhile.
pub(crate) struct DeferredDrops<K, V> {
    slot_values: SmallVec<[Arc<SlotValue>; 4]>,
    taken: SmallVec<[Removed; 2]>,
    entries: SmallVec<[Entry<K, V>; 2]>,
}

impl<K, V> DeferredDrops<K, V> {
    pub(crate) fn new() -> Self {
        Self { slot_values: SmallVec::new(), taken: SmallVec::new(), entries: SmallVec::new() }
    }

    fn keep<R: Any + Send + Sync>(&mut self, slot_value: Arc<R>) -> Arc<R> {
        self.slot_values.push(Arc::clone(&slot_value) as _);
        slot_value
    }

    fn keep_any(&mut self, slot_value: Arc<SlotValue>) -> Arc<SlotValue> {
        self.slot_values.push(Arc::clone(&slot_value));
        slot_value
    }
}

/// One entry of one node.
pub(crate) struct At<'a, K> {
    pub(crate) place: &'a NodeRef,
    pub(crate) key: &'a Arc<Interned<K>>,
}

impl<K> At<'_, K> {
    pub(crate) fn slot(&self) -> Slot {
        (self.place.node().id(), self.key.number())
    }

    pub(crate) fn node(&self) -> &Node {
        self.place.node()
    }

    fn words(&self) -> String {
        Lineage(self.place.clone()).to_string()
    }
}

/// How a value is bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindMode {
    /// In the place of another.
    Replacing,
    /// Only where there is none.
    Unique,
}

impl<K, V> Bindings<K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(name: &'static str, mapped: bool) -> Arc<Self> {
        let state = BindingState { last: 0, sealed: false, inboxes: Vec::new() };
        Arc::new(Self {
            name,
            number: Namespace::from(next_number()),
            mapped,
            flights: Flights::new(state),
            index: WeakList::new(),
        })
    }

    fn slot_value(&self, at: &At<'_, K>, drops: &mut DeferredDrops<K, V>) -> Option<Arc<SlotValue>> {
        at.node().values.find_counted(&self.number).map(|slot_value| drops.keep_any(slot_value))
    }

    /// What the very node has. As all that takes a bag, with the lock held.
    pub(crate) fn own(&self, at: &At<'_, K>, drops: &mut DeferredDrops<K, V>) -> Option<Arc<BoundValue<K, V>>> {
        let found = self.slot_value(at, drops)?;
        let binding = if self.mapped { node_map::binding(&found, at.key.number()) } else { found.downcast().ok() };
        binding.map(|binding| drops.keep(binding))
    }

    /// A failure that the very node remembers.
    pub(crate) fn failure(&self, at: &At<'_, K>, drops: &mut DeferredDrops<K, V>) -> Option<InitError> {
        if !self.mapped {
            return None;
        }
        node_map::failure::<K, V>(&self.slot_value(at, drops)?, at.key.number())
    }

    /// Changes what the very node has; what it had comes back.
    fn put(
        &self,
        at: &At<'_, K>,
        binding: Option<Arc<BoundValue<K, V>>>,
        drops: &mut DeferredDrops<K, V>,
    ) -> Option<Arc<BoundValue<K, V>>> {
        if self.mapped {
            return self.put_entry(at, binding.map(Entry::Bound), drops);
        }
        let taken = at.node().values.exchange(&self.number, binding.map(|binding| binding as _));
        let before = taken.slot_value().and_then(|slot_value| Arc::clone(slot_value).downcast().ok());
        drops.taken.push(taken);
        before.map(|before| drops.keep(before))
    }

    fn put_entry(
        &self,
        at: &At<'_, K>,
        entry: Option<Entry<K, V>>,
        drops: &mut DeferredDrops<K, V>,
    ) -> Option<Arc<BoundValue<K, V>>> {
        let map = match &entry {
            Some(_) => drops.keep_any(at.node().values.find_or_insert(&self.number, node_map::new::<K, V>)),
            None => self.slot_value(at, drops)?,
        };
        let before = node_map::put(&map, at.key.number(), entry)?;
        let binding = before.binding().cloned();
        drops.entries.push(before);
        binding
    }

    /// Binds; the one that was there comes back.
    fn store(
        &self,
        state: &mut BindingState<K, V>,
        at: &At<'_, K>,
        binding: &Arc<BoundValue<K, V>>,
        announced: bool,
        drops: &mut DeferredDrops<K, V>,
    ) -> Result<Stored<K, V>, BindError> {
        if state.sealed && announced {
            return Err(BindError::Sealed { key: self.name });
        }
        let gone = || BindError::OwnerGone { key: self.name, place: at.words() };
        if at.node().is_over() {
            return Err(gone());
        }
        let before = self.put(at, Some(Arc::clone(binding)), drops);
        // Looked at again after it was put there: invariant 3.
        if at.node().is_over() {
            // What a thread or a task had it keeps for those below; a scope has dropped it.
            let back = before.filter(|_| at.node().kind() != NodeKind::Scope);
            self.put(at, back, drops);
            return Err(gone());
        }
        if let Some(before) = &before {
            before.set_seq(0);
        }
        state.last += 1;
        binding.set_seq(state.last);
        let wakers = if announced { state.announce(binding) } else { Wakers(SmallVec::new()) };
        Ok((wakers, before))
    }

    /// A binding that no node has yet.
    pub(crate) fn binding(&self, at: &At<'_, K>, value: Arc<V>) -> Arc<BoundValue<K, V>> {
        BoundValue::new(&self.index, at.place, Arc::clone(at.key), value)
    }

    /// Binds. A flight under way there lands with the value. The value that was there comes back.
    pub(crate) fn bind(&self, at: &At<'_, K>, value: Arc<V>, mode: BindMode) -> Result<Option<Arc<V>>, BindError> {
        let mut drops = DeferredDrops::new();
        let binding = self.binding(at, Arc::clone(&value));
        let bound = self.flights.publish(at.slot(), |state| {
            // The seal comes first: a unique binding that meets one is refused for that.
            if mode == BindMode::Unique && !state.sealed && self.own(at, &mut drops).is_some() {
                return (None, Err(BindError::AlreadyBound { key: self.name, place: at.words() }));
            }
            let stored = self.store(state, at, &binding, true, &mut drops);
            (stored.is_ok().then(|| Ok(Arc::clone(&value))), stored)
        });
        let (wakers, before) = bound?;
        wakers.wake();
        Ok(before.map(|before| Arc::clone(before.value())))
    }

    /// Takes out what the very node has.
    pub(crate) fn unbind(&self, at: &At<'_, K>) -> Option<Arc<V>> {
        let mut drops = DeferredDrops::new();
        let before = self.flights.kept(|_| {
            self.own(at, &mut drops)?;
            let before = self.put(at, None, &mut drops)?;
            before.set_seq(0);
            Some(before)
        })?;
        Some(Arc::clone(before.value()))
    }

    /// Binds what an initialiser made, as its flight lands.
    pub(crate) fn completed(
        &self,
        state: &mut BindingState<K, V>,
        at: &At<'_, K>,
        binding: &Arc<BoundValue<K, V>>,
        announced: bool,
        drops: &mut DeferredDrops<K, V>,
    ) -> (Outcome<V>, Option<Wakers>) {
        match self.store(state, at, binding, announced, drops) {
            Ok((wakers, _)) => (Ok(Arc::clone(binding.value())), Some(wakers)),
            Err(BindError::Sealed { key }) => (Err(InitError::Sealed { key }), None),
            Err(BindError::NoPlace { key }) => (Err(InitError::NoPlace { key }), None),
            Err(BindError::OwnerGone { key, .. } | BindError::AlreadyBound { key, .. }) => {
                (Err(InitError::OwnerGone { key }), None)
            }
        }
    }

    /// Remembers a failure at the owner, as its flight lands.
    pub(crate) fn failed(&self, at: &At<'_, K>, error: &InitError, drops: &mut DeferredDrops<K, V>) {
        if at.node().is_over() {
            return;
        }
        let failed = Entry::Failed(Failure::new(error.clone(), Arc::clone(at.key)));
        self.put_entry(at, Some(failed), drops);
        if at.node().is_over() {
            self.put_entry(at, None, drops);
        }
    }

    /// Forgets a failure. True when there was one.
    pub(crate) fn forget(&self, at: &At<'_, K>) -> bool {
        let mut drops = DeferredDrops::new();
        let forgotten = self.flights.kept(|_| {
            self.failure(at, &mut drops)?;
            Some(self.put_entry(at, None, &mut drops))
        });
        forgotten.is_some()
    }

    /// Nothing more is bound, so the subscriptions end with what they have.
    pub(crate) fn seal(&self) {
        let inboxes = self.flights.kept(|state| {
            state.sealed = true;
            std::mem::take(&mut state.inboxes)
        });
        Wakers(inboxes.iter().filter_map(|inbox| inbox.end()).collect()).wake();
    }

    /// An inbox with what is bound now, in the order in which it was bound, and from now on with what will be.
    pub(crate) fn subscribe(&self) -> Arc<Inbox<K, V>> {
        let inbox = Arc::new(Inbox::new());
        // Everything that may be the last reference to something comes out of the critical section.
        let (_live, _places) = self.flights.kept(|state| {
            let live = self.index.live();
            let places: Vec<Option<NodeRef>> = live.iter().map(|binding| binding.at.upgrade()).collect();
            let mut now: Vec<&Arc<BoundValue<K, V>>> = live
                .iter()
                .zip(&places)
                .filter(|(binding, place)| binding.seq() > 0 && place.as_ref().is_some_and(keeps_values))
                .map(|(binding, _)| binding)
                .collect();
            now.sort_by_key(|binding| binding.seq());
            inbox.begin(now.into_iter().map(Arc::clone), state.sealed);
            if !state.sealed {
                state.inboxes.push(Arc::clone(&inbox));
            }
            (live, places)
        });
        inbox
    }

    pub(crate) fn unsubscribe(&self, inbox: &Arc<Inbox<K, V>>) {
        let _left = self.flights.kept(|state| {
            let at = state.inboxes.iter().position(|one| Arc::ptr_eq(one, inbox))?;
            Some(state.inboxes.swap_remove(at))
        });
    }

    /// The key itself is gone: nobody can find its values any more.
    pub(crate) fn give_up(&self) {
        self.seal();
        for binding in self.index.live() {
            if let Some(place) = binding.at.upgrade() {
                drop(self.unbind(&At { place: &place, key: &binding.key }));
            }
        }
    }
}

/// A scope that is over has dropped what was bound there.
fn keeps_values(place: &NodeRef) -> bool {
    place.node().kind() != NodeKind::Scope || !place.node().is_over()
}

impl<K, V> BindingState<K, V> {
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    fn announce(&self, binding: &Arc<BoundValue<K, V>>) -> Wakers {
        Wakers(self.inboxes.iter().filter_map(|inbox| inbox.push(Arc::clone(binding))).collect())
    }
}
