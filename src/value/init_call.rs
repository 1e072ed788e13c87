//! [`InitCall`]: asking for a value that is initialised if it is not there: leading the flight, or waiting for it.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::ptr;
use std::task::Poll;
use std::time::Instant;

use crate::error::task::payload_text;
use crate::error::value::InitError;
use crate::lineage::current;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::frame;
use crate::pool::context::interrupted;
use crate::sync::os::Arc;
use crate::timer::within::within;
use crate::value::bindings::{At, BindingState, Bindings, DeferredDrops, Leader, Outcome};
use crate::value::flight::{Flight, JoinFlight, Lead};
use crate::wait::graph::{self, ClosesCircle, Ends, Label, Target};

/// One call that may have to initialise a value.
pub(crate) struct InitCall<'a, K, V> {
    pub(crate) bindings: &'a Bindings<K, V>,
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

/// A future's value, which cannot fail.
pub(crate) async fn ready<F: Future>(future: F) -> Result<F::Output, InitError> {
    Ok(future.await)
}

/// A future's value, or its error for all who wait.
pub(crate) async fn tried<F, V, E>(key: &'static str, future: F) -> Result<V, InitError>
where
    F: Future<Output = Result<V, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    future.await.map_err(|error| failed(key, error))
}

impl<K, V> InitCall<'_, K, V>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The value. `make` runs at most once, standing at the owner, with nothing locked; its panic goes on here.
    pub(crate) fn value(self, make: impl FnOnce() -> Result<V, InitError>) -> Outcome<V> {
        let key = self.bindings.name;
        loop {
            let lost = Err(InitError::Panicked { key, message: String::from("its thread did not come back from it") });
            match self.join(Leader::me(), lost) {
                JoinFlight::Known(outcome) => return heard(outcome),
                JoinFlight::Lead(lead) => return self.lead(lead, make),
                JoinFlight::Wait(flight) => match self.wait(&flight) {
                    // Its future was dropped: whoever asks next begins anew.
                    Err(InitError::Abandoned { .. }) => {}
                    outcome => return outcome,
                },
            }
        }
    }

    /// As [`value`](Self::value), where `make` makes a future, which stands at the owner on every poll.
    pub(crate) async fn value_async<F>(self, make: impl FnOnce() -> F) -> Outcome<V>
    where
        F: Future<Output = Result<V, InitError>>,
    {
        let key = self.bindings.name;
        loop {
            match self.join(Leader::future(), Err(InitError::Abandoned { key })) {
                JoinFlight::Known(outcome) => return heard(outcome),
                JoinFlight::Lead(lead) => return self.lead_async(lead, make).await,
                JoinFlight::Wait(flight) => match self.wait_async(&flight).await {
                    Err(InitError::Abandoned { .. }) => {}
                    outcome => return outcome,
                },
            }
        }
    }

    fn join(&self, leader: Leader, lost: Outcome<V>) -> JoinFlight<'_, BindingState<K, V>, Outcome<V>, Leader> {
        // The bag goes before anything runs: it must not keep what others let go meanwhile.
        let mut drops = DeferredDrops::new();
        let look = |state: &mut BindingState<K, V>| self.look(state, &mut drops);
        self.bindings.flights.join(self.at.slot(), leader, lost, look)
    }

    /// What is known without running anything, with the desk's lock held.
    fn look(&self, state: &BindingState<K, V>, drops: &mut DeferredDrops<K, V>) -> Option<Outcome<V>> {
        let key = self.bindings.name;
        if let Some(own) = self.bindings.own(&self.at, drops) {
            return Some(Ok(Arc::clone(own.value())));
        }
        if let Some(error) = self.bindings.failure(&self.at, drops) {
            return Some(Err(error));
        }
        if state.is_sealed() && !self.derived {
            return Some(Err(InitError::Sealed { key }));
        }
        let gone = if self.derived { self.at.node().is_over() } else { is_gone(self.at.node()) };
        gone.then_some(Err(InitError::OwnerGone { key }))
    }

    fn lead(
        &self,
        lead: Lead<'_, BindingState<K, V>, Outcome<V>, Leader>,
        make: impl FnOnce() -> Result<V, InitError>,
    ) -> Outcome<V> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let _apart = frame::shield();
            graph::obliged(&|| lead.give_up(), || Lineage(self.at.place.clone()).run(make))
        }));
        self.complete(lead, made)
    }

    async fn lead_async<F>(
        &self,
        lead: Lead<'_, BindingState<K, V>, Outcome<V>, Leader>,
        make: impl FnOnce() -> F,
    ) -> Outcome<V>
    where
        F: Future<Output = Result<V, InitError>>,
    {
        let flight = lead.flight_address();
        let owner = Lineage(self.at.place.clone());
        let made = async {
            let begun = leading(flight, || catch_unwind(AssertUnwindSafe(|| owner.run(make))))?;
            let mut made = pin!(InLineage::new(owner, begun));
            poll_fn(|cx| {
                let poll = || made.as_mut().poll(cx);
                match leading(flight, || catch_unwind(AssertUnwindSafe(poll))) {
                    Ok(polled) => polled.map(Ok),
                    Err(payload) => Poll::Ready(Err(payload)),
                }
            })
            .await
        };
        let made = made.await;
        self.complete(lead, made)
    }

    fn complete(&self, lead: Lead<'_, BindingState<K, V>, Outcome<V>, Leader>, made: Made<V>) -> Outcome<V> {
        let key = self.bindings.name;
        let mut drops = DeferredDrops::new();
        match made {
            Ok(Ok(value)) => {
                let binding = self.bindings.binding(&self.at, Arc::new(value));
                let complete =
                    |state: &mut _| self.bindings.completed(state, &self.at, &binding, !self.derived, &mut drops);
                let (outcome, completed) = lead.complete(complete);
                if let Ok(Some(wakers)) = completed {
                    wakers.wake();
                }
                outcome
            }
            Ok(Err(error)) => {
                let complete = |_: &mut _| {
                    if self.sticky {
                        self.bindings.failed(&self.at, &error, &mut drops);
                    }
                    (Err(error.clone()), ())
                };
                lead.complete(complete).0
            }
            Err(payload) => {
                let message = payload_text(&*payload).unwrap_or("with something that is no text").to_string();
                let _ = lead.complete(|_| (Err(InitError::Panicked { key, message }), ()));
                resume_unwind(payload)
            }
        }
    }

    fn wait(&self, flight: &Flight<Outcome<V>, Leader>) -> Outcome<V> {
        let key = self.bindings.name;
        if flight.leader.0.is_mine() || is_led_here(flight) {
            return Err(InitError::Reentrant { key });
        }
        let would_deadlock = |why: ClosesCircle| Err(InitError::WouldDeadlock { key, circle: why.circle });
        // A task becomes a node here, and so hears what is asked of it.
        let mut own = current::stands().then(CancelListener::new);
        let owner = self.at.place;
        // The root cannot be asked to stop, and does not end.
        let mut owner = owner.node().parent().is_some().then(|| Watch::new(owner));
        let on = Target::Obligation(Arc::clone(&flight.leader.0));
        let released = match PermitsReleased::begin_for(on, Label::Value(key), Ends::Asks) {
            Ok(released) => released,
            // Unless it has landed: its leader may wait for this thread by right then.
            Err(why) => return flight.outcome().unwrap_or_else(|| would_deadlock(why)),
        };
        let completed = flight.wait(self.deadline, |waker| {
            if owner.as_mut().is_some_and(|watch| watch.poll(waker, is_gone)) {
                return Some(Err(InitError::OwnerGone { key }));
            }
            if own.as_mut().is_some_and(|own| own.poll(waker, CancelListener::cancel_requested)) {
                return Some(Err(InitError::Cancelled { key }));
            }
            released.refusal().map(would_deadlock)
        });
        heard(completed.unwrap_or(Err(InitError::TimedOut { key })))
    }

    async fn wait_async(&self, flight: &Flight<Outcome<V>, Leader>) -> Outcome<V> {
        let key = self.bindings.name;
        if is_led_here(flight) {
            return Err(InitError::Reentrant { key });
        }
        let owner = self.at.place;
        let mut owner = owner.node().parent().is_some().then(|| Watch::new(owner));
        let mut waiter = flight.waiter();
        let mut cancel_listener = None;
        let completed = poll_fn(|cx| {
            if let Some(outcome) = waiter.poll(cx.waker()) {
                return Poll::Ready(outcome);
            }
            if owner.as_mut().is_some_and(|watch| watch.poll(cx.waker(), is_gone)) {
                return Poll::Ready(Err(InitError::OwnerGone { key }));
            }
            // Whoever polls is asked: it may be another one each time.
            match cancel_listener.insert(CancelListener::new()).poll(cx.waker(), CancelListener::cancel_requested) {
                true => Poll::Ready(Err(InitError::Cancelled { key })),
                false => Poll::Pending,
            }
        });
        heard(
            within(self.deadline, completed)
                .await
                .or_else(|| flight.outcome())
                .unwrap_or(Err(InitError::TimedOut { key })),
        )
    }
}

