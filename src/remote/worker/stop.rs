//! The end of a serving: the wait for its jobs, and giving up those that are left.

use std::time::{Duration, Instant};

use crate::error::{CancelReason, Error, StopError};
use crate::lineage::intake::Intake;
use crate::lineage::work;
use crate::pool::blocking::release::{OfTracker, PermitsReleased, block_on_wakers};
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::context::thread::is_below;
use crate::pool::run::cancel_task;
use crate::remote::worker::core::Core;
use crate::remote::worker::report::{RunningJob, ServingReport};
use crate::remote::worker::run::{Run, Stage};
use crate::remote::worker::state::Worker;
use crate::remote::worker::{begin, tell};
use crate::sync::fork;
use crate::sync::os::{Arc, Weak};
use crate::timer::within::within;
use crate::wait::graph::Label;
use crate::wait::park;
use crate::wait::tracker::TaskTracker;
use crate::wire::message::Outcome;

/// The most time in which the ends of given up jobs reach their origins.
const TELLING: Duration = Duration::from_secs(1);

/// A serving, as the end of its family sees it.
pub(super) struct Served {
    pub(super) worker: Weak<Worker>,
    pub(super) core: Weak<Core>,
}

impl Intake for Served {
    fn close(self: Arc<Self>) {
        if let (Some(worker), Some(core)) = (self.worker.upgrade(), self.core.upgrade()) {
            begin::close(&worker, &core);
        }
    }

    fn give_up(self: Arc<Self>) {
        if let (Some(worker), Some(core)) = (self.worker.upgrade(), self.core.upgrade()) {
            give_up(&worker, &core);
        }
    }
}

/// The tracker that counts the jobs' tasks, and the runs until they are settled.
fn tracker(core: &Core) -> &TaskTracker {
    match core.at.0.node().trackers() {
        Some(trackers) => &trackers.joining,
        None => unreachable!("the node of a serving is a scope"),
    }
}

fn name(core: &Core) -> String {
    core.at.name().unwrap_or("serving").to_string()
}

/// Refuses a wait by a job of the serving, which would wait for itself.
fn refuse_from_own_job(core: &Core) -> Result<(), Error> {
    let node = core.at.0.node();
    match is_below(node) || work::is_below(node) {
        true => Err(StopError::FromOwnTask { name: name(core) }.into()),
        false => Ok(()),
    }
}

/// Closes the serving and blocks until its jobs are settled, or until the deadline; then gives up those that are left.
pub(super) fn stop(worker: &Arc<Worker>, core: &Arc<Core>, deadline: Option<Instant>) -> Result<ServingReport, Error> {
    refuse_from_own_job(core)?;
    begin::close(worker, core);
    let jobs = tracker(core);
    let of_all = || OfTracker::of(jobs, Label::Scope(name(core)));
    let in_time = block_on_tracker(jobs, deadline, of_all, || jobs.count() == 0)
        .map_err(|why| StopError::WouldDeadlock { name: name(core), circle: why.circle })?;
    // A job that was not understood has no task, and is counted until its origin knows.
    if in_time && block_on_wakers(&core.settled, deadline, || core.live() == 0 || fork::is_fork()) {
        return Ok(ServingReport { stats: core.stats(), still_running: Vec::new() });
    }
    let still_running = give_up(worker, core);
    let until = park::after(telling(worker));
    let _away = PermitsReleased::begin_until(until);
    block_on_wakers(&core.settled, until, || core.live() == 0);
    Ok(ServingReport { stats: core.stats(), still_running })
}

/// As [`stop`], without blocking.
pub(super) async fn stop_async(
    worker: &Arc<Worker>,
    core: &Arc<Core>,
    deadline: Option<Instant>,
) -> Result<ServingReport, Error> {
    refuse_from_own_job(core)?;
    begin::close(worker, core);
    let jobs = tracker(core);
    let settled = async {
        await_tracker(jobs, || jobs.count() == 0).await;
        // A job that was not understood has no task, and is counted until its origin knows.
        core.settled.until(|| core.live() == 0).await;
    };
    if within(deadline, settled).await.is_some() {
        return Ok(ServingReport { stats: core.stats(), still_running: Vec::new() });
    }
    let still_running = give_up(worker, core);
    within(park::after(telling(worker)), core.settled.until(|| core.live() == 0)).await;
    Ok(ServingReport { stats: core.stats(), still_running })
}

fn telling(worker: &Worker) -> Duration {
    worker.period().min(TELLING)
}

/// Closes the serving, and cancels its jobs. Runs user code.
pub(super) fn cancel(worker: &Arc<Worker>, core: &Arc<Core>) {
    core.set_cancelled();
    begin::close(worker, core);
    core.at.cancel_for(CancelReason::Request);
}

/// Cancels the jobs that are left, and tells their origins: those that have not begun, and repeatable ones, may begin elsewhere.
/// Returns the jobs whose code runs. Runs user code.
fn give_up(worker: &Arc<Worker>, core: &Arc<Core>) -> Vec<RunningJob> {
    let mut runs: Vec<Arc<Run>> = worker.runs().into_iter().filter(|run| Arc::ptr_eq(&run.core, core)).collect();
    runs.sort_by_key(|run| run.since);
    let mut still_running = Vec::new();
    for run in runs {
        let runs = {
            let mut now = run.now.lock();
            // One lock decides: the code begins before this look, or never.
            now.given_up = !now.begun;
            now.begun && matches!(now.stage, Stage::Runs)
        };
        if runs {
            still_running.push(RunningJob {
                id: run.id.clone(),
                job: run.job.to_string(),
                scope: run.scope.name().to_string(),
                age: run.since.elapsed(),
                repeatable: run.repeatable,
            });
            // Before the cancel: a job that returns early because of it gives no value.
            tell::ended(worker, &run, Outcome::Lost);
        }
        // A queued task drops its closure here, which tells the rest. One that asks is told at the answer.
        if let Some(task) = run.stop(CancelReason::Shutdown) {
            let _ = cancel_task::cancel(&task, CancelReason::Shutdown);
        }
    }
    still_running
}
