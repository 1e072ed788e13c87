//! [`InitCall`]: a call for a value that leads the value's flight, or waits for it.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::error::task::payload_text;
use crate::error::{Error as HeirloomError, InitError};
use crate::lineage::current;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::context::thread::shield;
use crate::sync::os::Arc;
use crate::timer::within::within;
use crate::value::bindings::{BindingState, Outcome};
use crate::value::flight::{Flight, JoinFlight, Lead};
use crate::value::leader::Leader;
use crate::value::slot::{BindingSlot, DeferredDrops};
use crate::wait::graph::{self, ClosesCircle, Ends, Label, Target};

/// The error of a user's initialiser.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// One call that may have to initialise a value.
pub(super) struct InitCall<'a, K, V> {
    /// The future owner of the value.
    pub(super) slot: BindingSlot<'a, K, V>,
    /// The end of the wait for another caller's initialiser.
    pub(super) deadline: Option<Instant>,
    /// An error is remembered.
    pub(super) sticky: bool,
    /// The value is made for this node alone, from one that is bound above. It is no binding of the user's, so it is
    /// neither refused by a seal nor announced.
    pub(super) derived: bool,
}

/// The duty to land a flight of values.
type LeadValue<'a, K, V> = Lead<'a, BindingState<K, V>, Outcome<V>, Leader>;

/// An initialiser's result, or the payload of its panic.
type Made<V, E> = Result<Result<V, E>, Box<dyn Any + Send>>;

/// Gives a future the error type of one that may fail.
pub(super) async fn infallible<F: Future>(future: F) -> Result<F::Output, Infallible> {
    Ok(future.await)
}

