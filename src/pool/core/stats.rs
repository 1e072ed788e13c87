//! The numbers of a pool, from its counters.

use crate::pool::core::pool::Pool;
use crate::pool::report::PoolStats;
use crate::sync::os::Ordering;

/// The number of accepted tasks that have not ended, from the counters alone.
pub(crate) fn unfinished(pool: &Pool) -> usize {
    let stats = of(pool);
    stats.running + stats.waiting + stats.queued + pool.counters.dropping.load(Ordering::SeqCst)
}

/// A snapshot of the pool. Costs one lock of the queue.
pub(crate) fn of(pool: &Pool) -> PoolStats {
    let c = &pool.counters;
    // Ends are read before starts, so that a difference is at most slightly below zero.
    let completed = c.completed.load(Ordering::Acquire);
    let interrupted = c.interrupted.load(Ordering::Acquire);
    let panicked = c.panicked.load(Ordering::Acquire);
    let tombstones_popped = c.tombstones_popped.load(Ordering::Acquire);
    let waiting = c.waiting.load(Ordering::SeqCst);
    let popped = pool.queue.with_extra(|stats| stats.popped);
    let ran_inline = c.ran_inline.load(Ordering::Acquire);
    let claimed = c.claimed.load(Ordering::Acquire);
    let started = (popped + ran_inline).saturating_sub(tombstones_popped);
    let running = started.saturating_sub(completed + interrupted + panicked).saturating_sub(waiting as u64);
    let left_queue = (popped + claimed).saturating_sub(tombstones_popped);
    // The tracker counts modulo 2^32.
    let queued = pool.tracker.entered().wrapping_sub(left_queue as u32);
    let queued = if queued > u32::MAX / 2 { 0 } else { queued };
    PoolStats {
        limit: pool.config.most_at_once(),
        running: running as usize,
        waiting,
        queued: queued as usize,
        completed,
        interrupted,
        panicked,
        cancelled: c.cancelled.load(Ordering::Acquire),
        refused: c.refused.load(Ordering::Relaxed),
        task_type: pool.config.task_type.clone(),
        mode: pool.config.mode,
        kind: pool.config.kind,
    }
}
