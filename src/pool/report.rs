//! The reports of a pool and its tasks: [`PoolStats`], [`StopReport`], [`TaskStatus`], [`CancelOutcome`].

use std::fmt;
use std::time::Duration;

use crate::names::id::TaskId;
use crate::names::label::Printed;
use crate::names::task_type::TaskType;
use crate::pool::config::kind::{PoolKind, PoolMode};

/// A snapshot of one start of a pool.
///
/// The numbers are read one after the other while the pool goes on, so they may differ by tasks that change state meanwhile.
/// A task whose `join` has returned is counted as ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The limit `n`: the number of tasks that may run at once. [Promised](crate::Promise) tasks come on top of it.
    pub limit: usize,
    /// Tasks started, not ended and not inside one of heirloom's waits.
    pub running: usize,
    /// Tasks inside one of heirloom's waits that have released their permits.
    pub waiting: usize,
    /// Tasks accepted and not started.
    pub queued: usize,
    /// Tasks that returned a value, and were not [`interrupted`](Self::interrupted).
    pub completed: u64,
    /// Tasks that returned after their code had seen a cancel request.
    ///
    /// The code sees a request through a check or a wait: [`checkpoint`](crate::checkpoint) and
    /// [`is_cancelled`](crate::is_cancelled), [`sleep`](crate::sleep), [`cancelled`](crate::cancelled()), a hook of
    /// [`on_cancel`](crate::on_cancel()) that has run, and the errors that a request causes: of a wait, of a submission or
    /// a start below a scope that has ended, of the join of a cancelled task. A cancelled task that joins an interrupted one
    /// is interrupted too. The task's value does not matter, whether that is an `Err` or not.
    ///
    /// A cancelled task that finished before it saw the request is `completed`, and so is a task that acknowledged
    /// ([`acknowledge_cancel`](crate::acknowledge_cancel)) every request it saw. A task that panicked is `panicked`. A
    /// request that another thread or a runtime's future sees on behalf of the task does not count; the task's own check or
    /// wait does. The pieces of a [`work_stealing`](crate::PoolConfig::work_stealing) pool's tasks cannot be distinguished:
    /// when one piece sees a request, it counts for all running tasks of the pool that the same request reaches.
    /// A [promised](crate::Promise) task counts as interrupted if a request reaches it when its holder ends it.
    pub interrupted: u64,
    /// Tasks that panicked, and [promised](crate::Promise) tasks that had begun and whose promise was dropped.
    pub panicked: u64,
    /// Tasks that ended before they started.
    pub cancelled: u64,
    /// Tasks that were refused.
    pub refused: u64,
    /// Running and queued tasks by level and tenant, in a pool with [`priorities`](crate::PoolConfig::priorities) or
    /// [`fair`](crate::PoolConfig::fair) turns: the 16 largest shares, the largest first. Empty in other pools.
    pub shares: Vec<ShareStats>,
    /// The one task type that the pool accepts, if it is typed.
    pub task_type: Option<TaskType>,
    /// Joining or daemon.
    pub mode: PoolMode,
    /// The source of its threads.
    pub kind: PoolKind,
}

/// The running and queued tasks of one level and tenant; see [`PoolStats::shares`].
///
/// Tasks inside waits count as running. A queued task that was cancelled counts until a worker passes it. Of the newest 10 000 and
/// more tasks that came since a worker last looked at the queue, 10 000 are counted. A submitter's own thread runs some tasks of
/// [`run`](crate::PoolManager::run) without a queue, and those have no share. A [promised](crate::Promise) task has one once it
/// has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareStats {
    /// The level, from 0, the most urgent.
    pub level: u8,
    /// The tenant: the id of its scope in a [`fair`](crate::PoolConfig::fair) pool, which [`Snapshot::node`](crate::Snapshot::node)
    /// resolves, and a hash of its key in one of [`fair_by`](crate::PoolConfig::fair_by). 0 for code without a tenant.
    pub tenant: u64,
    /// Tasks started and not ended.
    pub running: usize,
    /// Tasks accepted and not started.
    pub queued: usize,
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Self { limit, running, waiting, queued, mode, kind, .. } = self;
        write!(f, "{kind} {mode}, {running} running/{waiting} waiting/{queued} queued, limit {limit}")?;
        if let Some(task_type) = &self.task_type {
            write!(f, ", only \"{task_type}\"")?;
        }
        Ok(())
    }
}

/// The result of a stop: the counts of ended tasks, with the tasks that still run.
///
/// With the feature `serde` it serialises, as part of a [`ShutdownReport`](crate::ShutdownReport) and in the same
/// shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says whether anything still runs"]
pub struct StopReport {
    /// Tasks that returned a value, and were not interrupted.
    pub completed: u64,
    /// Tasks that returned after their code had seen a cancel request: see
    /// [`PoolStats::interrupted`](crate::PoolStats::interrupted).
    pub interrupted: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that ended before they started.
    pub cancelled: u64,
    /// Tasks accepted that have not ended, whether they run or are queued.
    pub remaining: usize,
    /// The remaining tasks that run now, the oldest first.
    pub still_running: Vec<RunningTask>,
    /// Initialisers ([`on_worker_start`](crate::PoolConfig::on_worker_start)) that have not returned and that no task needs
    /// any more. The stop does not wait for them. The thread of each ends when it returns, without having had a task.
    pub abandoned: usize,
}

/// A task that had not ended when a [`StopReport`] was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningTask {
    /// Its id.
    pub id: TaskId,
    /// The name that it gave itself with [`name_task`](crate::name_task), if any.
    pub name: Option<String>,
    /// The task type it was submitted with, if any.
    pub task_type: Option<TaskType>,
    /// The submitter's node, in words: the innermost scope, or else the thread or the task.
    /// `None` where that is the family's root, has ended, or is of another family than the pool.
    pub place: Option<String>,
    /// The time since its start, exact to some milliseconds. The clock is a cheap one, because every task reads it.
    pub age: Duration,
}

impl StopReport {
    /// Returns whether every accepted task has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// Adds the report of another pool of the same scope or registry.
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
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
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
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {:?}", Printed(name))?;
        }
        if let Some(task_type) = &self.task_type {
            write!(f, " ({task_type})")?;
        }
        if let Some(place) = &self.place {
            write!(f, " below {place}")?;
        }
        write!(f, ", for {:.1?}", self.age)
    }
}

/// The stage of a task's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Accepted and not started.
    Queued,
    /// Started and not ended.
    Running,
    /// Ended: by value, by panic, cancelled, or because it could not run.
    Finished,
}

/// The outcome of a cancel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// The request is new. Queued tasks never start; running code sees it at its next check
    /// ([`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep)).
    Requested,
    /// The target was cancelled before, and has not acknowledged that request since. A joiner in `join_cancelling` is
    /// notified of this request too.
    AlreadyRequested,
    /// The target had finished; the request changes nothing. Of a scope: no task submitted below it is left, and other
    /// code that stands there sees the request all the same.
    AlreadyFinished,
    /// The target is the process, which cannot be cancelled.
    NotCancellable,
}

impl CancelOutcome {
    /// The outcome at a live node. `first`: the node was not cancelled before.
    pub(crate) fn of(first: bool) -> Self {
        if first { Self::Requested } else { Self::AlreadyRequested }
    }
}
