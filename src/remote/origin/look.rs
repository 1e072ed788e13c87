//! Looks at the engine: which of the jobs that wait it still has.
//!
//! After a connect the engine may have lost all messages, or none. The origin does not know which, and each message that it
//! published on suspicion would be a copy: it would take capacity of a bounded queue, and begin a repeatable job twice. So the
//! origin lists the jobs that the engine has, and publishes the others again, in the order in which they were sent. A message
//! keeps its turn in the queue over each lost connection.
//!
//! # Races
//! - An answer from before a connect says nothing of the engine after it. It is dropped, by the count of connects.
//! - A message that was published, retried or granted since the look is not published again: the record has another number then,
//!   an open request, or a grant.
//! - A message may be listed and lost later: a worker for which this process counted as dead settles it, or an operator empties the
//!   queue. So a job that waits is looked for again each two leases.
//! - A message that was sent before the connection was lost may reach the engine after the look. That one copy stays, and its
//!   worker learns that the job is over.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::remote::origin::record::Record;
use crate::remote::origin::state::Origin;
use crate::sync::os::{Arc, Ordering};
use crate::wire::engine::Answer;
use crate::wire::fault::Fault;

/// The number of a job, and that of its newest message.
type Noted = (u64, u32);

/// Looks for the jobs that wait, in each queue where one is in doubt or was last seen before `since`.
pub(super) fn look(origin: &Arc<Origin>, since: Option<Instant>) {
    let Some(link) = origin.link() else { return };
    let connect = origin.connects.load(Ordering::SeqCst);
    let mut queues: HashMap<Arc<str>, (bool, Vec<Noted>)> = HashMap::new();
    for (number, record) in origin.jobs.lock().iter() {
        let Some(is_due) = record.look_is_due(since) else { continue };
        let (due, noted) = match queues.get_mut(&record.sent.queue) {
            Some(queue) => queue,
            None => queues.entry(Arc::clone(&record.sent.queue)).or_default(),
        };
        *due |= is_due;
        noted.push((*number, record.sent.envelope.sent));
    }
    for (queue, (due, noted)) in queues {
        if due {
            let of = Arc::downgrade(origin);
            let listed = move |outcome: Result<Vec<u64>, Fault>| {
                if let (Some(origin), Ok(jobs)) = (of.upgrade(), outcome) {
                    listed(&origin, connect, &noted, &jobs);
                }
            };
            link.engine.list(&queue, Answer::new(listed));
        }
    }
}

/// The engine has answered. Without an answer the next tick, or the next connect, looks again.
fn listed(origin: &Arc<Origin>, connect: u64, noted: &[Noted], jobs: &[u64]) {
    let found: HashSet<u64> = jobs.iter().copied().collect();
    let (mut again, mut words) = (Vec::new(), Vec::new());
    {
        let mut jobs = origin.jobs.lock();
        // Under the lock: a connect counts before it takes the lock.
        if origin.connects.load(Ordering::SeqCst) != connect {
            return;
        }
        for (number, sent) in noted {
            let Some(record) = jobs.get_mut(number) else { continue };
            again.extend(record.looked(*sent, found.contains(number)));
            words.extend(record.take_word());
        }
    }
    // The engine's own word may have been lost with the connection.
    words.into_iter().for_each(|word| Record::acknowledge(Some(word)));
    origin.publish_all(again);
}
