//! An engine below a real origin, and workers, that a test plays by hand.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::remote::engine::{
    self, Answer, Bytes, DeliveryId, Depth, Engine, Envelope, Fault, Inbox, QueueLimits, Receipt, Settlement,
};
use heirloom::remote::{JobId, ProcessId};
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};
use serde::{Deserialize, Serialize};

use crate::puppet::{LEASE, Outcome, bytes};
use crate::world::Double;

/// A worker's request, with all that this version sends.
#[derive(Serialize)]
pub(crate) enum Ask {
    Begin { job: u64, receipt: u64, ask: u64, count: u64, again: bool },
    Ended { job: u64, attempt: u32, ask: u64, outcome: Outcome },
    GaveBack { job: u64, receipt: u64, ask: u64, count: u64 },
}

#[derive(Deserialize, Debug, PartialEq)]
pub(crate) enum Reply {
    Begin { attempt: u32 },
    Over,
    Stale,
    Confirmed { first: bool },
}

/// Keeps what is published; each message gets the next receipt.
#[derive(Clone, Default)]
pub(crate) struct Broker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inbox: Option<Arc<dyn Inbox>>,
    /// The numbers of the published jobs.
    published: Vec<u64>,
    lease: Option<Duration>,
    /// The jobs that were taken out again, with their receipts where the origin has them.
    withdrawn: Vec<(u64, Option<Receipt>)>,
    /// Refuses what is published from now on.
    refuses: Option<Fault>,
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
        let outcome = {
            let mut state = self.0.lock().expect("no panic under it");
            state.published.push(JobId::parse(&id.1).expect("an id").number);
            state.refuses.clone().map_or(Ok(Receipt(state.published.len() as u64)), Err)
        };
        answer.give(outcome);
    }

    fn withdraw(&self, _queue: &str, job: u64, receipt: Option<Receipt>) {
        self.0.lock().expect("no panic under it").withdrawn.push((job, receipt));
    }

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
        // No lease passes within most of these tests.
        self.0.lock().expect("no panic under it").lease.unwrap_or(LEASE * 100)
    }

    fn most_bytes(&self) -> usize {
        usize::MAX
    }

    fn describe(&self) -> String {
        "a puppet".into()
    }
}

/// An origin whose engine and workers the test plays.
pub(crate) struct Origin {
    broker: Broker,
    pub(crate) scope: Scope,
    pub(crate) pool: PoolManager,
}

impl Origin {
    pub(crate) fn new() -> Self {
        Self::of(Broker::default())
    }

    /// An origin with a lease that passes in the test.
    pub(crate) fn with_lease(lease: Duration) -> Self {
        let broker = Broker::default();
        broker.0.lock().expect("no panic under it").lease = Some(lease);
        Self::of(broker)
    }

    fn of(broker: Broker) -> Self {
        let connection = engine::open(Box::new(broker.clone()));
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::remote(4, connection.queue("work"))).expect("starts");
        Self { broker, scope, pool }
    }

    /// Sends a request as the worker of that name.
    pub(crate) fn ask(&self, worker: &str, ask: &Ask) -> Reply {
        let inbox = self.broker.0.lock().expect("no panic under it").inbox.clone().expect("it is open");
        let (told, answer) = mpsc::channel();
        let from = ProcessId::parse(worker).expect("a name");
        inbox.requested(&from, bytes(ask), Answer::new(move |outcome| told.send(outcome).expect("the test listens")));
        let answer = answer.recv().expect("an answer").expect("no fault");
        rmp_serde::from_slice(&answer).expect("a known answer")
    }

    pub(crate) fn begin(&self, worker: &str, job: u64, receipt: u64, count: u64) -> Reply {
        self.ask(worker, &Ask::Begin { job, receipt, ask: 1, count, again: count > 1 })
    }

    pub(crate) fn gave_back(&self, worker: &str, job: u64, receipt: u64, count: u64) {
        let told = self.ask(worker, &Ask::GaveBack { job, receipt, ask: 1, count });
        assert_eq!(told, Reply::Confirmed { first: true });
    }

    pub(crate) fn ended(&self, worker: &str, job: u64, outcome: Outcome) -> Reply {
        self.ask(worker, &Ask::Ended { job, attempt: 1, ask: 1, outcome })
    }

    /// Returns the numbers of the jobs in the order in which they were published.
    pub(crate) fn published(&self) -> Vec<u64> {
        self.broker.0.lock().expect("no panic under it").published.clone()
    }

    /// Returns the jobs that were taken out again, with their receipts.
    pub(crate) fn withdrawn(&self) -> Vec<(u64, Option<Receipt>)> {
        self.broker.0.lock().expect("no panic under it").withdrawn.clone()
    }

    /// Lets the engine refuse what is published from now on, or take it again.
    pub(crate) fn refuses(&self, fault: Option<Fault>) {
        self.broker.0.lock().expect("no panic under it").refuses = fault;
    }

    /// Loses the connection, and connects again. Returns the list that the origin asks for.
    pub(crate) fn reconnect(&self) -> Answer<Vec<u64>> {
        let inbox = self.broker.0.lock().expect("no panic under it").inbox.clone().expect("it is open");
        inbox.connected(false);
        inbox.connected(true);
        self.broker.0.lock().expect("no panic under it").lists.pop().expect("it looks for its jobs")
    }
}

/// Sends a job. Returns its handle and its number.
pub(crate) fn sent(origin: &Origin) -> (TaskHandle<u64>, u64) {
    let task = origin.pool.send(Double(21)).expect("accepted");
    let id = task.id().as_u64();
    (task, id)
}

/// The end of a job with this output.
pub(crate) fn value(of: u64) -> Outcome {
    Outcome::Value(bytes(&of))
}

pub(crate) const GRANTED: Reply = Reply::Begin { attempt: 1 };