/// A call for a value that may be known already.
pub(super) enum Ask<'a, K, V> {
    Known(Outcome<V>),
    Init(InitCall<'a, K, V>),
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Ask<'_, K, V> {
    /// Returns the value; `make` makes it, where this call leads.
    pub(super) fn value<E: Into<BoxError>>(self, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, HeirloomError> {
        Ok(match self {
            Self::Known(outcome) => outcome,
            Self::Init(call) => call.value(make),
        }?)
    }

    /// As [`value`](Self::value), where `make` makes a future.
    pub(super) async fn value_async<F, E>(self, make: impl FnOnce() -> F) -> Result<Arc<V>, HeirloomError>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<BoxError>,
    {
        Ok(match self {
            Self::Known(outcome) => outcome,
            Self::Init(call) => call.value_async(make).await,
        }?)
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> InitCall<'_, K, V> {
    fn key(&self) -> &'static str {
        self.slot.bindings.name
    }

    /// Returns the value. `make` runs at most once, at the owner's node and with no lock held; its panic goes on here.
    pub(super) fn value<E: Into<BoxError>>(self, make: impl FnOnce() -> Result<V, E>) -> Outcome<V> {
        let key = self.key();
        loop {
            let lost = Err(InitError::Panicked { key, message: String::from("its thread did not come back from it") });
            match self.join(Leader::me(), lost) {
                JoinFlight::Known(outcome) => return note_cancel(outcome),
                JoinFlight::Lead(lead) => return self.lead(lead, make),
                JoinFlight::Wait(flight) => match self.wait(&flight) {
                    // The leading future was dropped: the next caller to ask leads.
                    Err(InitError::Abandoned { .. }) => {}
                    outcome => return outcome,
                },
            }
        }
    }

    /// As [`value`](Self::value), where `make` makes a future, which is polled at the owner's node.
    pub(super) async fn value_async<F, E>(self, make: impl FnOnce() -> F) -> Outcome<V>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<BoxError>,
    {
        let key = self.key();
        loop {
            match self.join(Leader::future(), Err(InitError::Abandoned { key })) {
                JoinFlight::Known(outcome) => return note_cancel(outcome),
                JoinFlight::Lead(lead) => return self.lead_async(lead, make).await,
                JoinFlight::Wait(flight) => match self.wait_async(&flight).await {
                    Err(InitError::Abandoned { .. }) => {}
                    outcome => return outcome,
                },
            }
        }
    }

    fn join(&self, leader: Leader, lost: Outcome<V>) -> JoinFlight<'_, BindingState<K, V>, Outcome<V>, Leader> {
        // Dropped before the initialiser runs: until then it keeps values that other threads remove.
        let mut drops = DeferredDrops::default();
        let look = |state: &mut BindingState<K, V>| self.look(state, &mut drops);
        self.slot.bindings.flights.join(self.slot.id(), leader, lost, look)
    }

    /// Returns the outcome that is known without an initialiser. Called with the key's lock held.
    fn look(&self, state: &BindingState<K, V>, drops: &mut DeferredDrops) -> Option<Outcome<V>> {
        let key = self.key();
        if let Some(own) = self.slot.own(drops) {
            return Some(Ok(Arc::clone(own.value())));
        }
        if let Some(error) = self.slot.failure(drops) {
            return Some(Err(error));
        }
        if state.sealed && !self.derived {
            return Some(Err(InitError::Sealed { key }));
        }
        let gone = if self.derived { self.slot.node().is_over() } else { is_gone(self.slot.node()) };
        gone.then(|| Err(self.slot.owner_gone()))
    }

    fn lead<E: Into<BoxError>>(&self, lead: LeadValue<'_, K, V>, make: impl FnOnce() -> Result<V, E>) -> Outcome<V> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let _shield = shield();
            graph::obliged(&|| lead.give_up(), || Lineage(self.slot.node.clone()).run(|| make().map_err(Into::into)))
        }));
        self.complete(lead, made)
    }

    async fn lead_async<F, E>(&self, lead: LeadValue<'_, K, V>, make: impl FnOnce() -> F) -> Outcome<V>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<BoxError>,
    {
        let owner = Lineage(self.slot.node.clone());
        let made = async {
            let begun = lead.flight.leader.poll(|| catch_unwind(AssertUnwindSafe(|| owner.run(make))))?;
            let mut made = pin!(InLineage::new(owner, begun));
            poll_fn(|cx| {
                let poll = || made.as_mut().poll(cx).map_err(Into::into);
                match lead.flight.leader.poll(|| catch_unwind(AssertUnwindSafe(poll))) {
                    Ok(polled) => polled.map(Ok),
                    Err(payload) => Poll::Ready(Err(payload)),
                }
            })
            .await
        };
        let made = made.await;
        self.complete(lead, made)
    }

    fn complete(&self, lead: LeadValue<'_, K, V>, made: Made<V, BoxError>) -> Outcome<V> {
        let key = self.key();
        let mut drops = DeferredDrops::default();
        match made {
            Ok(Ok(value)) => {
                let binding = self.slot.binding(Arc::new(value));
                let store = |state: &mut _| self.slot.complete(state, &binding, !self.derived, &mut drops);
                let (outcome, announced) = lead.complete(store);
                self.slot.announced(announced.unwrap_or(false));
                outcome
            }
            Ok(Err(error)) => {
                let error = InitError::Failed { key, error: Arc::from(error) };
                let store = |_: &mut _| {
                    if self.sticky {
                        self.slot.fail(&error, &mut drops);
                    }
                    (Err(error.clone()), ())
                };
                lead.complete(store).0
            }
            Err(payload) => {
                let message = payload_text(&*payload).unwrap_or("with something that is no text").to_string();
                let _ = lead.complete(|_| (Err(InitError::Panicked { key, message }), ()));
                resume_unwind(payload)
            }
        }
    }

    fn wait(&self, flight: &Flight<Outcome<V>, Leader>) -> Outcome<V> {
        let key = self.key();
        if flight.leader.obligation.is_mine() || flight.leader.is_polled_here() {
            return Err(InitError::Reentrant { key });
        }
        let would_deadlock = |why: ClosesCircle| Err(InitError::WouldDeadlock { key, circle: why.circle });
        // A task becomes a node here, so that a cancel of the task notifies this wait.
        let mut listener = current::stands().then(CancelListener::new);
        let mut owner = self.watch_owner();
        let on = Target::Obligation(Arc::clone(&flight.leader.obligation));
        let released = match PermitsReleased::begin_for(on, Label::Value(key), Ends::Asks) {
            Ok(released) => released,
            // Unless the flight has landed: its leader may rightly wait for this thread then.
            Err(why) => return flight.outcome().unwrap_or_else(|| would_deadlock(why)),
        };
        let completed = flight.wait(self.deadline, |waker| {
            let ended = self.interrupted(&mut owner, listener.as_mut(), waker).map(Err);
            ended.or_else(|| released.refusal().map(would_deadlock))
        });
        note_cancel(completed.unwrap_or(Err(InitError::TimedOut { key })))
    }

    async fn wait_async(&self, flight: &Flight<Outcome<V>, Leader>) -> Outcome<V> {
        let key = self.key();
        if flight.leader.is_polled_here() {
            return Err(InitError::Reentrant { key });
        }
        let mut owner = self.watch_owner();
        let mut poll = flight.waiter();
        let mut listener = None;
        let completed = poll_fn(|cx| {
            // A new listener with each poll, because another task or thread may poll each time.
            let mut ended = |waker| self.interrupted(&mut owner, Some(listener.insert(CancelListener::new())), waker);
            let outcome = poll(cx.waker()).or_else(|| ended(cx.waker()).map(Err));
            outcome.map_or(Poll::Pending, Poll::Ready)
        });
        let completed = within(self.deadline, completed).await.or_else(|| flight.outcome());
        note_cancel(completed.unwrap_or(Err(InitError::TimedOut { key })))
    }

    /// Watches the owner, unless it is the root, which is never cancelled and never ends.
    fn watch_owner(&self) -> Option<Watch> {
        self.slot.node().parent().is_some().then(|| Watch::new(&self.slot.node))
    }

    /// Returns the reason why a wait ends early: the end of the owner, or a cancel of the caller. Otherwise both wake
    /// the waker when there may be such a reason.
    fn interrupted(
        &self,
        owner: &mut Option<Watch>,
        listener: Option<&mut CancelListener>,
        waker: &Waker,
    ) -> Option<InitError> {
        if owner.as_mut().is_some_and(|watch| watch.poll(waker, is_gone)) {
            return Some(self.slot.owner_gone());
        }
        let cancelled = listener.is_some_and(|listener| listener.poll(waker, CancelListener::cancel_requested));
        // Noted by the caller, once no outcome comes in between.
        cancelled.then(|| InitError::Cancelled { key: self.key(), cause: interrupted::cause() })
    }
}

/// Notes the interrupt at the running task, where a cancel has ended the wait.
fn note_cancel<V>(outcome: Outcome<V>) -> Outcome<V> {
    if let Err(InitError::Cancelled { .. } | InitError::OwnerGone { .. }) = &outcome {
        interrupted::note_if_cancelled();
    }
    outcome
}

/// The node has ended or was cancelled.
fn is_gone(node: &Node) -> bool {
    node.is_over() || node.is_cancelled()
}
