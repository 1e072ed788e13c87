//! [`Flights`]: at most one initialiser at a time for each slot, shared by all callers that ask meanwhile.
//!
//! ```text
//!   (none) --join--> UNDER WAY --complete | publish | give_up--> LANDED (final, and off the table)
//! ```
//!
//! The first caller leads: it runs the initialiser, with no lock held. The later callers wait for its flight.
//!
//! # The races to fear
//! * Two callers find no value and both initialise. Impossible: `join` reads the kept values and the table under one
//!   lock, so the second caller finds the flight of the first.
//! * A caller asks between the storing of a value and the removal of its flight, and initialises again. Impossible:
//!   both happen in one critical section.
//! * A value is published while the initialiser ends. The thread that takes the flight off the table first decides;
//!   the other thread finds it landed, and gets its outcome.
//! * A waiter finds no outcome, and the flight lands before the waiter parks. The waiter registers its waker first and
//!   looks then; the landing stores the outcome first and wakes then. One of the two sees the other.
//! * The leader unwinds, or its future is dropped. [`Lead`]'s drop lands the flight.
//!
//! No user code runs under a lock: kept values, outcomes and wakers are moved out before they are dropped.

use std::collections::HashMap;
use std::task::Waker;
use std::time::Instant;

use crate::names::id::NodeId;
use crate::sync::Mutex;
use crate::sync::os::Arc;
use crate::wait::park;
use crate::wait::waker_set::WakerSet;

/// The address of a flight: the owner's node, and the number of the key there.
pub(crate) type Slot = (NodeId, u64);

/// The flights of one key. `X` is guarded by the same lock, `O` is an outcome, `L` identifies a leader.
pub(crate) struct Flights<X, O, L> {
    table: Mutex<FlightTable<X, O, L>>,
}

struct FlightTable<X, O, L> {
    under_way: HashMap<Slot, Arc<Flight<O, L>>>,
    kept: X,
}

/// The leader of a flight.
pub(crate) trait Leads {
    /// The flight has landed, so no waiter waits for the leader any more. Called under the lock, before the leader goes
    /// on.
    fn completed(&self);

    /// The leader runs in the process that this one is a fork of, so its flight never lands here.
    fn is_elsewhere(&self) -> bool {
        false
    }
}

/// One run of an initialiser.
pub(crate) struct Flight<O, L> {
    pub(crate) leader: L,
    /// Set once, with the table's lock held.
    outcome: Mutex<Option<O>>,
    landed: WakerSet,
}

/// The answer of `join`, and so the next step of its caller.
pub(crate) enum JoinFlight<'a, X, O: Clone, L: Leads> {
    /// The value is there already, or will never be.
    Known(O),
    /// Run the initialiser, and land.
    Lead(Lead<'a, X, O, L>),
    /// Wait for the flight.
    Wait(Arc<Flight<O, L>>),
}

/// The duty to land a flight. Dropping it without landing lands the flight as lost.
#[must_use = "the flight is lost as soon as this is dropped"]
pub(crate) struct Lead<'a, X, O: Clone, L: Leads> {
    flights: &'a Flights<X, O, L>,
    slot: Slot,
    pub(crate) flight: Arc<Flight<O, L>>,
    lost: O,
    completed: bool,
}

impl<X, O: Clone, L: Leads> Flights<X, O, L> {
    pub(crate) fn new(kept: X) -> Self {
        Self { table: Mutex::new(FlightTable { under_way: HashMap::new(), kept }) }
    }

    /// Reads or changes the kept values. `f` runs under the lock: it runs no user code, and hands out all that it
    /// removes.
    pub(crate) fn kept<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        f(&mut self.table.lock().kept)
    }

    /// Asks for a value. `look` answers from the kept values, under the lock. `lost` is the outcome of a leader that
    /// never lands.
    pub(crate) fn join(
        &self,
        slot: Slot,
        leader: L,
        lost: O,
        look: impl FnOnce(&mut X) -> Option<O>,
    ) -> JoinFlight<'_, X, O, L> {
        let flight = Arc::new(Flight { leader, outcome: Mutex::new(None), landed: WakerSet::new() });
        let mut table = self.table.lock();
        if let Some(known) = look(&mut table.kept) {
            return JoinFlight::Known(known);
        }
        if let Some(under_way) = table.under_way.get(&slot).filter(|flight| !flight.leader.is_elsewhere()) {
            return JoinFlight::Wait(Arc::clone(under_way));
        }
        let elsewhere = table.under_way.insert(slot, Arc::clone(&flight));
        drop(table);
        drop(elsewhere);
        JoinFlight::Lead(Lead { flights: self, slot, flight, lost, completed: false })
    }

    /// Stores a value from outside. With the outcome of `store`, if there is one, the slot's flight lands.
    pub(crate) fn publish<R>(&self, slot: Slot, store: impl FnOnce(&mut X) -> (Option<O>, R)) -> R {
        let mut table = self.table.lock();
        let (outcome, out) = store(&mut table.kept);
        let landed = outcome.and_then(|outcome| table.land(&slot, outcome));
        drop(table);
        wake(landed);
        out
    }
}

