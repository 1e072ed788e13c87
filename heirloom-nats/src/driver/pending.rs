//! [`Pending`]: the messages that wait for an answer, by token.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, Bytes, Fault, Receipt};
use tokio::sync::oneshot;

/// A message that waits for an answer.
pub(super) struct Waiting {
    pub(super) subject: String,
    pub(super) kind: Kind,
    pub(super) due: Instant,
}

/// The kinds of messages that get an answer.
pub(super) enum Kind {
    /// A request of a task beside the driver to the server.
    Ask(oneshot::Sender<Result<Bytes, Fault>>),
    /// A job.
    Job(Published),
    /// Requests to another process, in one message.
    Request { within: Duration, answers: Vec<Answer<Bytes>> },
}

/// A job that the server has not confirmed.
pub(super) struct Published {
    pub(super) queue: String,
    pub(super) subject: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// The time at which the job is given up.
    pub(super) until: Instant,
    pub(super) answer: Answer<Receipt>,
}

impl Kind {
    /// Gives the answer.
    pub(super) fn fail(self, fault: Fault) {
        match self {
            Self::Ask(answer) => {
                let _ = answer.send(Err(fault));
            }
            Self::Job(job) => job.answer.give(Err(fault)),
            Self::Request { answers, .. } => {
                answers.into_iter().for_each(|answer| answer.give(Err(fault.clone())));
            }
        }
    }
}

/// The messages that wait for an answer, by token.
#[derive(Default)]
pub(super) struct Pending {
    waiting: HashMap<u64, Waiting>,
    due: BTreeSet<(Instant, u64)>,
    last: u64,
}

impl Pending {
    /// Adds a message, and returns its token.
    pub(super) fn add(&mut self, subject: String, due: Instant, kind: Kind) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, Waiting { subject, kind, due });
        self.due.insert((due, self.last));
        self.last
    }

    pub(super) fn take(&mut self, token: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        self.due.remove(&(waiting.due, token));
        Some(waiting)
    }

    /// Takes out a message whose time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Waiting> {
        let (due, token) = *self.due.first()?;
        if due > now { None } else { self.take(token) }
    }

    /// Takes out the messages on a subject.
    pub(super) fn take_subject(&mut self, subject: &str) -> Vec<Waiting> {
        let here = self.waiting.iter().filter(|(_, waiting)| waiting.subject == subject);
        let tokens: Vec<u64> = here.map(|(token, _)| *token).collect();
        tokens.into_iter().filter_map(|token| self.take(token)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.due.clear();
        self.waiting.drain().map(|(_, waiting)| waiting).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}
