//! The origin's half against workers that a test plays by hand: who may begin, and which end counts.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::remote::engine::{
    self, Answer, Bytes, DeliveryId, Depth, Engine, Envelope, Inbox, QueueLimits, Receipt, Settlement,
};
use heirloom::remote::{JobId, ProcessId};
use heirloom::{ErrorKind, PoolConfig, PoolManager, Scope, TaskHandle};
use serde::{Deserialize, Serialize};

use crate::common::bounded;
use crate::puppet::{LEASE, Outcome, bytes};
use crate::world::{Double, Key, Repeatable};

/// A worker's request, with all that this version sends.
#[derive(Serialize)]
enum Ask {
    Begin { job: u64, receipt: u64, ask: u64, count: u64, again: bool },
    Ended { job: u64, attempt: u32, ask: u64, outcome: Outcome },
}

#[derive(Deserialize, Debug, PartialEq)]
enum Told {
    Begin { attempt: u32 },
    Over,
    Stale,
    Confirmed { first: bool },
}

/// Keeps what is published; each message gets the next receipt.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inbox: Option<Arc<dyn Inbox>>,
    published: Vec<u64>,
    /// Lists that the test answers.
    lists: Vec<Answer<Vec<u64>>>,
}

impl Engine for Broker {
    fn open(&self, _me: &ProcessId, inbox: Arc<dyn Inbox>) {
        self.0.lock().expect("no panic under it").inbox = Some(inbox);
    }

    fn declare(&self, _queue: &str, _limits: Option<QueueLimits>, answer: Answer<()>) {
        answer.give(Ok(()));
    }

    fn publish(&self, _queue: &str, job: &Envelope, answer: Answer<Receipt>) {
        let headers = job.headers();
        let id = headers.iter().find(|(name, _)| *name == "Hl-Id").expect("each has one");
        let receipt = {
            let mut state = self.0.lock().expect("no panic under it");
            state.published.push(JobId::parse(&id.1).expect("an id").number);
            state.published.len() as u64
        };
        answer.give(Ok(Receipt(receipt)));
    }

    fn withdraw(&self, _queue: &str, _receipt: Receipt) {}

    fn list(&self, _queue: &str, answer: Answer<Vec<u64>>) {
        self.0.lock().expect("no panic under it").lists.push(answer);
    }

    fn request(&self, _to: &ProcessId, _message: Bytes, _within: Duration, _answer: Answer<Bytes>) {}

    fn broadcast(&self, _message: Bytes) {}

    fn follow(&self, _origin: &ProcessId) {}

    fn unfollow(&self, _origin: &ProcessId) {}

    fn pull(&self, _queue: &str, _jobs: usize) {}

    fn stop_pulling(&self, _queue: &str) {}

    fn settle(&self, _delivery: DeliveryId, _how: Settlement) {}

    fn depth(&self, _queue: &str, _answer: Answer<Depth>) {}

    fn is_connected(&self) -> bool {
        true
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn lease(&self) -> Duration {
        // No lease passes within these tests.
        LEASE * 100
    }

    fn most_bytes(&self) -> usize {
        usize::MAX
    }

    fn describe(&self) -> String {
        "a puppet".into()
    }
}

struct Origin {
    broker: Broker,
    _scope: Scope,
    pool: PoolManager,
}

impl Origin {
    fn new() -> Self {
        let broker = Broker::default();
        let connection = engine::open(Box::new(broker.clone()));
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::remote(4, connection.queue("work"))).expect("starts");
        Self { broker, _scope: scope, pool }
    }

    /// Sends a request as the worker of that name.
    fn ask(&self, worker: &str, ask: &Ask) -> Told {
        let inbox = self.broker.0.lock().expect("no panic under it").inbox.clone().expect("it is open");
        let (told, answer) = mpsc::channel();
        let from = ProcessId::parse(worker).expect("a name");
        inbox.requested(&from, bytes(ask), Answer::new(move |outcome| told.send(outcome).expect("the test listens")));
        let answer = answer.recv().expect("an answer").expect("no fault");
        rmp_serde::from_slice(&answer).expect("a known answer")
    }

    fn begin(&self, worker: &str, job: u64, receipt: u64, count: u64) -> Told {
        self.ask(worker, &Ask::Begin { job, receipt, ask: 1, count, again: count > 1 })
    }

    fn ended(&self, worker: &str, job: u64, outcome: Outcome) -> Told {
        self.ask(worker, &Ask::Ended { job, attempt: 1, ask: 1, outcome })
    }

    fn published(&self) -> usize {
        self.broker.0.lock().expect("no panic under it").published.len()
    }

    /// Loses the connection, and connects again. Returns the list that the origin asks for.
    fn reconnect(&self) -> Answer<Vec<u64>> {
        let inbox = self.broker.0.lock().expect("no panic under it").inbox.clone().expect("it is open");
        inbox.connected(false);
        inbox.connected(true);
        self.broker.0.lock().expect("no panic under it").lists.pop().expect("it looks for its jobs")
    }
}

