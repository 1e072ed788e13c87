//! The origin: the process that sent jobs, and the one record of them.
//!
//! The engine may lose what it has, deliver twice, and repeat requests. The origin keeps each accepted job until it has ended, and
//! decides on each begin. So each job ends once, and one that is not repeatable begins at most once.
//!
//! # The life of a record
//! ```text
//!  send ──► WAITS ──grant──► BEGUN ──the worker tells its end──► ended
//!             ▲ │              │
//!             │ cancel         ├─ its worker is lost: ended as WorkerLost,
//!             │ ▼              │
//!             │ ended          │
//!             └────────────────┴─ or, if repeatable with attempts left, or not run: waits again
//! ```
//!
//! # The worker's death
//! The engine delivers the same message again after the worker was silent for a lease: the next worker asks to begin with the
//! receipt that the grant names, and so proves the death. A job that was published twice has two receipts; an ask with another
//! one is for a copy, and is told that the job is over. Where the engine has lost the message, the missing signs of the worker
//! prove it (`tick`).
//!
//! # Locks
//! The table's lock is held for look-ups and changes of records alone. Promises, hooks and the engine are called without it:
//! they run code of other parts, and some of the user's.

pub(crate) mod kept;
mod record;
mod requests;
pub(crate) mod scopes;
mod time;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::remote::origin::kept::Kept;
use crate::remote::origin::record::Record;
use crate::remote::origin::scopes::Scopes;
use crate::remote::ticker::{self, Ticks};
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, Weak};
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, Receipt};
use crate::wire::envelope::Envelope;
use crate::wire::fault::Fault;
use crate::wire::link::{Half, Link};
use crate::wire::message::{self, Call};

pub(crate) use crate::remote::origin::record::Sent;

/// The half of a link that sends jobs.
pub(crate) struct Origin {
    link: Weak<Link>,
    jobs: Mutex<HashMap<u64, Record>>,
    scopes: Scopes,
    /// Results that came after another one.
    duplicates: AtomicU64,
    connected: AtomicBool,
    lease: Duration,
}

/// Returns the origin of a link, which is made at the first call.
pub(crate) fn of(link: &Arc<Link>) -> Arc<Origin> {
    let half = link.origin.get_or_init(|| {
        let origin = Arc::new(Origin {
            link: Arc::downgrade(link),
            jobs: Mutex::new(HashMap::new()),
            scopes: Scopes::new(),
            duplicates: AtomicU64::new(0),
            connected: AtomicBool::new(link.engine.is_connected()),
            lease: link.engine.lease(),
        });
        let weak = Arc::downgrade(&origin);
        if !ticker::start(weak) {
            tracing::warn!(
                "heirloom: the system refused a thread for the leases of remote jobs; a lost worker is not noticed"
            );
        }
        origin
    });
    match Arc::clone(half).as_any().downcast::<Origin>() {
        Ok(origin) => origin,
        Err(_) => unreachable!("the half that `of` makes is an origin"),
    }
}

impl Origin {
    /// Keeps an accepted job until it has ended, and publishes it.
    pub(crate) fn send(self: &Arc<Self>, sent: Sent, kept: Arc<dyn Kept>, told: Option<Answer<()>>) {
        let (number, queue) = (sent.envelope.id.number, Arc::clone(&sent.queue));
        let envelope = sent.envelope.clone();
        self.scopes.note(self, &sent.scopes);
        self.jobs.lock().insert(number, Record::new(sent, Arc::clone(&kept), told));
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

    fn publish(self: &Arc<Self>, queue: &Arc<str>, envelope: &Envelope) {
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
            // It was cancelled meanwhile. Its worker would hear the same.
            if let (Ok(receipt), Some(link)) = (outcome, self.link.upgrade()) {
                link.engine.withdraw(queue, receipt);
            }
            return;
        };
        match outcome {
            Ok(receipt) => {
                record.published(sent, receipt);
                let told = record.told.take();
                drop(jobs);
                if let Some(told) = told {
                    told.give(Ok(()));
                }
            }
            // Published again when the engine is there, or at the next tick.
            Err(Fault::Away | Fault::NoAnswer(_)) => record.unpublished(sent),
            // The job was accepted before, so a queue that is full now is no reason to refuse it.
            Err(Fault::Full) if record.was_published() => record.unpublished(sent),
            Err(fault) => {
                let refused = jobs.remove(&number);
                drop(jobs);
                if let Some(mut record) = refused {
                    self.scopes.leave(&record.sent.scopes);
                    if let Some(told) = record.told.take() {
                        told.give(Err(fault.clone()));
                    }
                    record.kept.refuse(&fault);
                }
            }
        }
    }

    /// The job has ended here, before it began.
    fn ended_unbegun(&self, number: u64) {
        let Some(record) = self.jobs.lock().remove(&number) else { return };
        self.scopes.leave(&record.sent.scopes);
        self.forget(record);
    }

    /// Takes the message of a job that has ended out of its queue.
    fn forget(&self, mut record: Record) {
        // The submitter learns the rest from the handle.
        if let Some(told) = record.told.take() {
            told.give(Ok(()));
        }
        if let (Some(receipt), Some(link)) = (record.receipt, self.link.upgrade()) {
            link.engine.withdraw(&record.sent.queue, receipt);
        }
    }

    /// The job is cancelled. One that has not begun ends by itself; the worker of the others hears of it.
    fn cancelled(&self, number: u64) {
        let mut jobs = self.jobs.lock();
        let Some(record) = jobs.get(&number).filter(|record| record.begun) else { return };
        if record.grant.is_some() {
            // One message of a scope reaches all its jobs.
            let heard = self.scopes.any_stopped(&record.sent.scopes);
            let reason = scopes::why(record.kept.cancel_reason());
            drop(jobs);
            if !heard {
                self.call(&Call::Stop { scopes: Vec::new(), jobs: vec![number], reason });
            }
        } else if let Some(record) = jobs.remove(&number) {
            // It waits for another attempt.
            drop(jobs);
            self.scopes.leave(&record.sent.scopes);
            record.kept.cancel();
            self.forget(record);
        }
    }

    fn call(&self, call: &Call) {
        if let Some(link) = self.link.upgrade() {
            link.engine.broadcast(message::encode(call));
        }
    }

    /// Returns the number of results that came after another one.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}

impl Half for Origin {
    fn requested(self: Arc<Self>, from: &ProcessId, message: bytes::Bytes, answer: Answer<bytes::Bytes>) {
        requests::answer(&self, from, &message, answer);
    }

    fn connected(self: Arc<Self>, connected: bool) {
        self.connected.store(connected, Ordering::SeqCst);
        if connected {
            time::connected(&self);
        }
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

impl Ticks for Origin {
    fn tick(self: Arc<Self>) -> Duration {
        if self.connected.load(Ordering::SeqCst) {
            time::tick(&self, Instant::now());
        }
        (self.lease / 3).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }
}
