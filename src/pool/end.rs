//! Ending a pool: close, stop, cancel, wait; and what they report.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::slice;
use std::time::{Duration, Instant};

use crate::error::{StopError, TaskError};
use crate::lineage::node::NodeRef;
use crate::lineage::queued::Claims;
use crate::lineage::whose::whose;
use crate::names::id::TaskId;
use crate::names::task_type::TaskType;
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::config::PoolMode;
use crate::pool::context::frame;
use crate::pool::core::pool::Pool;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::stats::PoolStats;
use crate::pool::kinds::local;
use crate::pool::run::evict::{self, Evicted};
use crate::sync::clock::CoarseInstant;
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering};
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;
use crate::wait::tracker::TaskTracker;

/// What an end found: how the tasks of this start ended, and what still runs.
///
/// With the feature `serde` it serialises, as part of a [`ShutdownReport`](crate::ShutdownReport) and in the same
/// shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says whether anything still runs"]
pub struct StopReport {
    /// Tasks that returned a value, and were not told to stop before.
    pub completed: u64,
    /// Tasks that returned after they were told to stop: see [`PoolStats::interrupted`](crate::PoolStats::interrupted).
    pub interrupted: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that ended before they started.
    pub cancelled: u64,
    /// Tasks accepted that have not ended, whether they run or are queued.
    pub remaining: usize,
    /// Those of them that run now.
    pub still_running: Vec<RunningTask>,
    /// Initialisers ([`on_worker_start`](crate::PoolConfig::on_worker_start)) that no task needs any more and that
    /// have not returned. They are not waited for; their threads end when they do return, without ever having had
    /// a task.
    pub abandoned: usize,
}

/// A task that had not ended when a [`StopReport`] was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningTask {
    /// Its id.
    pub id: TaskId,
    /// What it was submitted as, if anything.
    pub task_type: Option<TaskType>,
    /// Whose it is, in words: the innermost scope that it was asked for in, or else the thread or the task that asked for
    /// it. `None` where that is the family's root, has ended, or is of another family than the pool.
    pub place: Option<String>,
    /// How long it has been running, exact to some milliseconds: the clock is read for every task, so it is a cheap one.
    pub age: Duration,
}

impl StopReport {
    /// Everything that was accepted has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// Adds what another pool of the same scope or registry reports.
    pub(crate) fn add(&mut self, other: StopReport) {
        self.completed += other.completed;
        self.interrupted += other.interrupted;
        self.panicked += other.panicked;
        self.cancelled += other.cancelled;
        self.remaining += other.remaining;
        self.still_running.extend(other.still_running);
        self.abandoned += other.abandoned;
    }
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { completed, interrupted, panicked, cancelled, remaining, abandoned, .. } = self;
        write!(f, "{completed} completed, {interrupted} interrupted, {panicked} panicked, {cancelled} cancelled, ")?;
        write!(f, "{remaining} remaining")?;
        if *abandoned > 0 {
            write!(f, ", {abandoned} abandoned initialiser(s) still running")?;
        }
        for task in &self.still_running {
            write!(f, "\n  still running: {task}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RunningTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(task_type) = &self.task_type {
            write!(f, " ({task_type})")?;
        }
        if let Some(place) = &self.place {
            write!(f, " below {place}")?;
        }
        write!(f, ", for {:.1?}", self.age)
    }
}

/// What a wait for a count of tasks is.
pub(crate) struct OfTracker {
    pub(crate) on: Target,
    pub(crate) label: Label,
    pub(crate) ends: Ends,
}

impl OfTracker {
    /// A wait whose caller can be told that it would never end.
    pub(crate) fn of(tracker: &TaskTracker, label: Label) -> Self {
        Self { on: Target::TaskTracker(tracker.address()), label, ends: Ends::WhenTold }
    }
}

/// Blocks until `ready`, giving the running task's place away meanwhile. False at the deadline. The error: it would
/// never be.
pub(crate) fn block_on_tracker(
    tracker: &TaskTracker,
    deadline: Option<Instant>,
    what: impl FnOnce() -> OfTracker,
    ready: impl Fn() -> bool,
) -> Result<bool, ClosesCircle> {
    evict::drop_counted(tracker.address());
    if fork::is_fork() || park::spin_until(&ready) {
        // In a fork's child nobody is there to make it true.
        return Ok(ready());
    }
    if local::is_any_here() {
        // What is waited for may need this very thread.
        let out = local::run_meanwhile(what(), deadline, await_tracker(tracker, &ready))?;
        return Ok(out.is_some() || ready());
    }
    let mut released = PermitsReleased::begin_until(deadline);
    if deadline.is_none() {
        let OfTracker { on, label, ends } = what();
        released.waits_for(on, label, ends)?;
    }
    let is_in_time = block_on_wakers(tracker.changed(), deadline, || {
        tracker.watch();
        ready() || released.is_refused()
    });
    match released.refusal() {
        Some(why) if !ready() => Err(why),
        _ => Ok(is_in_time),
    }
}