impl<X, O, L: Leads> FlightTable<X, O, L> {
    /// Takes the slot's flight off the table with its outcome. The caller wakes its waiters outside the lock.
    #[must_use = "the waiters are to be woken, outside the lock"]
    fn land(&mut self, slot: &Slot, outcome: O) -> Option<Arc<Flight<O, L>>> {
        let flight = Arc::clone(self.under_way.get(slot)?);
        Some(self.land_flight(slot, flight, outcome))
    }

    /// The same for this flight. The slot may have another one: in a fork's child, of a leader that found this one lost.
    #[must_use = "the waiters are to be woken, outside the lock"]
    fn land_flight(&mut self, slot: &Slot, flight: Arc<Flight<O, L>>, outcome: O) -> Arc<Flight<O, L>> {
        if self.under_way.get(slot).is_some_and(|known| Arc::ptr_eq(known, &flight)) {
            self.under_way.remove(slot);
        }
        let before = flight.outcome.lock().replace(outcome);
        debug_assert!(before.is_none(), "a flight lands once");
        flight.leader.completed();
        flight
    }
}

fn wake<O, L>(landed: Option<Arc<Flight<O, L>>>) {
    if let Some(flight) = landed {
        flight.landed.wake_all();
    }
}

impl<X, O: Clone, L: Leads> Lead<'_, X, O, L> {
    /// Ends the flight. `store` keeps the value and returns the outcome, in the critical section in which the flight
    /// leaves the table. `store` is not called where a value was published meanwhile: that outcome is returned then.
    pub(crate) fn complete<R>(mut self, store: impl FnOnce(&mut X) -> (O, R)) -> (O, Option<R>) {
        self.completed = true;
        let mut table = self.flights.table.lock();
        if let Some(published) = self.flight.outcome() {
            return (published, None);
        }
        let (outcome, out) = store(&mut table.kept);
        let landed = table.land_flight(&self.slot, Arc::clone(&self.flight), outcome.clone());
        drop(table);
        wake(Some(landed));
        (outcome, Some(out))
    }

    /// Lands the flight as lost, unless it has landed: its leader never comes back.
    pub(crate) fn give_up(&self) {
        let mut table = self.flights.table.lock();
        if self.flight.outcome().is_none() {
            let landed = table.land_flight(&self.slot, Arc::clone(&self.flight), self.lost.clone());
            drop(table);
            wake(Some(landed));
        }
    }
}

impl<X, O: Clone, L: Leads> Drop for Lead<'_, X, O, L> {
    fn drop(&mut self) {
        if !self.completed {
            self.give_up();
        }
    }
}

impl<O: Clone, L> Flight<O, L> {
    pub(crate) fn outcome(&self) -> Option<O> {
        self.outcome.lock().clone()
    }

    /// Polls for the outcome with each waker that `poll` is called with.
    pub(crate) fn waiter(&self) -> impl FnMut(&Waker) -> Option<O> {
        let registered = self.landed.register();
        move |waker| {
            // The waker comes before the look: see the races above.
            registered.set(waker);
            self.outcome()
        }
    }

    /// Waits for the outcome, until the deadline, or until `given_up` answers. `None`: the deadline came first. The
    /// flight goes on undisturbed.
    ///
    /// `given_up` is asked each time the waiter wakes, and arranges for its own wake-up.
    pub(crate) fn wait(&self, deadline: Option<Instant>, mut given_up: impl FnMut(&Waker) -> Option<O>) -> Option<O> {
        let mut poll = self.waiter();
        let mut out = None;
        park::block_until(deadline, |waker| {
            // The outcome is read again after a reason to give up: a reason that came of a landed flight, such as a
            // circle with its leader, is none.
            out = poll(waker).or_else(|| given_up(waker).map(|reason| self.outcome().unwrap_or(reason)));
            out.is_some()
        });
        out.or_else(|| self.outcome())
    }
}
