//! [`Origin`]: the half of a link that sends jobs, and its records.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::remote::clock::Clock;
use crate::remote::origin::kept::Kept;
use crate::remote::origin::record::{Record, Sent};
use crate::remote::origin::scopes::Scopes;
use crate::sync::os::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, Weak};
use crate::wire::engine::{Answer, Receipt};
use crate::wire::envelope::Envelope;
use crate::wire::fault::Fault;
use crate::wire::link::Link;
use crate::wire::message::{self, Call};

/// The table of records, locked.
pub(super) type Jobs<'a> = MutexGuard<'a, HashMap<u64, Record>>;

/// The half of a link that sends jobs.
pub(crate) struct Origin {
    link: Weak<Link>,
    pub(super) jobs: Mutex<HashMap<u64, Record>>,
    pub(super) scopes: Scopes,
    /// Results that came after another one.
    pub(super) duplicates: AtomicU64,
    /// Counts the connects, so that a look of an earlier connection tells nothing.
    pub(super) connects: AtomicU64,
    pub(super) lease: Duration,
    pub(super) clock: Clock,
}

impl Origin {
    pub(super) fn new(link: &Arc<Link>) -> io::Result<Self> {
        Ok(Self {
            link: Arc::downgrade(link),
            jobs: Mutex::new(HashMap::new()),
            scopes: Scopes::new(),
            duplicates: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            lease: link.engine.lease(),
            clock: Clock::start()?,
        })
    }

    /// Keeps an accepted job until it has ended, and publishes it.
    pub(crate) fn send(self: &Arc<Self>, sent: Sent, kept: Arc<dyn Kept>, word: Option<Answer<()>>) {
        let (number, queue) = (sent.envelope.id.number, Arc::clone(&sent.queue));
        let envelope = sent.envelope.clone();
        let of = Arc::downgrade(self);
        self.scopes.note(&sent.scopes, |id| {
            let of = Weak::clone(&of);
            move || {
                if let Some(origin) = of.upgrade() {
                    origin.stop_scope(id);
                }
            }
        });
        self.jobs.lock().insert(number, Record::new(sent, Arc::clone(&kept), word));
        // After the record, which the hooks look for.
        let (at_end, at_cancel) = (Arc::downgrade(self), Arc::downgrade(self));
        let ended = move || {
            if let Some(origin) = at_end.upgrade() {
                origin.ended_unbegun(number);
            }
        };
        let cancelled = move || {
            if let Some(origin) = at_cancel.upgrade() {
                origin.cancelled(number);
            }
        };
        kept.watch(Box::new(ended), Box::new(cancelled));
        self.publish(&queue, &envelope);
    }

    /// Publishes messages once more, in the order in which the jobs were sent.
    pub(super) fn publish_all(self: &Arc<Self>, mut messages: Vec<(Arc<str>, Envelope)>) {
        messages.sort_unstable_by_key(|(_, envelope)| envelope.id.number);
        messages.iter().for_each(|(queue, envelope)| self.publish(queue, envelope));
    }

    pub(super) fn publish(self: &Arc<Self>, queue: &Arc<str>, envelope: &Envelope) {
        let Some(link) = self.link.upgrade() else { return };
        let (number, sent, origin) = (envelope.id.number, envelope.sent, Arc::downgrade(self));
        let to = Arc::clone(queue);
        let published = move |outcome| {
            if let Some(origin) = origin.upgrade() {
                origin.published(&to, number, sent, outcome);
            }
        };
        link.engine.publish(queue, envelope, Answer::new(published));
    }

    /// The engine has answered.
    fn published(&self, queue: &str, number: u64, sent: u32, outcome: Result<Receipt, Fault>) {
        let mut jobs = self.jobs.lock();
        let Some(record) = jobs.get_mut(&number) else {
            drop(jobs);
            // It was cancelled meanwhile. Its worker would learn the same.
            let receipt = match outcome {
                Ok(receipt) => Some(receipt),
                Err(Fault::NoAnswer(_)) => None,
                Err(_) => return,
            };
            return self.withdraw(queue, number, receipt);
        };
        match outcome {
            Ok(receipt) => {
                record.published(sent, receipt);
                let word = record.word.take();
                drop(jobs);
                Record::acknowledge(word);
            }
            // Looked for when the engine is there, or at the next tick.
            Err(Fault::Away | Fault::NoAnswer(_)) => record.unanswered(sent),
            // The engine took the job before, or a worker has it: a fault of another message is no reason to refuse it.
            Err(_) if record.was_published() => record.unpublished(sent),
            Err(fault) => {
                if let Some(mut record) = self.take(jobs, number) {
                    if let Some(word) = record.word.take() {
                        word.give(Err(fault.clone()));
                    }
                    record.kept.refuse(&fault);
                }
            }
        }
    }

    /// Takes out the record of a job that ends, and releases the table. The caller ends the job, which runs user code.
    pub(super) fn take(&self, mut jobs: Jobs<'_>, number: u64) -> Option<Record> {
        let record = jobs.remove(&number);
        drop(jobs);
        if let Some(record) = &record {
            self.scopes.leave(&record.sent.scopes);
        }
        record
    }

    /// The job has ended here, before it began.
    fn ended_unbegun(&self, number: u64) {
        if let Some(record) = self.take(self.jobs.lock(), number) {
            self.forget(record);
        }
    }

    /// Takes the message of a job that has ended out of its queue.
    fn forget(&self, mut record: Record) {
        // The submitter learns the rest from the handle.
        Record::acknowledge(record.word.take());
        if record.may_have_message() {
            self.withdraw(&record.sent.queue, record.sent.envelope.id.number, record.receipt);
        }
    }

    fn withdraw(&self, queue: &str, number: u64, receipt: Option<Receipt>) {
        if let Some(link) = self.link.upgrade() {
            link.engine.withdraw(queue, number, receipt);
        }
    }

    /// The job is cancelled. One that has not begun ends by itself; the worker of the others is notified.
    fn cancelled(&self, number: u64) {
        let jobs = self.jobs.lock();
        let Some(record) = jobs.get(&number).filter(|record| record.begun) else { return };
        if record.grant.is_some() {
            // One message of a scope reaches all its jobs.
            let notified = self.scopes.any_stopped(&record.sent.scopes);
            let reason = record.kept.cancel_reason().into();
            drop(jobs);
            if !notified {
                self.call(&Call::Stop { scopes: Vec::new(), jobs: vec![number], reason });
            }
        } else if let Some(record) = self.take(jobs, number) {
            // It waits for another attempt.
            record.kept.cancel();
            self.forget(record);
        }
    }

    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.upgrade()
    }

    /// Tells the workers that a scope was cancelled.
    pub(super) fn stop_scope(&self, id: u64) {
        if let Some(reason) = self.scopes.stop(id) {
            self.call(&Call::Stop { scopes: vec![id], jobs: Vec::new(), reason: reason.into() });
        }
    }

    pub(super) fn call(&self, call: &Call) {
        if let Some(link) = self.link.upgrade() {
            link.engine.broadcast(message::encode(call));
        }
    }

    /// Returns the number of results that came after another one.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}