/// The same without blocking.
pub(crate) async fn await_tracker(tracker: &TaskTracker, ready: impl Fn() -> bool) {
    if fork::is_fork() {
        return;
    }
    evict::drop_counted(tracker.address());
    let look = || {
        tracker.watch();
        ready()
    };
    tracker.changed().until(look).await;
}

/// [`close`](Pool::close)s several pools, as one: the queued tasks of all of them have their outcome before anything of a
/// user's runs, which begins with `told`.
pub(crate) fn close_all(pools: &[Arc<Pool>], mut evicted: Evicted, told: impl FnOnce()) {
    pools.iter().for_each(|pool| pool.begin_close(&mut evicted));
    evicted.end(|| {
        told();
        pools.iter().for_each(Pool::tell_closed);
    });
    pools.iter().for_each(|pool| pool.end_if_over());
}

/// The same for [`cancel`](Pool::cancel).
pub(crate) fn cancel_all(pools: &[Arc<Pool>], mut evicted: Evicted, told: impl FnOnce()) {
    let asked: Vec<_> = pools.iter().map(|pool| pool.begin_cancel(&mut evicted)).collect();
    evicted.end(|| {
        told();
        pools.iter().zip(&asked).for_each(|(pool, asked)| pool.tell_cancelled(asked));
    });
    pools.iter().for_each(|pool| pool.end_if_over());
}

impl Pool {
    /// Closed, everything accepted has ended, and the threads have let go. Final: seeing it makes it so.
    pub(crate) fn is_over(&self) -> bool {
        self.tracker.is_ended() && self.permits.end()
    }

    /// The crew is told, once, and whoever waits for the end.
    pub(crate) fn end_if_over(&self) {
        if self.tracker.is_ended() {
            self.abandon_initialisers();
        }
        if self.is_over() && !self.over.swap(true, Ordering::AcqRel) {
            self.kind.dismiss();
            self.tracker.notify();
        }
    }

    /// Accepts nothing more. Queued tasks of a daemon pool end as cancelled.
    pub(crate) fn close(self: &Arc<Self>) {
        close_all(slice::from_ref(self), Evicted::new(), || {});
    }

    fn begin_close(self: &Arc<Self>, evicted: &mut Evicted) {
        self.tracker.close();
        if self.config.mode == PoolMode::Daemon {
            self.evict_cancelled(evicted);
        }
    }

    fn tell_closed(self: &Arc<Self>) {
        self.stop_warming();
        if let Some(capacity) = &self.capacity {
            capacity.notify_all();
        }
    }

    /// Accepts nothing more; what has not started never will, what runs is asked to stop.
    pub(crate) fn cancel(self: &Arc<Self>) {
        cancel_all(slice::from_ref(self), Evicted::new(), || {});
    }

    /// The running tasks that are then to be told of the request.
    fn begin_cancel(self: &Arc<Self>, evicted: &mut Evicted) -> Vec<NodeRef> {
        self.cancelled.store(true, Ordering::SeqCst);
        self.begin_close(evicted);
        self.evict_cancelled(evicted);
        let mut claims = Claims::new();
        let asked = self.cancel_running(&mut claims);
        evicted.add_all(claims);
        asked
    }

    fn tell_cancelled(self: &Arc<Self>, asked: &[NodeRef]) {
        asked.iter().for_each(|place| place.node().tell_request());
        // What is no node hears of it here: see `cancel_listener`.
        self.tracker.notify();
        self.tell_closed();
    }

    /// A fork's child has no threads to end anything and must not touch the parent's locks.
    fn evict_cancelled(self: &Arc<Self>, evicted: &mut Evicted) {
        if !fork::is_fork() {
            self.evict_queued(evicted, |task| TaskError::cancelled(task.id(), &self.namespace));
        }
    }

