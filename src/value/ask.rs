//! [`Ask`]: asking for a value that is initialised if it is not there: leading the flight, or waiting for it.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use crate::error::payload_text;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::pool::frame;
use crate::pool::hearing::Hearing;
use crate::pool::wait::GivenAway;
use crate::sync::os::Arc;
use crate::value::desk::{At, Bag, Desk, Leader, Ledger, Outcome};
use crate::value::error::InitError;
use crate::value::flight::{Boarding, Flight, Lead};
use crate::waits::{self, Closed, Ends, Label, Target};

/// One call that may have to initialise a value.
pub(crate) struct Ask<'a, K, V> {
    pub(crate) desk: &'a Desk<K, V>,
    /// Whose value it will be.
    pub(crate) at: At<'a, K>,
    /// How long to wait for another's initialiser.
    pub(crate) deadline: Option<Instant>,
    /// An error is remembered.
    pub(crate) sticky: bool,
    /// Made for this node alone, from one that is bound above: no binding of the user's, so neither sealed nor
    /// announced.
    pub(crate) derived: bool,
}

/// A user's error, for all who wait.
pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(key: &'static str, error: E) -> InitError {
    InitError::Failed { key, error: Arc::from(error.into()) }
}

impl<K, V> Ask<'_, K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The value. `make` runs at most once, standing at the owner, with nothing locked; its panic goes on here.
    pub(crate) fn value(self, make: impl FnOnce() -> Result<V, InitError>) -> Outcome<V> {
        let key = self.desk.name;
        let lost = Err(InitError::Panicked { key, message: String::from("its thread did not come back from it") });
        // The bag goes before anything runs: it must not keep what others let go meanwhile.
        let boarding = {
            let mut bag = Bag::new();
            let look = |ledger: &mut Ledger<K, V>| self.look(ledger, &mut bag);
            self.desk.flights.board(self.at.slot(), Leader::me(), lost, look)
        };
        match boarding {
            Boarding::Known(outcome) => outcome,
            Boarding::Wait(flight) => self.wait(&flight),
            Boarding::Lead(lead) => self.lead(lead, make),
        }
    }

    /// What is known without running anything, with the desk's lock held.
    fn look(&self, ledger: &Ledger<K, V>, bag: &mut Bag<K, V>) -> Option<Outcome<V>> {
        let key = self.desk.name;
        if let Some(own) = self.desk.own(&self.at, bag) {
            return Some(Ok(Arc::clone(own.value())));
        }
        if let Some(error) = self.desk.failure(&self.at, bag) {
            return Some(Err(error));
        }
        if ledger.is_sealed() && !self.derived {
            return Some(Err(InitError::Sealed { key }));
        }
        let gone = if self.derived { self.at.node().is_over() } else { is_gone(self.at.node()) };
        gone.then_some(Err(InitError::OwnerGone { key }))
    }

    fn lead(
        &self,
        lead: Lead<'_, Ledger<K, V>, Outcome<V>, Leader>,
        make: impl FnOnce() -> Result<V, InitError>,
    ) -> Outcome<V> {
        let key = self.desk.name;
        let made = catch_unwind(AssertUnwindSafe(|| {
            let _apart = frame::apart();
            waits::owing(&|| lead.give_up(), || Lineage(self.at.place.clone()).run(make))
        }));
        let mut bag = Bag::new();
        match made {
            Ok(Ok(value)) => {
                let binding = self.desk.binding(&self.at, Arc::new(value));
                let land = |ledger: &mut _| self.desk.landed(ledger, &self.at, &binding, !self.derived, &mut bag);
                let (outcome, landed) = lead.land(land);
                if let Ok(Some(wakers)) = landed {
                    wakers.wake();
                }
                outcome
            }
            Ok(Err(error)) => {
                let land = |_: &mut _| {
                    if self.sticky {
                        self.desk.failed(&self.at, &error, &mut bag);
                    }
                    (Err(error.clone()), ())
                };
                lead.land(land).0
            }
            Err(payload) => {
                let message = payload_text(&*payload).unwrap_or("with something that is no text").to_string();
                let _ = lead.land(|_| (Err(InitError::Panicked { key, message }), ()));
                resume_unwind(payload)
            }
        }
    }

    fn wait(&self, flight: &Flight<Outcome<V>, Leader>) -> Outcome<V> {
        let key = self.desk.name;
        if flight.leader.0.is_mine() {
            return Err(InitError::Reentrant { key });
        }
        let would_deadlock = |why: Closed| Err(InitError::WouldDeadlock { key, circle: why.circle });
        // A task becomes a node here, and so hears what is asked of it.
        let mut own = current::stands().then(Hearing::new);
        let owner = self.at.place;
        // The root cannot be asked to stop, and does not end.
        let mut owner = owner.node().parent().is_some().then(|| Watch::new(owner));
        let on = Target::Debt(Arc::clone(&flight.leader.0));
        let away = match GivenAway::begin_for(on, Label::Value(key), Ends::Asks) {
            Ok(away) => away,
            // Unless it has landed: its leader may wait for this thread by right then.
            Err(why) => return flight.outcome().unwrap_or_else(|| would_deadlock(why)),
        };
        let landed = flight.wait(self.deadline, |waker| {
            if owner.as_mut().is_some_and(|watch| watch.poll(waker, is_gone)) {
                return Some(Err(InitError::OwnerGone { key }));
            }
            if own.as_mut().is_some_and(|own| own.poll(waker, Hearing::is_asked)) {
                return Some(Err(InitError::Cancelled { key }));
            }
            away.told().map(would_deadlock)
        });
        landed.unwrap_or(Err(InitError::TimedOut { key }))
    }
}

/// The node has ended or was asked to stop.
fn is_gone(node: &Node) -> bool {
    node.is_over() || node.is_cancelled()
}
