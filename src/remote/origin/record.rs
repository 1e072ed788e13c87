//! [`Record`]: one job that the origin has accepted and that has not ended.

use std::time::Instant;

use crate::lineage::node::WeakNodeRef;
use crate::remote::origin::kept::Kept;
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, Receipt};
use crate::wire::envelope::Envelope;

/// A job as it was sent.
pub(crate) struct Sent {
    pub(crate) envelope: Envelope,
    pub(crate) queue: Arc<str>,
    /// The scopes of this process above the job's task, by the ids of their nodes.
    pub(crate) scopes: Vec<(u64, WeakNodeRef)>,
    /// The most begins of a repeatable job.
    pub(crate) attempts: u32,
}

/// The right to run a job, as one worker has it.
pub(super) struct Grant {
    pub(super) worker: ProcessId,
    /// The worker's own number of the request that was granted.
    pub(super) ask: u64,
    /// The message that was delivered to the worker.
    pub(super) receipt: u64,
    /// The number of that delivery.
    pub(super) count: u64,
    /// The last sign of the worker, or the last connect of this process after it.
    pub(super) seen: Instant,
}

/// Whether the engine has the newest message of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Published {
    /// The engine has not answered.
    Asked,
    /// It had the message at this time.
    Yes(Instant),
    /// It may have the message: a connection was lost since, or its answer never came.
    Doubt,
    /// The message is to be published again.
    No,
}

/// One job that has not ended.
pub(super) struct Record {
    pub(super) sent: Sent,
    pub(super) kept: Arc<dyn Kept>,
    pub(super) grant: Option<Grant>,
    /// The task has begun: a worker had a grant.
    pub(super) begun: bool,
    /// The receipt of the newest message; `None` where its answer has not come.
    pub(super) receipt: Option<Receipt>,
    /// The submitter waits for the engine's word.
    pub(super) word: Option<Answer<()>>,
    published: Published,
    /// The receipts and numbers of deliveries that their workers gave back.
    unbegun: Vec<(u64, u64)>,
    /// Attempts that ended with their workers.
    lost: u32,
}

impl Record {
    pub(super) fn new(sent: Sent, kept: Arc<dyn Kept>, word: Option<Answer<()>>) -> Self {
        Self {
            sent,
            kept,
            grant: None,
            begun: false,
            receipt: None,
            word,
            published: Published::Asked,
            unbegun: Vec::new(),
            lost: 0,
        }
    }

    /// The engine has the message with this number.
    pub(super) fn published(&mut self, sent: u32, receipt: Receipt) {
        if self.sent.envelope.sent == sent {
            self.receipt = Some(receipt);
            self.published = Published::Yes(Instant::now());
        }
    }

    /// The answer about the message with this number never came.
    pub(super) fn unanswered(&mut self, sent: u32) {
        if self.sent.envelope.sent == sent {
            self.published = Published::Doubt;
        }
    }

    /// The engine has not taken the message with this number.
    pub(super) fn unpublished(&mut self, sent: u32) {
        if self.sent.envelope.sent == sent {
            self.published = Published::No;
        }
    }

    /// The engine may have lost all messages.
    pub(super) fn doubt(&mut self) {
        if matches!(self.published, Published::Yes(_)) {
            self.published = Published::Doubt;
        }
    }

    /// Returns, for a job that waits and that a look at the engine may find, whether the look is due. `since`: a message that the
    /// engine had at that time is looked for again.
    pub(super) fn look_is_due(&self, since: Option<Instant>) -> Option<bool> {
        match self.published {
            _ if self.grant.is_some() => None,
            Published::Doubt => Some(true),
            Published::Yes(at) => Some(since.is_some_and(|since| at <= since)),
            Published::Asked | Published::No => None,
        }
    }

    /// Notes what a look has found. Returns the next message of a job that waits, if the engine has lost the one with this number.
    pub(super) fn looked(&mut self, sent: u32, found: bool) -> Option<(Arc<str>, Envelope)> {
        if self.sent.envelope.sent != sent || self.look_is_due(None).is_none() {
            return None;
        }
        if found {
            self.published = Published::Yes(Instant::now());
        }
        (!found).then(|| self.next_message())
    }

    /// Takes the submitter's wait for the engine's word, if the engine has the newest message.
    pub(super) fn take_word(&mut self) -> Option<Answer<()>> {
        self.word.take_if(|_| matches!(self.published, Published::Yes(_)))
    }

    /// Ends the submitter's wait for the engine's word, if there is one. Under no lock: this wakes the submitter.
    pub(super) fn acknowledge(word: Option<Answer<()>>) {
        if let Some(word) = word {
            word.give(Ok(()));
        }
    }

    /// Returns whether the engine may have the newest message. Of one that it was asked to take, its answer tells.
    pub(super) fn may_have_message(&self) -> bool {
        matches!(self.published, Published::Yes(_) | Published::Doubt)
    }

    pub(super) fn was_published(&self) -> bool {
        self.sent.envelope.sent > 0 || self.begun
    }

    /// Returns the next message of a job that waits, if the engine has not taken the last one.
    pub(super) fn again(&mut self) -> Option<(Arc<str>, Envelope)> {
        (self.published == Published::No && self.grant.is_none()).then(|| self.next_message())
    }

    /// Ends the attempt of a job that is to begin once more. Returns its next message.
    pub(super) fn retry(&mut self, counts: bool) -> (Arc<str>, Envelope) {
        self.lost += u32::from(counts);
        self.grant = None;
        self.next_message()
    }

    /// The worker of this attempt is lost, and the next one gets a number of its own.
    pub(super) fn lose_attempt(&mut self) {
        self.lost += 1;
        self.sent.envelope.attempt += 1;
    }

    fn next_message(&mut self) -> (Arc<str>, Envelope) {
        self.published = Published::Asked;
        self.receipt = None;
        self.unbegun.clear();
        self.sent.envelope.sent += 1;
        if self.sent.envelope.repeatable {
            // The earlier message may be begun too, at once, and under its own number.
            self.sent.envelope.attempt += 1;
        }
        (Arc::clone(&self.sent.queue), self.sent.envelope.clone())
    }

    /// A worker gives back a delivery, and has not begun the job.
    pub(super) fn gave_back(&mut self, worker: &ProcessId, ask: u64, delivery: (u64, u64)) {
        if self.grant.as_ref().is_some_and(|grant| grant.worker == *worker && grant.ask == ask) {
            // The worker does not know of its grant.
            self.grant = None;
        }
        if !self.unbegun.contains(&delivery) {
            self.unbegun.push(delivery);
        }
    }

    /// Grants a begin of a delivery.
    pub(super) fn grant(&mut self, grant: Grant) {
        // An engine may give the same number to the next delivery of a message that was given back.
        self.unbegun.retain(|delivery| *delivery != (grant.receipt, grant.count));
        self.grant = Some(grant);
    }

    /// Returns whether a worker of an earlier delivery may have begun the job.
    pub(super) fn may_have_begun(&self, receipt: u64, count: u64) -> bool {
        (1..count).any(|earlier| !self.unbegun.contains(&(receipt, earlier)))
    }

    /// Returns whether a lost attempt is followed by another one.
    pub(super) fn may_repeat(&self) -> bool {
        self.sent.envelope.repeatable && self.lost + 1 < self.sent.attempts
    }
}