/// The outcome of a wait: one that a request to stop has ended says so to the running task.
fn heard<V>(outcome: Outcome<V>) -> Outcome<V> {
    if let Err(InitError::Cancelled { .. } | InitError::OwnerGone { .. }) = &outcome {
        interrupted::note_if_cancelled();
    }
    outcome
}

/// What came of an initialiser, or what its panic carried.
type Made<V> = Result<Result<V, InitError>, Box<dyn Any + Send>>;

thread_local! {
    /// The flights whose initialisers' futures this thread polls now.
    static LED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Runs a part of an async initialiser. What it does is done for others too, so it is not asked by its caller's requests.
fn leading<R>(flight: usize, f: impl FnOnce() -> R) -> R {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = LED.try_with(|led| led.borrow_mut().pop());
        }
    }
    let _ = LED.try_with(|led| led.borrow_mut().push(flight));
    let _ends = Ends;
    let _apart = frame::shield();
    f()
}

/// The calling code is a part of the flight's async initialiser.
fn is_led_here<O, L>(flight: &Flight<O, L>) -> bool {
    LED.try_with(|led| led.borrow().contains(&ptr::from_ref(flight).addr())).unwrap_or(false)
}

/// The node has ended or was asked to stop.
fn is_gone(node: &Node) -> bool {
    node.is_over() || node.is_cancelled()
}
