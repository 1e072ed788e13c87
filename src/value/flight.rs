//! [`Flights`]: at most one initialiser at a time for each slot, and those who wait for it.
//!
//! ```text
//!   (none) --join--> UNDER WAY --complete | publish | lost--> LANDED (final, and no longer in the table)
//! ```
//!
//! The one who boards first leads: it runs the initialiser, with nothing locked. The others wait for its flight.
//!
//! # The races to fear
//! * Two ask, both find nothing, and both begin. They cannot: `join` looks at what is kept and into the book under one
//!   lock, so the second finds the first's flight.
//! * One asks between the storing of a value and the flight's removal from the book, and begins again. It cannot: both
//!   happen in one critical section.
//! * A value is published while the initialiser ends. Whoever takes the flight off the book first decides; the other
//!   finds it gone, and gets what it landed with.
//! * A waiter looks, finds nothing, and the flight lands before it sleeps. It leaves its waker under the same lock as
//!   it looks, and the landing takes all wakers under that lock.
//! * The leader goes without a word. [`Lead`]'s drop lands the flight.
//!
//! Nothing here runs user code under a lock: what is kept, every outcome and every waker is moved out before it is
//! dropped.

use std::collections::HashMap;
use std::task::Waker;
use std::time::Instant;

use slab::Slab;

use crate::names::id::NodeId;
use crate::sync::Mutex;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::wait::park;

/// What a flight is for: the owner's node, and which of its entries.
pub(crate) type Slot = (NodeId, u64);

/// The flights of one key; `X` is what the same lock guards, `O` an outcome, `L` says who leads.
pub(crate) struct Flights<X, O, L> {
    table: Mutex<FlightTable<X, O, L>>,
}

struct FlightTable<X, O, L> {
    under_way: HashMap<Slot, Arc<Flight<O, L>>>,
    kept: X,
}

/// Who leads a flight.
pub(crate) trait Leads {
    /// The flight has landed, so nobody waits for the leader any more. Called under the lock, before it goes on.
    fn completed(&self);

    /// The leader is in the process that this one is a fork of, so its flight never lands here.
    fn is_elsewhere(&self) -> bool {
        false
    }
}

/// One run of an initialiser.
pub(crate) struct Flight<O, L> {
    /// Whose stack the initialiser runs on.
    pub(crate) leader: L,
    waiting: Mutex<WaitState<O>>,
}

struct WaitState<O> {
    /// Set once.
    outcome: Option<O>,
    /// Empty once it has landed.
    waiters: Slab<Waker>,
}

/// What `join` found, so what its caller does next.
pub(crate) enum JoinFlight<'a, X, O: Clone, L: Leads> {
    /// It is there already, or will never be.
    Known(O),
    /// Run the initialiser, and land.
    Lead(Lead<'a, X, O, L>),
    /// Wait for it.
    Wait(Arc<Flight<O, L>>),
}

/// Leads a flight. Dropping it without landing lands it as lost.
#[must_use = "the flight is lost as soon as this is dropped"]
pub(crate) struct Lead<'a, X, O: Clone, L: Leads> {
    flights: &'a Flights<X, O, L>,
    slot: Slot,
    flight: Arc<Flight<O, L>>,
    lost: O,
    completed: bool,
}

impl<X, O: Clone, L: Leads> Flights<X, O, L> {
    pub(crate) fn new(kept: X) -> Self {
        Self { table: Mutex::new(FlightTable { under_way: HashMap::new(), kept }) }
    }

    /// Looks at what is kept, or changes it. `f` runs under the lock: it runs no user code, and hands out what it
    /// takes.
    pub(crate) fn kept<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        f(&mut self.table.lock().kept)
    }

    /// Asks. `look` answers from what is kept, under the lock. `lost` is the outcome when the leader goes without a
    /// word.
    pub(crate) fn join(
        &self,
        slot: Slot,
        leader: L,
        lost: O,
        look: impl FnOnce(&mut X) -> Option<O>,
    ) -> JoinFlight<'_, X, O, L> {
        let flight = Arc::new(Flight::new(leader));
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

    /// Stores from outside. With the outcome that `store` gives, if it gives one, a flight under way there lands.
    pub(crate) fn publish<R>(&self, slot: Slot, store: impl FnOnce(&mut X) -> (Option<O>, R)) -> R {
        let mut table = self.table.lock();
        let (outcome, out) = store(&mut table.kept);
        let flight = outcome.as_ref().and_then(|_| table.under_way.remove(&slot));
        let waiters = flight.as_ref().zip(outcome).map(|(flight, outcome)| flight.complete(outcome));
        drop(table);
        wake(waiters);
        out
    }
}

