//! The end of a run: its outcome is a request to the origin, repeated until it is confirmed. Only then the delivery is settled.
//!
//! An outcome that was published into nothing, while the broker restarted or the origin connected again, would leave a handle
//! waiting. So it is kept here until the origin has it, the origin is dead, or two leases have passed with a connection.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::remote::worker::core::End;
use crate::remote::worker::give_back::{self, Unbegun};
use crate::remote::worker::run::{Run, Stage};
use crate::remote::worker::state::{GONE, Worker};
use crate::sync::os::{Arc, Ordering};
use crate::threads::aside;
use crate::wire::engine::Settlement;
use crate::wire::fault::Fault;
use crate::wire::message::{self, Ask, Outcome, Reply};

/// The pause before a job goes back that the pool did not take, for a reason that may last.
const REFUSED: Duration = Duration::from_millis(200);
/// More than a message about an end has beside its output.
const HEAD: usize = 256;

/// The task has ended, or is given up. The first call decides; a later one frees the permit alone.
pub(super) fn ended(worker: &Arc<Worker>, run: &Arc<Run>, outcome: Outcome) {
    let outcome = fitting(run, outcome);
    let (busy, first, orphan) = {
        let mut now = run.now.lock();
        now.body = None;
        let busy = std::mem::take(&mut now.is_busy);
        let first = now.stage.is_open();
        if first {
            now.tries = 0;
            now.gone = 0;
            now.stage = Stage::Tells { outcome: outcome.clone(), until: Instant::now() + worker.lease * 2 };
        }
        (busy, first, now.orphan)
    };
    if first {
        run.core.end_job(end_of(run, &outcome, orphan));
    }
    let (tells, drops) = (first && !orphan, first && orphan);
    if busy {
        run.core.free_permit();
    }
    if drops {
        settle(worker, run, Settlement::Done);
    } else if tells && matches!(outcome, Outcome::NotRun) && !run.is_stopped() && !run.core.is_closed() {
        // The pool is full or has no thread. At once, the job would come and go as fast as messages do.
        let run = Arc::clone(run);
        worker.after(REFUSED, move |worker| tell(worker, &run));
    } else if tells {
        tell(worker, run);
    }
}