    /// Whether a wait for this pool from here would wait for the caller itself.
    pub(crate) fn refuse_from_own_task(&self) -> Result<(), StopError> {
        if frame::is_in(self) {
            Err(StopError::FromOwnTask { name: self.namespace.raw().into_owned() })
        } else {
            Ok(())
        }
    }

    pub(crate) fn report(&self) -> StopReport {
        let stats = self.stats();
        let remaining = self.remaining();
        let now = CoarseInstant::now();
        let mut still_running = Vec::new();
        if remaining > 0 {
            let mut running = Vec::new();
            self.queue.with_extra(|stats| running.extend(stats.running().cloned()));
            // The oldest first.
            running.sort_by_cached_key(|running| std::cmp::Reverse(now.since(running.since)));
            running.truncate(remaining);
            let at: HashSet<_> = running.iter().map(|running| running.at).collect();
            // In a fork's child the parent's threads may have left the index locked.
            let places = if fork::is_fork() { HashMap::new() } else { whose(&at, &self.owner) };
            still_running.extend(running.into_iter().map(|running| RunningTask {
                id: running.id,
                task_type: running.task_type.map(|own| *own).or_else(|| self.config.task_type.clone()),
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
            abandoned: self.abandoned(),
        }
    }

    /// The age of the oldest task that has started and not ended. Costs the queue's lock, and a look at each such task.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let now = CoarseInstant::now();
        let since = |stats: &mut QueueStats| stats.running().map(|running| now.since(running.since)).max();
        self.queue.with_extra(since)
    }

    /// What was accepted and has not ended, as exact as a `join` that came back.
    pub(crate) fn remaining(&self) -> usize {
        // The tracker never says too little, but a worker counts what it ended out of it only when it runs dry.
        self.tracker.count().min(self.unfinished())
    }

    pub(crate) fn joins(&self) -> bool {
        self.config.mode == PoolMode::Joining
    }

    /// Closes; a joining pool is then waited for.
    pub(crate) fn stop(self: &Arc<Self>, deadline: Option<Instant>) -> Result<StopReport, StopError> {
        self.refuse_from_own_task()?;
        self.close();
        if self.joins() && !fork::is_fork() {
            self.block_until_over(deadline)?;
        }
        Ok(self.report())
    }

    /// Waits for the end, and until threads of its own are gone.
    pub(crate) fn block_until_over(&self, deadline: Option<Instant>) -> Result<(), StopError> {
        let of_all = || OfTracker::of(&self.tracker, Label::Pool(self.namespace.clone()));
        let over = block_on_tracker(&self.tracker, deadline, of_all, || self.is_over());
        if over.map_err(|why| self.end_would_deadlock(why))? && self.block_until_gone(deadline) {
            self.kind.join_gone();
        }
        Ok(())
    }

    fn end_would_deadlock(&self, why: ClosesCircle) -> StopError {
        StopError::WouldDeadlock { name: self.namespace.to_string(), circle: why.circle }
    }

    fn block_until_gone(&self, deadline: Option<Instant>) -> bool {
        if fork::is_fork() {
            return self.kind.is_gone();
        }
        let _away = (!self.kind.is_gone()).then(|| PermitsReleased::begin_until(deadline));
        block_on_wakers(self.kind.gone(), deadline, || self.kind.is_gone())
    }

    /// The same without blocking.
    pub(crate) async fn await_over(&self) {
        if fork::is_fork() {
            return;
        }
        await_tracker(&self.tracker, || self.is_over()).await;
        self.kind.gone().until(|| self.kind.is_gone()).await;
        self.kind.join_gone();
    }

    pub(crate) async fn stop_async(self: &Arc<Self>) -> Result<StopReport, StopError> {
        self.refuse_from_own_task()?;
        self.close();
        if self.joins() && !fork::is_fork() {
            self.await_over().await;
        }
        Ok(self.report())
    }

    pub(crate) async fn wait_idle_async(&self) -> Result<(), StopError> {
        self.refuse_from_own_task()?;
        await_tracker(&self.tracker, || self.tracker.count() == 0).await;
        Ok(())
    }

    pub(crate) fn wait_idle(self: &Arc<Self>, deadline: Option<Instant>) -> Result<bool, StopError> {
        self.refuse_from_own_task()?;
        let of_all = || OfTracker::of(&self.tracker, Label::Pool(self.namespace.clone()));
        let idle = block_on_tracker(&self.tracker, deadline, of_all, || self.tracker.count() == 0);
        idle.map_err(|why| self.end_would_deadlock(why))
    }
}
