//! Flights: one caller leads and the others get its outcome, however it ends and whichever thread ends it.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::flight::{Flight, Flights, JoinFlight, Lead, Leads, Slot};
use crate::model::{keep, model};
use crate::names::id::NodeId;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::wait::waker_set::WakerSet;

/// The end of a wait: a value, or a reason.
type Outcome = Result<u32, &'static str>;

/// No model of this file looks for circles.
struct Nobody;

impl Leads for Nobody {
    fn completed(&self) {}
}

/// One slot, and the number of its initialiser's runs.
struct Key {
    flights: Flights<Option<u32>, Outcome, Nobody>,
    slot: Slot,
    runs: AtomicUsize,
}

impl Key {
    fn new() -> Arc<Self> {
        Arc::new(Self { flights: Flights::new(None), slot: (NodeId::next(), 0), runs: AtomicUsize::new(0) })
    }

    fn join(&self) -> JoinFlight<'_, Option<u32>, Outcome, Nobody> {
        self.flights.join(self.slot, Nobody, Err("lost"), |kept| kept.map(Ok))
    }

    fn lead(&self) -> Lead<'_, Option<u32>, Outcome, Nobody> {
        match self.join() {
            JoinFlight::Lead(lead) => lead,
            _ => panic!("it is the first"),
        }
    }

    fn flight(&self) -> Arc<Flight<Outcome, Nobody>> {
        match self.join() {
            JoinFlight::Wait(flight) => flight,
            _ => panic!("another leads"),
        }
    }

    /// As a caller does.
    fn ask(&self, made: Outcome) -> Outcome {
        match self.join() {
            JoinFlight::Known(known) => known,
            JoinFlight::Wait(flight) => wait(&flight),
            JoinFlight::Lead(lead) => {
                self.runs.fetch_add(1, Ordering::Relaxed);
                complete(lead, made)
            }
        }
    }

    fn publish(&self, value: u32) -> bool {
        self.flights.publish(self.slot, |kept| match kept {
            Some(_) => (None, false),
            None => {
                *kept = Some(value);
                (Some(Ok(value)), true)
            }
        })
    }

    fn kept(&self) -> Option<u32> {
        self.flights.kept(|kept| *kept)
    }
}

fn complete(lead: Lead<'_, Option<u32>, Outcome, Nobody>, made: Outcome) -> Outcome {
    let (outcome, _) = lead.complete(|kept| {
        *kept = made.ok();
        (made, ())
    });
    outcome
}

fn wait(flight: &Flight<Outcome, Nobody>) -> Outcome {
    flight.wait(None, |_| None).expect("there is no deadline")
}

/// A node that ends: notified once, as a node notifies its watchers.
struct Owner {
    over: AtomicBool,
    told: WakerSet,
}

