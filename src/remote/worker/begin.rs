//! From a delivery to the job's task: the envelope is read, the origin is asked, the pool gets the task.
//!
//! # Begun at most once
//! The worker asks the origin before it runs a job, and the origin grants one begin. A repeated request has the same number, so an
//! answer that was lost is given again. A repeatable job begins at once, where its message comes for the first time. Its worker
//! asks a moment later ([`soon`](super::soon)), unless the job has ended, and the answer may stop it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::CancelReason;
use crate::lineage::work::Work;
use crate::names::task_type::TaskType;
use crate::pool::run::cancel_task;
use crate::remote::trace::TraceContext;
use crate::remote::worker::core::{Core, End};
use crate::remote::worker::give_back::{self, Unbegun};
use crate::remote::worker::refuse;
use crate::remote::worker::run::{Now, Run, Stage};
use crate::remote::worker::soon::MOMENT;
use crate::remote::worker::state::{GONE, Presence, Worker};
use crate::remote::worker::task::JobTask;
use crate::remote::worker::tell;
use crate::sync::os::{Arc, Mutex, Weak};
use crate::threads::aside;
use crate::wire::address::JobId;
use crate::wire::engine::{Delivery, Settlement};
use crate::wire::envelope::{Envelope, header};
use crate::wire::fault::Fault;
use crate::wire::message::{self, Ask, Outcome, Reply};

/// How long a worker keeps the next message of a job whose end it is telling.
const NEXT: Duration = Duration::from_millis(50);

/// A job has come.
pub(super) fn delivered(worker: &Arc<Worker>, delivery: Delivery) {
    let core = worker.state.lock().servings.get(&delivery.queue).cloned();
    let Some(core) = core else {
        if let Some(link) = worker.link() {
            give_back::give_back(worker, &link, delivery.id, Unbegun::of(&delivery));
        }
        return;
    };
    if !core.arrive() {
        give_back::give_back(worker, core.link(), delivery.id, Unbegun::of(&delivery));
        if !core.here.is_running() {
            // Its pool was closed, so no job of this queue runs here any more.
            close(worker, &core);
        }
        return;
    }
    let envelope = match Envelope::read(&delivery.headers, delivery.body.clone()) {
        Ok(envelope) => envelope,
        Err(why) => {
            let id = header(&delivery.headers, "Hl-Id").and_then(JobId::parse);
            let attempt = header(&delivery.headers, "Hl-Attempt").and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
            return refuse::refuse(worker, &core, delivery.id, id, attempt, why.to_string());
        }
    };
    let Some((job, decode)) = core.jobs.get(&envelope.job) else {
        let known: Vec<_> = core.jobs.names().collect();
        let why = format!("it serves no job `{}`, but {known:?}", envelope.job);
        return refuse::refuse(worker, &core, delivery.id, Some(envelope.id), envelope.attempt, why);
    };
    loop {
        let known = worker.state.lock().runs.get(&envelope.id).cloned();
        match known {
            Some(run) if replace(worker, &core, &run, &delivery) => return,
            // It was settled at this moment, and is taken out.
            Some(_) => std::thread::yield_now(),
            None => break,
        }
    }
    follow(worker, &core, &envelope);
    let scope = core.scopes.of(&core.at, &envelope.path);
    let Ok(work) = core.at.run(Work::counted) else {
        give_back(worker, &core, &delivery);
        return close(worker, &core);
    };
    let at_once = envelope.repeatable && delivery.count == 1;
    let until = Instant::now() + worker.lease * 2;
    let now = Now {
        stage: if at_once { Stage::Runs } else { Stage::Asks { until } },
        delivery: delivery.id,
        receipt: delivery.receipt,
        count: delivery.count,
        attempt: envelope.attempt,
        granted: false,
        body: Some(envelope.body),
        task: None,
        submitted: false,
        begun: false,
        is_busy: true,
        stopped: None,
        given_up: false,
        orphan: false,
        asks: false,
        tells: false,
        gone: 0,
        tries: 0,
    };
    let run = Arc::new(Run {
        id: envelope.id,
        job,
        decode,
        core,
        scope,
        path: envelope.path,
        deadline: envelope.deadline,
        repeatable: envelope.repeatable,
        outlives_origin: envelope.outlives_origin,
        trace: TraceContext::of(envelope.trace),
        ask: worker.next_ask(),
        again: delivery.count > 1,
        work,
        since: Instant::now(),
        now: Mutex::new(now),
    });
    let other = {
        let mut state = worker.state.lock();
        match state.runs.get(&run.id) {
            Some(other) => Some(Arc::clone(other)),
            None => {
                state.runs.insert(run.id.clone(), Arc::clone(&run));
                None
            }
        }
    };
    if let Some(other) = other {
        run.work.leave();
        if !replace(worker, &run.core, &other, &delivery) {
            give_back(worker, &run.core, &delivery);
        }
        return;
    }
    if at_once {
        submit(worker, &run);
        ask_soon(worker, &run);
    } else {
        ask(worker, &run);
    }
}

