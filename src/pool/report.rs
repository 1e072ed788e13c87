//! What a pool and its tasks report: [`PoolStats`], [`StopReport`], [`TaskStatus`], [`CancelOutcome`].

use std::fmt;
use std::time::Duration;

use crate::names::id::TaskId;
use crate::names::task_type::TaskType;
use crate::pool::config::kind::{PoolKind, PoolMode};

/// A look at a pool. The numbers are of this start of it, and of one moment as near as can be had without stopping it.
///
/// What a finished `join` stands for is counted already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The limit `n`: how many tasks may run at once.
    pub limit: usize,
    /// Tasks started, not ended and not inside one of heirloom's waits.
    pub running: usize,
    /// Tasks inside one of heirloom's waits, their places given away.
    pub waiting: usize,
    /// Tasks accepted and not started.
    pub queued: usize,
    /// Tasks that returned a value, and were not [`interrupted`](Self::interrupted).
    pub completed: u64,
    /// Tasks that returned after heirloom had told them to stop.
    ///
    /// A task is told by what it looks at or waits for: [`checkpoint`](crate::checkpoint) and
    /// [`is_cancelled`](crate::is_cancelled), [`sleep`](crate::sleep), [`cancelled`](crate::cancelled()), a hook of
    /// [`on_cancel`](crate::on_cancel()) that has run, and the errors that a request causes: of a wait, of a submission or
    /// a start below a scope that has ended, of the join of a task that was cancelled. So is a task that is asked to stop
    /// and joins one that was interrupted. Its value does not matter, whether that is an `Err` or not.
    ///
    /// A task that was asked and finished before it was told is `completed`; so is one that declined
    /// ([`acknowledge_cancel`](crate::acknowledge_cancel)) all that it was told. One that panicked is `panicked`. What a
    /// thread or a runtime's future is told that works for the task, the task is told by its own look or wait alone. The
    /// pieces of a [`work_stealing`](crate::PoolConfig::work_stealing) pool's tasks cannot be told apart: when one piece is
    /// told, so are the pool's running tasks which the same request reaches.
    pub interrupted: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that ended before they started.
    pub cancelled: u64,
    /// Submissions that were refused.
    pub refused: u64,
    /// The one type of task the pool takes, if it is typed.
    pub task_type: Option<TaskType>,
    /// Joining or daemon.
    pub mode: PoolMode,
    /// Where its threads come from.
    pub kind: PoolKind,
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, running, waiting, queued, mode, kind, .. } = self;
        write!(f, "{kind} {mode}, {running} running/{waiting} waiting/{queued} queued, limit {limit}")?;
        if let Some(task_type) = &self.task_type {
            write!(f, ", only \"{task_type}\"")?;
        }
        Ok(())
    }
}

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

/// Where a task is in its life.
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

/// What a request to cancel found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// The request is noted. What had not started never will; what runs notices where it looks
    /// ([`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep)).
    Requested,
    /// It had been asked before, and has not declined since. Whoever waits for it with `join_cancelling` hears of this
    /// one too.
    AlreadyRequested,
    /// It had ended; the request changes nothing. Of a scope: no task asked for below it is left; what else stands
    /// there hears the request all the same.
    AlreadyFinished,
    /// It is the process, which cannot be asked.
    NotCancellable,
}

impl CancelOutcome {
    /// Of a node that had been asked before or not.
    pub(crate) fn of(first: bool) -> Self {
        if first { Self::Requested } else { Self::AlreadyRequested }
    }
}
