//! A job as a task of the pool: decoding, the job's code, and its outcome. All user code of a job runs here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bytes::Bytes;

use crate::error::task::payload_text;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::with_own;
use crate::pool::run::deadline;
use crate::pool::run::task::Reported;
use crate::remote::worker::origin::Origin;
use crate::remote::worker::run::{Run, Stage};
use crate::remote::worker::state::Worker;
use crate::remote::worker::tell;
use crate::sync::os::{Arc, Weak};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::wait::park;
use crate::wire::envelope;
use crate::wire::message::Outcome;

/// The closure of a job's task. Dropped without a run, it tells that the job did not run.
pub(super) struct JobTask {
    run: Option<Arc<Run>>,
    worker: Weak<Worker>,
}

impl JobTask {
    pub(super) fn new(worker: &Arc<Worker>, run: &Arc<Run>) -> Self {
        Self { run: Some(Arc::clone(run)), worker: Arc::downgrade(worker) }
    }

    /// Runs the job, as the task's code.
    pub(super) fn run(mut self) {
        let (Some(run), Some(worker)) = (self.run.take(), self.worker.upgrade()) else { return };
        let Some(body) = begin(&run) else { return tell::ended(&worker, &run, Outcome::NotRun) };
        let attempt = run.attempt();
        let at = Lineage(current::here());
        Origin::of_job(run.id.clone(), run.path.clone(), attempt).bind_at(&at);
        // An empty one too: it hides the one of a scope above. Refused where the task's node has ended.
        let _ = run.trace.clone().bind_at(&at);
        if let Some(when) = run.remaining().and_then(park::after) {
            deadline::set(&at.0, when, deadline::cancel_below);
        }
        let (outcome, panic) = in_span(&run, attempt, || work(&run, &body, &at));
        drop(body);
        tell::ended(&worker, &run, outcome);
        if let Some(payload) = panic {
            swallow_drop(payload);
            // The pool counts it. It was logged in the job's own span.
            resume_unwind(Box::new(Reported));
        }
    }
}

impl Drop for JobTask {
    fn drop(&mut self) {
        if let (Some(run), Some(worker)) = (self.run.take(), self.worker.upgrade()) {
            tell::ended(&worker, &run, Outcome::NotRun);
        }
    }
}

/// Takes the job's bytes. `None` for a run that was given up meanwhile.
fn begin(run: &Run) -> Option<Bytes> {
    let mut now = run.now.lock();
    if !matches!(now.stage, Stage::Runs) || now.given_up {
        return None;
    }
    now.begun = true;
    now.body.take()
}

/// Runs `f` in the span of the job. A subscriber and a propagator are user code, and their panics go no further.
fn in_span<R>(run: &Run, attempt: u32, f: impl FnOnce() -> R) -> R {
    let span = swallow(|| {
        let span = tracing::info_span!(
            target: "heirloom",
            "remote_job",
            job = run.job,
            id = %run.id,
            origin = %run.scope.name(),
            attempt,
        );
        run.trace.extract(&span);
        span
    });
    let entered = span.as_ref().and_then(|span| swallow(|| span.enter()));
    let out = f();
    swallow_drop(entered);
    swallow_drop(span);
    out
}

/// A panic's payload.
type Payload = Box<dyn Any + Send>;

fn work(run: &Run, body: &Bytes, at: &Lineage) -> (Outcome, Option<Payload>) {
    let not_understood = |why| (Outcome::NotUnderstood(why), None);
    let Some((values, bytes)) = envelope::split_body(body) else {
        return not_understood(format!("the body of job `{}` has another form", run.job));
    };
    let read = || {
        run.core.jobs.bind(&values, at)?;
        (run.decode)(&bytes)
    };
    let code = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(code)) => code,
        Ok(Err(why)) => return not_understood(format!("job `{}` does not decode: {why}", run.job)),
        Err(payload) => {
            let why = format!("decoding job `{}` panicked: {}", run.job, text(&*payload));
            swallow_drop(payload);
            return not_understood(why);
        }
    };
    match catch_unwind(AssertUnwindSafe(|| code.run())) {
        Ok(Ok(_)) if gives_back(run) => (Outcome::Lost, None),
        Ok(Ok(output)) => (Outcome::Value(output), None),
        Ok(Err(why)) => (Outcome::NoOutput(format!("its output does not encode: {why}")), None),
        Err(payload) => {
            let text = text(&*payload);
            report_panic(run, &text);
            (Outcome::Panicked(text), Some(payload))
        }
    }
}

/// Logs a panic once, with the ids of its origin, unless the pool's settings hide panics.
fn report_panic(run: &Run, text: &str) {
    if run.core.here.pool().is_some_and(|pool| pool.config.rare().hides_panics) {
        return;
    }
    // A subscriber is user code.
    swallow(|| {
        tracing::error!(
            target: "heirloom",
            namespace = %run.core.here.namespace(),
            job = run.job,
            id = %run.id,
            origin = run.scope.name(),
            "a job panicked: {text}"
        );
    });
}

/// Returns whether the job ended early because this worker was cancelled, and may begin elsewhere.
fn gives_back(run: &Run) -> bool {
    run.repeatable && run.core.is_cancelled() && with_own(|frame| frame.is_some_and(Frame::was_interrupted))
}

fn text(payload: &(dyn Any + Send)) -> String {
    payload_text(payload).unwrap_or("(a payload that is no text)").to_string()
}
