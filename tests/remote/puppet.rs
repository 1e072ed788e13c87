//! An engine, and the messages of an origin, that a test plays by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use heirloom::remote::engine::{
    Answer, Bytes, Delivery, DeliveryId, Depth, Engine, Envelope, Inbox, QueueLimits, Receipt, Settlement,
};
use heirloom::remote::{self, ProcessId};
use serde::{Deserialize, Serialize};

use crate::common::BOUND;

/// The messages, as other versions of the crate write and read them.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub(crate) enum Ask {
    Begin { job: u64, receipt: u64, ask: u64, again: bool },
    Ended { job: u64, attempt: u32, outcome: Outcome },
    GaveBack { job: u64, receipt: u64, count: u64 },
    Sign { jobs: Vec<u64>, scopes: Vec<u64> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub(crate) enum Outcome {
    Value(Bytes),
    Panicked(String),
    NotRun,
    Lost,
    NotUnderstood(String),
    NoOutput(String),
}

#[derive(Serialize)]
pub(crate) enum Reply {
    Begin { attempt: u32 },
    Over,
    Confirmed { first: bool },
    Signed { stop: Vec<u64>, unknown: Vec<u64>, ended: Vec<u64> },
}

/// Answers a sign: the origin lives.
pub(crate) fn signed(answer: Answer<Bytes>) {
    answer.give(Ok(bytes(&Reply::Signed { stop: vec![], unknown: vec![], ended: vec![] })));
}

pub(crate) fn bytes(value: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(value).expect("it encodes").into()
}

pub(crate) const LEASE: Duration = Duration::from_millis(600);
pub(crate) const ORIGIN: &str = "web-1-abc";

#[derive(Default)]
pub(crate) struct State {
    pub(crate) inbox: Option<Arc<dyn Inbox>>,
    pub(crate) requests: VecDeque<(Ask, Answer<Bytes>)>,
    pub(crate) settled: Vec<(u64, Settlement)>,
    pub(crate) pulls: usize,
    /// The declarations wait for the test.
    pub(crate) holds_declarations: bool,
    pub(crate) declarations: Vec<Answer<()>>,
}

/// The engine: what the worker asks of it waits here for the test.
#[derive(Clone, Default)]
pub(crate) struct Puppet(Arc<(Mutex<State>, Condvar)>);

impl Puppet {
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let result = f(&mut self.0.0.lock().expect("no panic under it"));
        self.0.1.notify_all();
        result
    }

    /// Waits until `f` finds what it looks for.
    pub(crate) fn wait<R>(&self, mut f: impl FnMut(&mut State) -> Option<R>) -> R {
        let mut found = None;
        let state = self.0.0.lock().expect("no panic under it");
        let waited = self.0.1.wait_timeout_while(state, BOUND / 2, |state| {
            found = f(state);
            found.is_none()
        });
        drop(waited);
        found.expect("it comes in time")
    }

    /// Takes the next request that is no sign. Signs are answered: the origin lives.
    pub(crate) fn next(&self) -> (Ask, Answer<Bytes>) {
        loop {
            let (ask, answer) = self.wait(|state| state.requests.pop_front());
            match ask {
                Ask::Sign { .. } => signed(answer),
                ask => return (ask, answer),
            }
        }
    }

    pub(crate) fn deliver(&self, id: u64, receipt: u64, job: &impl Sent) {
        let mut headers = vec![
            ("Hl-Version", "1".to_string()),
            ("Hl-Job", job.name().into()),
            ("Hl-Id", format!("{ORIGIN}.7")),
            ("Hl-Path", format!("{ORIGIN}:3=request%3A7")),
            ("Hl-Attempt", "1".into()),
        ];
        if job.repeatable() {
            headers.push(("Hl-Repeatable", "1".into()));
        }
        let mut body = vec![0; 4];
        body.extend_from_slice(&job.body());
        let headers = headers.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        self.deliver_raw(id, receipt, headers, body.into());
    }

    pub(crate) fn deliver_raw(&self, id: u64, receipt: u64, headers: Vec<(String, String)>, body: Bytes) {
        let inbox = self.change(|state| state.inbox.clone()).expect("it is open");
        let (id, receipt) = (DeliveryId(id), Receipt(receipt));
        inbox.delivered(Delivery { id, queue: "work".into(), receipt, count: 1, headers, body });
    }

    pub(crate) fn is_settled(&self, id: u64, how: Settlement) {
        self.wait(|state| state.settled.contains(&(id, how)).then_some(()));
    }

    pub(crate) fn settlements(&self) -> usize {
        self.change(|state| state.settled.len())
    }
}

impl Engine for Puppet {
    fn open(&self, _me: &ProcessId, inbox: Arc<dyn Inbox>) {
        self.change(|state| state.inbox = Some(inbox));
    }

    fn declare(&self, _queue: &str, _limits: Option<QueueLimits>, answer: Answer<()>) {
        let answered = self.change(|state| {
            if state.holds_declarations {
                state.declarations.push(answer);
                return None;
            }
            Some(answer)
        });
        if let Some(answer) = answered {
            answer.give(Ok(()));
        }
    }

    fn publish(&self, _queue: &str, _job: &Envelope, _answer: Answer<Receipt>) {}

    fn withdraw(&self, _queue: &str, _job: u64, _receipt: Option<Receipt>) {}

    fn list(&self, _queue: &str, _answer: Answer<Vec<u64>>) {}

    fn request(&self, to: &ProcessId, message: Bytes, _within: Duration, answer: Answer<Bytes>) {
        assert_eq!(to.as_str(), ORIGIN);
        let ask = rmp_serde::from_slice(&message).expect("it decodes");
        self.change(|state| state.requests.push_back((ask, answer)));
    }

    fn broadcast(&self, _message: Bytes) {}

    fn follow(&self, _origin: &ProcessId) {}

    fn unfollow(&self, _origin: &ProcessId) {}

    fn pull(&self, _queue: &str, jobs: usize) {
        self.change(|state| state.pulls += jobs);
    }

    fn stop_pulling(&self, _queue: &str) {
        self.change(|state| state.pulls = 0);
    }

    fn settle(&self, delivery: DeliveryId, how: Settlement) {
        self.change(|state| state.settled.push((delivery.0, how)));
    }

    fn depth(&self, _queue: &str, answer: Answer<Depth>) {
        answer.give(Ok(Depth::default()));
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    fn most_bytes(&self) -> usize {
        4096
    }

    fn describe(&self) -> String {
        "a puppet".into()
    }
}

/// A job as its origin would send it.
pub(crate) trait Sent {
    fn name(&self) -> &'static str;
    fn repeatable(&self) -> bool;
    fn body(&self) -> Bytes;
}

impl<J: remote::Job> Sent for J {
    fn name(&self) -> &'static str {
        J::NAME
    }

    fn repeatable(&self) -> bool {
        J::REPEATABLE
    }

    fn body(&self) -> Bytes {
        bytes(self)
    }
}