fn wake(waiters: Option<Slab<Waker>>) {
    for (_, waker) in waiters.into_iter().flatten() {
        swallow(|| waker.wake());
    }
}

impl<X, O: Clone, L: Leads> Lead<'_, X, O, L> {
    /// Ends the flight. `store` keeps the value and says the outcome, in the same critical section in which the flight
    /// leaves the book. When a value was published meanwhile it is not called; it comes back with what was
    /// published.
    pub(crate) fn complete<R, F>(mut self, store: F) -> (O, Result<R, F>)
    where
        F: FnOnce(&mut X) -> (O, R),
    {
        self.completed = true;
        let mut table = self.flights.table.lock();
        let published = self.flight.outcome();
        let (outcome, out, ended) = match published {
            Some(published) => (published, Err(store), None),
            None => {
                let (outcome, out) = store(&mut table.kept);
                let waiters = self.flight.complete(outcome.clone());
                (outcome, Ok(out), Some((table.under_way.remove(&self.slot), waiters)))
            }
        };
        drop(table);
        wake(ended.map(|(_, waiters)| waiters));
        (outcome, out)
    }

    /// Which flight it is, to compare.
    pub(crate) fn flight_address(&self) -> usize {
        Arc::as_ptr(&self.flight).addr()
    }

    /// Lands the flight as lost, unless it has landed: its leader will never come back.
    pub(crate) fn give_up(&self) {
        let mut table = self.flights.table.lock();
        if self.flight.outcome().is_some() {
            return;
        }
        let waiters = self.flight.complete(self.lost.clone());
        let ended = table.under_way.remove(&self.slot);
        drop(table);
        drop(ended);
        wake(Some(waiters));
    }
}

impl<X, O: Clone, L: Leads> Drop for Lead<'_, X, O, L> {
    fn drop(&mut self) {
        if !self.completed {
            self.give_up();
        }
    }
}

impl<O: Clone, L: Leads> Flight<O, L> {
    fn new(leader: L) -> Self {
        Self { leader, waiting: Mutex::new(WaitState { outcome: None, waiters: Slab::new() }) }
    }

    /// With the book's lock held: one outcome, and one call that sets it.
    #[must_use = "the waiters are to be woken, outside the lock"]
    fn complete(&self, outcome: O) -> Slab<Waker> {
        let mut waiting = self.waiting.lock();
        debug_assert!(waiting.outcome.is_none(), "a flight lands once");
        waiting.outcome = Some(outcome);
        self.leader.completed();
        std::mem::take(&mut waiting.waiters)
    }

    pub(crate) fn outcome(&self) -> Option<O> {
        self.waiting.lock().outcome.clone()
    }

    /// A place for one who waits.
    pub(crate) fn waiter(&self) -> Waiter<'_, O, L> {
        Waiter { flight: self, key: None }
    }

    /// Waits until it has landed, until the deadline, or until `given_up` answers, which is asked each time the waiter
    /// wakes and arranges for its own wake-up. `None`: it was too late. The flight goes on undisturbed.
    pub(crate) fn wait(&self, deadline: Option<Instant>, mut given_up: impl FnMut(&Waker) -> Option<O>) -> Option<O> {
        let mut waiter = self.waiter();
        let mut out = None;
        park::block_until(deadline, |waker| {
            // Looked at again after a reason to give up: what came of a landed flight, a cycle with its leader say, is
            // no reason.
            out = waiter.poll(waker).or_else(|| given_up(waker).map(|reason| self.outcome().unwrap_or(reason)));
            out.is_some()
        });
        out.or_else(|| self.outcome())
    }
}

/// A waiter's place in a flight; given back when it stops waiting.
pub(crate) struct Waiter<'a, O, L> {
    flight: &'a Flight<O, L>,
    key: Option<usize>,
}

impl<O: Clone, L: Leads> Waiter<'_, O, L> {
    /// The outcome; until there is one, the waker is woken then.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Option<O> {
        // A waker's clone and drop may be a user's.
        let new = waker.clone();
        let (outcome, old) = {
            let mut waiting = self.flight.waiting.lock();
            let outcome = waiting.outcome.clone();
            let old = match self.key.and_then(|key| waiting.waiters.get_mut(key)) {
                Some(waiter) => Some(std::mem::replace(waiter, new)),
                None if outcome.is_none() => {
                    self.key = Some(waiting.waiters.insert(new));
                    None
                }
                None => Some(new),
            };
            (outcome, old)
        };
        drop(old);
        outcome
    }
}

impl<O, L> Drop for Waiter<'_, O, L> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.flight.waiting.lock().waiters.try_remove(key);
            drop(waker);
        }
    }
}
