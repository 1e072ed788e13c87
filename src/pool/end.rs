//! The end of a pool: stop it, wait for the end, report.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::error::{CancelReason, Error, StopError};
use crate::lineage::whose::whose;
use crate::pool::blocking::release::{OfTracker, PermitsReleased, block_on_wakers};
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::context::thread::is_in;
use crate::pool::core::pool::Pool;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::stats;
use crate::pool::report::{PoolStats, RunningTask, StopReport};
use crate::pool::run::stop;
use crate::sync::clock::CoarseInstant;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Label};
use crate::wait::park;

/// Refuses a wait for the pool by one of its own tasks, which would wait for itself.
///
/// # Errors
/// [`StopError::FromOwnTask`].
pub(crate) fn refuse_from_own_task(pool: &Pool) -> Result<(), Error> {
    if is_in(pool) { Err(StopError::FromOwnTask { name: pool.namespace.raw().into_owned() }.into()) } else { Ok(()) }
}

/// The report of this moment. Costs up to three locks of the queue, and a look at each running task.
pub(crate) fn report(pool: &Pool) -> StopReport {
    let stats = stats::of(pool);
    let remaining = remaining(pool);
    let now = CoarseInstant::now();
    let mut still_running = Vec::new();
    if remaining > 0 {
        let (mut running, mut names) = (Vec::new(), HashMap::new());
        pool.queue.with_extra(|stats| {
            running.extend(stats.running().cloned());
            names.extend(stats.names().iter().map(|(id, name)| (*id, name.to_string())));
        });
        // The oldest first.
        running.sort_by_cached_key(|running| u64::MAX - now.since(running.since).as_nanos() as u64);
        running.truncate(remaining);
        let at: HashSet<_> = running.iter().map(|running| running.at).collect();
        // In a fork's child the index may be locked for ever by a thread of the parent.
        let places = if fork::is_fork() { HashMap::new() } else { whose(&at, &pool.owner) };
        still_running.extend(running.into_iter().map(|running| RunningTask {
            id: running.id,
            name: names.remove(&running.id),
            task_type: running.task_type.map(|own| *own).or_else(|| pool.config.rare().task_type.clone()),
            place: places.get(&running.at).cloned(),
            age: now.since(running.since),
        }));
    }
    let PoolStats { completed, interrupted, panicked, cancelled, .. } = stats;
    StopReport {
        completed,
        interrupted,
        panicked,
        cancelled,
        remaining,
        still_running,
        abandoned: pool.kind.abandoned(),
    }
}

/// The age of the oldest running task. Costs the queue's lock, and a look at each running task.
pub(crate) fn oldest(pool: &Pool) -> Option<Duration> {
    let now = CoarseInstant::now();
    let since = |stats: &mut QueueStats| stats.running().map(|running| now.since(running.since)).max();
    pool.queue.with_extra(since)
}

/// The number of accepted tasks that have not ended. A task whose `join` has returned is not among them.
pub(crate) fn remaining(pool: &Pool) -> usize {
    // The tracker never counts too few, but a worker counts its finished tasks out of it only when the queue is empty.
    pool.tracker.count().min(stats::unfinished(pool))
}

/// Closes the pool, and blocks until a joining pool has ended or the deadline has passed.
pub(crate) fn stop(pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<StopReport, Error> {
    refuse_from_own_task(pool)?;
    stop::close(pool, CancelReason::OwnerEnd);
    if pool.joins() && !fork::is_fork() {
        block_until_over(pool, deadline)?;
    }
    Ok(report(pool))
}

/// Blocks until the pool, and each thread of its own, has ended.
pub(crate) fn block_until_over(pool: &Pool, deadline: Option<Instant>) -> Result<(), Error> {
    let of_all = || OfTracker::of(&pool.tracker, Label::Pool(pool.namespace.clone()));
    let over = block_on_tracker(&pool.tracker, deadline, of_all, || pool.is_over());
    if over.map_err(|why| end_would_deadlock(pool, why))? && block_until_gone(pool, deadline) {
        pool.kind.join_gone();
    }
    Ok(())
}

fn end_would_deadlock(pool: &Pool, why: ClosesCircle) -> StopError {
    StopError::WouldDeadlock { name: pool.namespace.to_string(), circle: why.circle }
}

fn block_until_gone(pool: &Pool, deadline: Option<Instant>) -> bool {
    let is_gone = || pool.kind.is_gone();
    let Some(gone) = pool.kind.gone().filter(|_| !is_gone() && !fork::is_fork()) else { return is_gone() };
    // A thread that was dismissed ends within a few microseconds.
    if park::spin_until(is_gone) {
        return true;
    }
    let _away = PermitsReleased::begin_until(deadline);
    block_on_wakers(gone, deadline, is_gone)
}

/// Waits like `block_until_over`, without blocking.
pub(crate) async fn await_over(pool: &Pool) {
    if fork::is_fork() {
        return;
    }
    await_tracker(&pool.tracker, || pool.is_over()).await;
    if let Some(gone) = pool.kind.gone() {
        gone.until(|| pool.kind.is_gone()).await;
    }
    pool.kind.join_gone();
}

pub(crate) async fn stop_async(pool: &Arc<Pool>) -> Result<StopReport, Error> {
    refuse_from_own_task(pool)?;
    stop::close(pool, CancelReason::OwnerEnd);
    if pool.joins() && !fork::is_fork() {
        await_over(pool).await;
    }
    Ok(report(pool))
}

pub(crate) async fn wait_idle_async(pool: &Pool) -> Result<(), Error> {
    refuse_from_own_task(pool)?;
    await_tracker(&pool.tracker, || pool.tracker.count() == 0).await;
    Ok(())
}

pub(crate) fn wait_idle(pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<bool, Error> {
    refuse_from_own_task(pool)?;
    let of_all = || OfTracker::of(&pool.tracker, Label::Pool(pool.namespace.clone()));
    let idle = block_on_tracker(&pool.tracker, deadline, of_all, || pool.tracker.count() == 0);
    Ok(idle.map_err(|why| end_would_deadlock(pool, why))?)
}