fn sent(origin: &Origin) -> (TaskHandle<u64>, u64) {
    let task = origin.pool.send(Double(21)).expect("accepted");
    let id = task.id().as_u64();
    (task, id)
}

fn value(of: u64) -> Outcome {
    Outcome::Value(bytes(&of))
}

const GRANTED: Told = Told::Begin { attempt: 1 };

#[test]
fn one_worker_gets_a_grant_and_again_when_it_repeats_its_request() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 2, 1), Told::Over, "a copy");
        assert_eq!(origin.ended("w-1-a", job, value(42)), Told::Confirmed { first: true });
        assert_eq!(origin.ended("w-1-a", job, value(42)), Told::Confirmed { first: false });
        assert_eq!(task.join().expect("a value"), 42);
    });
}

#[test]
fn a_later_delivery_proves_the_death_of_the_worker() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 1, 2), Told::Over);
        assert_eq!(task.join().expect_err("it may have run").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn a_stale_request_kills_no_successor() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        // The first worker was cut off before it asked; the second one got the message then.
        assert_eq!(origin.begin("w-2-b", job, 1, 2), GRANTED);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), Told::Stale);
        assert_eq!(origin.ended("w-2-b", job, value(42)), Told::Confirmed { first: true });
        assert_eq!(task.join().expect("the second worker's"), 42);
    });
}

#[test]
fn a_repeated_end_without_a_run_takes_no_successors_grant() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::NotRun), Told::Confirmed { first: true });
        assert_eq!(origin.published(), 2, "it goes elsewhere");
        assert_eq!(origin.begin("w-2-b", job, 2, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::NotRun), Told::Confirmed { first: false });
        assert_eq!(origin.published(), 2);
        assert_eq!(origin.begin("w-3-c", job, 3, 1), Told::Over);
        assert_eq!(origin.ended("w-2-b", job, value(42)), Told::Confirmed { first: true });
        assert_eq!(task.join().expect("the second worker's"), 42);
    });
}

#[test]
fn a_worker_of_another_version_ends_no_job_that_runs() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        let unknown = Outcome::NotUnderstood("no such job".into());
        assert_eq!(origin.ended("w-2-b", job, unknown), Told::Confirmed { first: false });
        assert_eq!(origin.ended("w-1-a", job, value(42)), Told::Confirmed { first: true });
        assert_eq!(task.join().expect("a value"), 42);
    });
}

#[test]
fn a_repeatable_job_gets_a_number_of_its_own_for_each_begin() {
    bounded(|| {
        let origin = Origin::new();
        let task: TaskHandle<bool> = origin.pool.send::<Repeatable>(Key::new().repeatable()).expect("accepted");
        let job = task.id().as_u64();
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 1, 2), Told::Begin { attempt: 2 });
        assert_eq!(origin.begin("w-3-c", job, 1, 3), Told::Begin { attempt: 3 });
        assert_eq!(origin.begin("w-4-d", job, 1, 4), Told::Over);
        assert_eq!(task.join().expect_err("three attempts were allowed").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn after_a_connect_the_lost_jobs_alone_are_published_again_in_their_order() {
    bounded(|| {
        let origin = Origin::new();
        let sent: Vec<_> = (0..8).map(|_| sent(&origin)).collect();
        let numbers: Vec<u64> = sent.iter().map(|(_, job)| *job).collect();
        let list = origin.reconnect();
        assert_eq!(origin.published(), 8, "the engine may have all of them");
        list.give(Ok(numbers[..4].to_vec()));
        let published = origin.broker.0.lock().expect("no panic under it").published.clone();
        assert_eq!(published[8..], numbers[4..]);
        origin.reconnect().give(Ok(numbers));
        assert_eq!(origin.published(), 12);
    });
}

#[test]
fn a_list_from_before_a_connect_tells_nothing() {
    bounded(|| {
        let origin = Origin::new();
        let (_task, job) = sent(&origin);
        let (old, new) = (origin.reconnect(), origin.reconnect());
        old.give(Ok(vec![]));
        assert_eq!(origin.published(), 1);
        new.give(Ok(vec![job]));
        assert_eq!(origin.published(), 1);
        let (old, new) = (origin.reconnect(), origin.reconnect());
        old.give(Ok(vec![job]));
        new.give(Ok(vec![]));
        assert_eq!(origin.published(), 2, "the earlier list does not hide the loss");
    });
}

#[test]
fn a_job_that_was_granted_since_the_look_is_not_published_again() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        let list = origin.reconnect();
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        list.give(Ok(vec![]));
        assert_eq!(origin.published(), 1);
        assert_eq!(origin.ended("w-1-a", job, value(42)), Told::Confirmed { first: true });
        assert_eq!(task.join().expect("a value"), 42);
    });
}