fn give_back(worker: &Arc<Worker>, core: &Arc<Core>, delivery: &Delivery) {
    core.end_job(End::GivenBack);
    give_back::give_back(worker, core.link(), delivery.id, Unbegun::of(delivery));
    leave(core);
}

/// Counts out a delivery that did not become a run.
fn leave(core: &Arc<Core>) {
    core.free_permit();
    if core.count_out() {
        let core = Arc::clone(core);
        aside::run(move || core.end());
    }
}

/// Follows the processes of the path, before the origin knows this worker: a cancel that follows reaches it.
fn follow(worker: &Worker, core: &Core, envelope: &Envelope) {
    let mut new = Vec::new();
    {
        let mut state = worker.state.lock();
        for process in envelope.path.processes().chain([&envelope.id.origin]) {
            if !state.followed.contains_key(process) {
                state.followed.insert(process.clone(), Presence::default());
                new.push(process.clone());
            }
            if let Some(presence) = state.followed.get_mut(process) {
                presence.is_new = true;
            }
        }
    }
    new.iter().for_each(|process| core.link().engine.follow(process));
}

/// A message of a job that is here already: it replaces the earlier one. Returns false for a settled run.
fn replace(worker: &Arc<Worker>, core: &Arc<Core>, run: &Arc<Run>, delivery: &Delivery) -> bool {
    let before = {
        let mut now = run.now.lock();
        if matches!(now.stage, Stage::Settled) {
            return false;
        }
        // The origin has published the job again because it did not run here, and has not confirmed that yet.
        let is_next = matches!(&now.stage, Stage::Tells { outcome: Outcome::NotRun | Outcome::Lost, .. })
            && now.receipt != delivery.receipt;
        let before = (now.delivery, now.receipt);
        if !is_next {
            (now.delivery, now.receipt, now.count) = (delivery.id, delivery.receipt, delivery.count);
        }
        (!is_next).then_some(before)
    };
    let Some(before) = before else {
        let (core, delivery) = (Arc::clone(core), delivery.clone());
        worker.after(NEXT, move |worker| give_back(worker, &core, &delivery));
        return true;
    };
    // The same message counts once, whichever of its deliveries is settled.
    if before.1 != delivery.receipt {
        run.core.link().engine.settle(before.0, Settlement::Done);
    }
    core.uncount();
    leave(core);
    // The origin learns the new receipt, or grants another attempt.
    ask(worker, run);
    true
}

/// Asks the origin of a run that has begun, unless the run ends within a moment.
fn ask_soon(worker: &Arc<Worker>, run: &Arc<Run>) {
    if worker.soon.add(run) {
        worker.after(MOMENT, ask_all);
    }
}

fn ask_all(worker: &Arc<Worker>) {
    let runs = worker.soon.take();
    if !runs.is_empty() {
        // The clock's thread is awake, and need not be unparked for the next jobs.
        worker.after(MOMENT, ask_all);
    }
    runs.iter().filter_map(Weak::upgrade).for_each(|run| ask(worker, &run));
}

/// Asks the origin whether the job may begin, if that is not under way.
pub(super) fn ask(worker: &Arc<Worker>, run: &Arc<Run>) {
    let (receipt, count) = {
        let mut now = run.now.lock();
        if now.asks || !matches!(now.stage, Stage::Asks { .. } | Stage::Runs) {
            return;
        }
        now.asks = true;
        (now.receipt, now.count)
    };
    let ask = Ask::Begin { job: run.id.number, receipt: receipt.0, ask: run.ask, count, again: run.again };
    let of = Arc::clone(run);
    let asked = move |worker: &Arc<Worker>, outcome| asked(worker, &of, receipt.0, outcome);
    worker.request(&run.id.origin, &ask, worker.within(), asked);
}

/// Returns the end of a delivery whose job is over.
fn done(reply: &Reply) -> Settlement {
    if matches!(reply, Reply::Stale) { Settlement::Forget } else { Settlement::Done }
}

/// The next step of the worker after an answer.
enum Owes {
    Nothing,
    Submit,
    Tell,
    /// The job is over, and its task is cancelled.
    Over(Settlement),
    Settle(Settlement),
    AskAgain(Duration),
}

