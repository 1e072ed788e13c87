//! [`PoolStats`], and the counters behind it.
//!
//! The counters are for looking, and three places of the engine decide by them: a wait compares `waiting` with
//! [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked); a manager starts again when nothing is
//! [`unfinished`](Pool::unfinished); and tombstones are swept out of the queue when they are most of what is queued.

use std::fmt;

use crate::names::task_type::TaskType;
use crate::pool::config::{PoolKind, PoolMode};
use crate::pool::core::pool::Pool;
use crate::sync::os::{AtomicU64, AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) waiting: AtomicUsize,
    /// Claimed by somebody who did not pop it.
    pub(crate) claimed: AtomicU64,
    /// Of those, the ones that were run.
    pub(crate) ran_inline: AtomicU64,
    /// Drops of results and closures under way, whose tasks are counted as ended already.
    pub(crate) dropping: AtomicUsize,
    /// Popped, and found claimed by somebody else before.
    pub(crate) tombstones_popped: AtomicU64,
}

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

impl Pool {
    /// Tasks accepted that have not ended, from the counters alone.
    pub(crate) fn unfinished(&self) -> usize {
        let stats = self.stats();
        stats.running + stats.waiting + stats.queued + self.counters.dropping.load(Ordering::SeqCst)
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let c = &self.counters;
        // What ends is read before what starts, so that a difference is never below zero by much.
        let completed = c.completed.load(Ordering::Acquire);
        let interrupted = c.interrupted.load(Ordering::Acquire);
        let panicked = c.panicked.load(Ordering::Acquire);
        let tombstones_popped = c.tombstones_popped.load(Ordering::Acquire);
        let waiting = c.waiting.load(Ordering::SeqCst);
        let popped = self.queue.with_extra(|stats| stats.popped);
        let ran_inline = c.ran_inline.load(Ordering::Acquire);
        let claimed = c.claimed.load(Ordering::Acquire);
        let started = (popped + ran_inline).saturating_sub(tombstones_popped);
        let running = started.saturating_sub(completed + interrupted + panicked).saturating_sub(waiting as u64);
        let left_queue = (popped + claimed).saturating_sub(tombstones_popped);
        // The tracker counts modulo 2^32.
        let queued = self.tracker.entered().wrapping_sub(left_queue as u32);
        let queued = if queued > u32::MAX / 2 { 0 } else { queued };
        PoolStats {
            limit: self.config.most_at_once(),
            running: running as usize,
            waiting,
            queued: queued as usize,
            completed,
            interrupted,
            panicked,
            cancelled: c.cancelled.load(Ordering::Acquire),
            refused: c.refused.load(Ordering::Relaxed),
            task_type: self.config.task_type.clone(),
            mode: self.config.mode,
            kind: self.config.kind,
        }
    }
}
