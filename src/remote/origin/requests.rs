//! The requests of workers: to begin, the end of a job, and signs of life.

use std::time::Instant;

use bytes::Bytes;

use crate::error::remote::RemoteFailure;
use crate::remote::origin::kept::Kept;
use crate::remote::origin::record::{Grant, Record};
use crate::remote::origin::state::Origin;
use crate::sync::os::{Arc, Ordering};
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, Receipt};
use crate::wire::message::{self, Ask, Outcome, Reply};

/// Answers one request. An unreadable one gets no answer, and its worker asks again until it gives up.
pub(super) fn answer(origin: &Arc<Origin>, from: &ProcessId, message: &Bytes, answer: Answer<Bytes>) {
    let reply = match message::decode(message) {
        Some(Ask::Begin { job, receipt, ask, count, again }) => {
            begin(origin, from, job, &Asked { receipt, ask, count, again })
        }
        Some(Ask::Ended { job, attempt, ask, outcome }) => {
            Reply::Confirmed { first: ended(origin, from, job, (attempt, ask), outcome) }
        }
        Some(Ask::GaveBack { job, receipt, ask, count }) => {
            if let Some(record) = origin.jobs.lock().get_mut(&job) {
                record.gave_back(from, ask, (receipt, count));
            }
            Reply::Confirmed { first: true }
        }
        Some(Ask::Sign { jobs, scopes }) => sign(origin, from, &jobs, &scopes),
        None => {
            return tracing::warn!(worker = %from, "heirloom: a request of a worker is unreadable; its version is another");
        }
    };
    answer.give(Ok(message::encode(&reply)));
}

/// A request to begin.
struct Asked {
    receipt: u64,
    ask: u64,
    count: u64,
    again: bool,
}

/// Decides whether a worker may begin a job: for one worker at a time, and once for a job that is not repeatable.
fn begin(origin: &Arc<Origin>, from: &ProcessId, job: u64, asked: &Asked) -> Reply {
    let Asked { receipt, ask, count, again } = *asked;
    let granted = |attempt| Reply::Begin { attempt };
    let mut jobs = origin.jobs.lock();
    let Some(record) = jobs.get_mut(&job) else { return Reply::Over };
    let attempt = record.sent.envelope.attempt;
    // A repeatable job begins before its worker asks, so a dead worker may have begun it without a grant.
    let is_free = record.sent.envelope.repeatable && record.grant.is_none();
    let may_have_begun = is_free && again && record.may_have_begun(receipt, count);
    if may_have_begun && record.receipt.is_some_and(|newest| newest != Receipt(receipt)) {
        // The message of an attempt that was counted before.
        return Reply::Over;
    }
    let mut dead = may_have_begun.then(|| from.clone());
    if let Some(grant) = &mut record.grant {
        if grant.worker == *from && grant.ask == ask {
            // The answer was lost on its way, or the engine has delivered the worker's own job again.
            (grant.receipt, grant.count) = (receipt, count);
            return granted(attempt);
        }
        if grant.receipt != receipt {
            // A copy: the job was published twice.
            return Reply::Over;
        }
        if count <= grant.count {
            // The asking worker was silent for a lease, or its request was: its delivery was not the last.
            return Reply::Stale;
        }
        // The engine delivers the message again, so the worker that has the grant is dead.
        dead = Some(grant.worker.clone());
    }
    if let Some(worker) = dead {
        if !record.may_repeat() || record.kept.is_cancelled() {
            if let Some(record) = origin.take(jobs, job) {
                lose(&*record.kept, &worker);
            }
            return Reply::Over;
        }
        record.lose_attempt();
    }
    let attempt = record.sent.envelope.attempt;
    record.grant(Grant { worker: from.clone(), ask, receipt, count, seen: Instant::now() });
    let begins = !std::mem::replace(&mut record.begun, true);
    let kept = Arc::clone(&record.kept);
    let word = record.word.take();
    drop(jobs);
    // A worker has the message, so the engine had it.
    Record::acknowledge(word);
    // A task that was cancelled meanwhile has taken its record along.
    if begins && !kept.begin() { Reply::Over } else { granted(attempt) }
}

/// Ends a begun job that has no worker and is not to begin again.
pub(super) fn lose(kept: &dyn Kept, worker: &ProcessId) {
    match kept.is_cancelled() {
        true => kept.cancel(),
        false => kept.fail(RemoteFailure::WorkerLost { worker: worker.to_string() }),
    }
}

/// Notes the end of a job. Returns whether it was the first.
fn ended(origin: &Arc<Origin>, from: &ProcessId, job: u64, (attempt, ask): (u32, u64), outcome: Outcome) -> bool {
    let mut jobs = origin.jobs.lock();
    let Some(record) = jobs.get_mut(&job) else {
        drop(jobs);
        if matches!(outcome, Outcome::Value(_) | Outcome::Panicked(_)) {
            origin.duplicates.fetch_add(1, Ordering::Relaxed);
        }
        return false;
    };
    let has_no_end = matches!(outcome, Outcome::NotRun | Outcome::Lost);
    if has_no_end {
        let is_current = match &record.grant {
            Some(grant) => grant.worker == *from && grant.ask == ask,
            // A repeatable job begins before its grant, and each of its messages has an attempt of its own.
            None => record.sent.envelope.attempt == attempt && (record.sent.envelope.repeatable || !record.begun),
        };
        if !is_current {
            // Repeated, after another attempt was made.
            return false;
        }
        let ran = matches!(outcome, Outcome::Lost);
        if !record.kept.is_cancelled() && (!ran || record.may_repeat()) {
            let (queue, envelope) = record.retry(ran);
            drop(jobs);
            origin.publish(&queue, &envelope);
            return true;
        }
    }
    if matches!(outcome, Outcome::NotUnderstood(_)) && record.grant.as_ref().is_some_and(|grant| grant.worker != *from)
    {
        // A worker of another version got a copy, or the message of a worker that runs the job.
        return false;
    }
    let Some(mut record) = origin.take(jobs, job) else { return false };
    // The end may overtake the engine's word that it has the job.
    Record::acknowledge(record.word.take());
    match outcome {
        Outcome::Value(output) => record.kept.complete(output, from),
        Outcome::Panicked(text) => record.kept.panic(text),
        Outcome::NotRun => record.kept.cancel(),
        Outcome::Lost => lose(&*record.kept, from),
        Outcome::NotUnderstood(why) => {
            record.kept.fail(RemoteFailure::NotUnderstood { worker: from.to_string(), why, ran: false });
        }
        Outcome::NoOutput(why) => {
            record.kept.fail(RemoteFailure::NotUnderstood { worker: from.to_string(), why, ran: true });
        }
    }
    true
}

/// Notes that a worker lives.
fn sign(origin: &Arc<Origin>, from: &ProcessId, numbers: &[u64], scopes: &[u64]) -> Reply {
    let (mut kept, mut unknown) = (Vec::new(), Vec::new());
    let now = Instant::now();
    {
        let mut jobs = origin.jobs.lock();
        for number in numbers {
            match jobs.get_mut(number).and_then(|record| Some((record.grant.as_mut()?, &record.kept))) {
                Some((grant, promise)) if grant.worker == *from => {
                    grant.seen = now;
                    kept.push((*number, Arc::clone(promise)));
                }
                _ => unknown.push(*number),
            }
        }
    }
    // A look at a node, without the lock.
    let cancelled = kept.iter().filter(|(_, kept)| kept.is_cancelled());
    let stop = cancelled.map(|(number, _)| *number).collect();
    Reply::Signed { stop, unknown, ended: origin.scopes.ended(scopes) }
}