fn asked(worker: &Arc<Worker>, run: &Arc<Run>, receipt: u64, outcome: Result<Bytes, Fault>) {
    if outcome.is_ok() {
        worker.lives(&run.id.origin);
    }
    let reply = outcome.as_ref().ok().and_then(|bytes| message::decode(bytes));
    let connected = worker.is_connected();
    let owes = {
        let mut now = run.now.lock();
        now.asks = false;
        now.tries += 1;
        match reply {
            Some(Reply::Begin { attempt }) => {
                (now.granted, now.tries, now.gone) = (true, 0, 0);
                now.attempt = now.attempt.max(attempt);
                match now.stage {
                    Stage::Asks { .. } => {
                        now.stage = Stage::Runs;
                        Owes::Submit
                    }
                    Stage::Runs if now.receipt.0 != receipt => Owes::AskAgain(Duration::ZERO),
                    Stage::Tells { .. } => Owes::Tell,
                    Stage::Runs | Stage::Settled => Owes::Nothing,
                }
            }
            Some(reply @ (Reply::Over | Reply::Stale)) => match now.stage {
                Stage::Asks { .. } => Owes::Settle(done(&reply)),
                Stage::Runs => Owes::Over(done(&reply)),
                Stage::Tells { .. } => Owes::Tell,
                Stage::Settled => Owes::Nothing,
            },
            _ => {
                let is_gone = connected && matches!(outcome, Err(Fault::Gone));
                now.gone = if is_gone { now.gone + 1 } else { 0 };
                let pause = if is_gone { worker.period() } else { worker.pause(now.tries) };
                match now.stage {
                    Stage::Asks { .. } if now.gone >= GONE => Owes::Settle(Settlement::Done),
                    // A silent origin decides later: another worker asks then.
                    Stage::Asks { until } if connected && until <= Instant::now() => Owes::Settle(Settlement::GiveBack),
                    Stage::Asks { .. } | Stage::Runs => Owes::AskAgain(pause),
                    Stage::Tells { .. } => Owes::Tell,
                    Stage::Settled => Owes::Nothing,
                }
            }
        }
    };
    match owes {
        Owes::Nothing => {}
        Owes::Submit => submit(worker, run),
        Owes::Tell => tell::tell(worker, run),
        Owes::Over(how) => over(worker, run, how),
        Owes::Settle(how) => tell::settle(worker, run, how),
        Owes::AskAgain(pause) => {
            let run = Arc::clone(run);
            worker.after(pause, move |worker| ask(worker, &run));
        }
    }
}

/// The origin knows nothing of a job that runs here, or has its end: the task is cancelled, and its outcome dropped.
pub(super) fn over(worker: &Arc<Worker>, run: &Arc<Run>, how: Settlement) {
    let task = run.stop(CancelReason::Request);
    tell::settle(worker, run, how);
    if let Some(task) = task {
        aside::run(move || drop(cancel_task::cancel(&task, CancelReason::Request)));
    }
}

/// Gives the job to the pool. A refusal drops the closure, which tells that the job did not run.
fn submit(worker: &Arc<Worker>, run: &Arc<Run>) {
    let stopped = {
        let mut now = run.now.lock();
        if !matches!(now.stage, Stage::Runs) {
            return;
        }
        now.submitted = true;
        now.stopped.is_some()
    };
    let task = JobTask::new(worker, run);
    if stopped {
        return drop(task);
    }
    let submitted = run.scope.at.run(|| run.core.here.submit_as(TaskType::from(run.job), move || task.run()));
    let Ok(mut handle) = submitted else {
        if !run.core.here.is_running() {
            close(worker, &run.core);
        }
        return;
    };
    if let Some(left) = run.remaining() {
        // For the time in the queue. The task may run already, and sets its own.
        handle = handle.timeout(left);
    }
    let stopped = {
        let mut now = run.now.lock();
        now.task = Some(handle.task().another());
        now.stopped
    };
    if let Some(reason) = stopped {
        let _ = cancel_task::cancel(handle.task(), reason);
    }
}

/// Closes a serving: no further job comes. The jobs that are here go on.
pub(super) fn close(worker: &Worker, core: &Arc<Core>) {
    {
        let mut state = worker.state.lock();
        if state.servings.get(&core.queue.name).is_some_and(|open| Arc::ptr_eq(open, core)) {
            state.servings.remove(&core.queue.name);
        }
    }
    if core.close() {
        let core = Arc::clone(core);
        aside::run(move || core.end());
    }
}

/// Asks again at once for a run whose answer was lost with the connection.
pub(super) fn ask_again(worker: &Arc<Worker>, run: &Arc<Run>) {
    let asks = {
        let mut now = run.now.lock();
        (now.tries, now.gone) = (0, 0);
        if let Stage::Asks { until } = &mut now.stage {
            *until = Instant::now() + worker.lease * 2;
        }
        !now.granted
    };
    if asks {
        ask(worker, run);
    }
}