/// Returns the outcome as it fits into a message.
fn fitting(run: &Run, outcome: Outcome) -> Outcome {
    let most = run.core.link().engine.most_bytes();
    match outcome {
        Outcome::Value(output) if output.len().saturating_add(HEAD) > most => too_large(output.len(), most),
        Outcome::Panicked(mut text) if text.len().saturating_add(HEAD) > most => {
            let end = (0..=most.saturating_sub(HEAD)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            Outcome::Panicked(text)
        }
        outcome => outcome,
    }
}

fn too_large(bytes: usize, most: usize) -> Outcome {
    Outcome::NoOutput(format!(
        "its output has {bytes} bytes, which do not fit into a message of {most}; store it, and return its name"
    ))
}

/// Returns the end that the job is counted by.
fn end_of(run: &Run, outcome: &Outcome, orphan: bool) -> End {
    match outcome {
        Outcome::Value(_) | Outcome::Panicked(_) => End::Done,
        Outcome::NotUnderstood(_) | Outcome::NoOutput(_) => End::NotUnderstood,
        // No origin is left that sends it to another worker.
        Outcome::Lost | Outcome::NotRun if orphan => End::Cancelled,
        Outcome::Lost if !run.repeatable => End::Lost,
        Outcome::Lost => End::GivenBack,
        Outcome::NotRun if run.core.is_closed() || !run.is_stopped() => End::GivenBack,
        // A job that its origin has cancelled goes nowhere.
        Outcome::NotRun => End::Cancelled,
    }
}

/// Tells the outcome, if that is not under way.
pub(super) fn tell(worker: &Arc<Worker>, run: &Arc<Run>) {
    let ended = {
        let mut now = run.now.lock();
        let attempt = now.attempt;
        let (asks, tells) = (now.asks, now.tells);
        let Stage::Tells { outcome, .. } = &now.stage else { return };
        // A grant that is on its way would come after the word that the job did not run, and name this worker.
        let waits = asks && matches!(outcome, Outcome::NotRun | Outcome::Lost);
        if tells || waits {
            return;
        }
        let ended = Ask::Ended { job: run.id.number, attempt, ask: run.ask, outcome: outcome.clone() };
        now.tells = true;
        ended
    };
    let of = Arc::clone(run);
    let answered = move |worker: &Arc<Worker>, outcome| answered(worker, &of, outcome);
    worker.request(&run.id.origin, &ended, worker.within(), answered);
}

/// The origin has answered, or has not.
fn answered(worker: &Arc<Worker>, run: &Arc<Run>, outcome: Result<Bytes, Fault>) {
    let confirmed = outcome.as_ref().ok().and_then(|bytes| match message::decode(bytes) {
        Some(Reply::Confirmed { first }) => Some(first),
        _ => None,
    });
    if outcome.is_ok() {
        worker.lives(&run.id.origin);
    }
    let connected = worker.is_connected();
    let pause = {
        let mut now = run.now.lock();
        now.tells = false;
        now.tries += 1;
        let (tries, gone) = (now.tries, now.gone + 1);
        let Stage::Tells { outcome: kept, until } = &mut now.stage else { return };
        let has_result = matches!(kept, Outcome::Value(_) | Outcome::Panicked(_));
        if let Some(first) = confirmed {
            drop(now);
            if !first && has_result {
                run.core.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            return settle(worker, run, Settlement::Done);
        }
        if let Err(Fault::TooLarge { bytes, most }) = outcome
            && has_result
        {
            *kept = too_large(bytes, most);
            Duration::ZERO
        } else {
            let over = connected && *until <= Instant::now();
            let is_gone = connected && matches!(outcome, Err(Fault::Gone));
            now.gone = if is_gone { gone } else { 0 };
            if over || now.gone >= GONE {
                drop(now);
                return settle(worker, run, Settlement::Done);
            }
            // It is certain only when a process that connects again had the time to.
            if is_gone { worker.period() } else { worker.pause(tries) }
        }
    };
    let run = Arc::clone(run);
    worker.after(pause, move |worker| tell(worker, &run));
}

/// Ends the run and its delivery. A task that runs goes on, and its outcome is dropped. The first call decides.
pub(super) fn settle(worker: &Arc<Worker>, run: &Arc<Run>, how: Settlement) {
    let (delivery, receipt, count, busy, open) = {
        let mut now = run.now.lock();
        let open = now.stage.is_open();
        if matches!(std::mem::replace(&mut now.stage, Stage::Settled), Stage::Settled) {
            return;
        }
        now.body = None;
        // A task that the pool has, or gets at this moment, frees its permit at its end.
        let busy = !now.submitted && std::mem::take(&mut now.is_busy);
        (now.delivery, now.receipt, now.count, busy, open)
    };
    {
        let mut state = worker.state.lock();
        if state.runs.get(&run.id).is_some_and(|known| Arc::ptr_eq(known, run)) {
            state.runs.remove(&run.id);
        }
    }
    if open {
        run.core.end_job(if how == Settlement::GiveBack { End::GivenBack } else { End::Cancelled });
    }
    if how == Settlement::GiveBack {
        let (job, ask) = (run.id.clone(), run.ask);
        give_back::give_back(worker, run.core.link(), delivery, Some(Unbegun { job, receipt, ask, count }));
    } else {
        run.core.link().engine.settle(delivery, how);
    }
    if busy {
        run.core.free_permit();
    }
    let last = run.core.count_out();
    if last || run.core.is_closed() {
        // The end of a scope runs user code, which an engine's thread does not.
        let run = Arc::clone(run);
        aside::run(move || {
            run.work.leave();
            if last {
                run.core.end();
            }
        });
    } else {
        run.work.leave();
    }
}

/// Lets the time of untold outcomes begin again, since there was no connection, and tells them now.
pub(super) fn tell_again(worker: &Arc<Worker>, runs: &[Arc<Run>]) {
    for run in runs {
        {
            let mut now = run.now.lock();
            (now.tries, now.gone) = (0, 0);
            if let Stage::Tells { until, .. } = &mut now.stage {
                *until = Instant::now() + worker.lease * 2;
            }
        }
        tell(worker, run);
    }
}