impl Owner {
    fn new() -> Arc<Self> {
        Arc::new(Self { over: AtomicBool::new(false), told: WakerSet::new() })
    }

    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.told.wake_all();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

#[test]
fn of_two_askers_one_leads_and_both_get_its_value() {
    model(3, || {
        let key = Key::new();
        let other = {
            let key = Arc::clone(&key);
            thread::spawn(move || key.ask(Ok(1)))
        };
        let own = key.ask(Ok(2));
        assert_eq!(own, other.join().unwrap());
        assert_eq!((key.runs.load(Ordering::Relaxed), key.kept()), (1, own.ok()));
    });
}

#[test]
fn three_askers_at_once_one_leads() {
    model(2, || {
        let key = Key::new();
        let others: Vec<_> = (1..3)
            .map(|i| {
                let key = Arc::clone(&key);
                thread::spawn(move || key.ask(Ok(i)))
            })
            .collect();
        let own = key.ask(Ok(0));
        for other in others {
            assert_eq!(own, other.join().unwrap());
        }
        assert_eq!(key.runs.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_error_reaches_who_waits_and_leaves_the_slot_empty() {
    model(3, || {
        let key = Key::new();
        let lead = key.lead();
        let waiter = {
            let key = Arc::clone(&key);
            thread::spawn(move || key.ask(Ok(2)))
        };
        assert_eq!(complete(lead, Err("failed")), Err("failed"));
        // Late enough, it tried again.
        let waited = waiter.join().unwrap();
        assert!(matches!(waited, Err("failed") | Ok(2)), "{waited:?}");
        assert_eq!(key.kept(), waited.ok());
        assert_eq!(key.runs.load(Ordering::Relaxed), usize::from(waited.is_ok()));
    });
}

#[test]
fn a_leader_that_goes_without_a_word_strands_nobody() {
    model(3, || {
        let key = Key::new();
        let lead = key.lead();
        let flight = key.flight();
        let waiter = thread::spawn(move || wait(&flight));
        // As an uncaught panic does.
        drop(lead);
        assert_eq!(waiter.join().unwrap(), Err("lost"));
        assert_eq!(key.ask(Ok(7)), Ok(7));
    });
}

#[test]
fn publishing_races_the_landing_and_the_first_wins_for_all() {
    model(3, || {
        let key = Key::new();
        let lead = key.lead();
        let publisher = {
            let key = Arc::clone(&key);
            thread::spawn(move || key.publish(1))
        };
        let flight = key.flight_or_value();
        let led = complete(lead, Ok(2));
        let published = publisher.join().unwrap();
        assert_eq!(led, Ok(if published { 1 } else { 2 }));
        assert_eq!(key.kept().map(Ok), Some(led));
        assert_eq!(flight.map_or_else(|known| known, |flight| wait(&flight)), led);
    });
}

#[test]
fn publishing_races_a_failure_and_a_waiter_gets_the_one_that_came_first() {
    model(2, || {
        let key = Key::new();
        let lead = key.lead();
        let flight = key.flight();
        let waiter = thread::spawn(move || wait(&flight));
        let publisher = {
            let key = Arc::clone(&key);
            thread::spawn(move || key.publish(1))
        };
        let led = key_fails(lead);
        assert!(publisher.join().unwrap(), "there is no value that was first");
        // The failure keeps nothing, so the value stays in either case.
        assert_eq!((key.kept(), waiter.join().unwrap()), (Some(1), led));
    });
}

fn key_fails(lead: Lead<'_, Option<u32>, Outcome, Nobody>) -> Outcome {
    lead.complete(|_| (Err("failed"), ())).0
}

impl Key {
    fn flight_or_value(&self) -> Result<Arc<Flight<Outcome, Nobody>>, Outcome> {
        match self.join() {
            JoinFlight::Wait(flight) => Ok(flight),
            JoinFlight::Known(known) => Err(known),
            JoinFlight::Lead(_) => panic!("another leads"),
        }
    }
}

#[test]
fn the_owners_end_wakes_who_waits_while_the_leader_still_runs() {
    model(3, || {
        let key = Key::new();
        let lead = key.lead();
        let owner = Owner::new();
        keep(&owner);
        let flight = key.flight();
        let waiter = {
            let owner = Arc::clone(&owner);
            thread::spawn(move || {
                let listener = owner.told.register();
                let mut look = |waker: &Waker| {
                    listener.set(waker);
                    owner.is_over().then_some(Err("gone"))
                };
                flight.wait(None, &mut look)
            })
        };
        owner.end();
        // The leader waits for them, so they must not wait for it.
        assert_eq!(waiter.join().unwrap(), Some(Err("gone")));
        assert_eq!(complete(lead, Err("gone")), Err("gone"));
    });
}

#[test]
fn the_owners_end_races_the_landing_and_either_ends_the_wait() {
    model(2, || {
        let key = Key::new();
        let lead = key.lead();
        let owner = Owner::new();
        keep(&owner);
        let flight = key.flight();
        let waiter = {
            let owner = Arc::clone(&owner);
            thread::spawn(move || {
                let listener = owner.told.register();
                flight.wait(None, |waker| {
                    listener.set(waker);
                    owner.is_over().then_some(Err("gone"))
                })
            })
        };
        let ender = thread::spawn(move || owner.end());
        assert_eq!(complete(lead, Ok(7)), Ok(7));
        assert!(matches!(waiter.join().unwrap(), Some(Ok(7) | Err("gone"))));
        ender.join().unwrap();
    });
}

#[test]
fn a_flight_that_landed_before_a_reason_to_give_up_is_no_failure() {
    model(3, || {
        let key = Key::new();
        let lead = key.lead();
        let after = Arc::new(AtomicBool::new(false));
        let flight = key.flight();
        let waiter = {
            let after = Arc::clone(&after);
            // A reason from the leader's code after it has landed.
            let reason = move |_: &Waker| after.load(Ordering::SeqCst).then_some(Err("a cycle"));
            thread::spawn(move || flight.wait(None, reason))
        };
        assert_eq!(complete(lead, Ok(7)), Ok(7));
        after.store(true, Ordering::SeqCst);
        assert_eq!(waiter.join().unwrap(), Some(Ok(7)));
    });
}

#[test]
fn a_waiter_that_is_too_late_disturbs_nobody() {
    model(2, || {
        let key = Key::new();
        let lead = key.lead();
        let (late, patient) = (key.flight(), key.flight());
        let timed = thread::spawn(move || late.wait(Some(Instant::now() + Duration::ZERO), |_| None));
        let waiter = thread::spawn(move || wait(&patient));
        assert_eq!(complete(lead, Ok(7)), Ok(7));
        assert!(matches!(timed.join().unwrap(), None | Some(Ok(7))));
        assert_eq!(waiter.join().unwrap(), Ok(7));
    });
}
