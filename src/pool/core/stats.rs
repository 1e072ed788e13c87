//! The numbers of a pool, from its counters.
//!
//! They are exact while no task moves. A reader of moving tasks sees some of the counts a moment before the others, so each
//! difference stops at zero.

use crate::pool::core::pool::Pool;
use crate::pool::report::PoolStats;
use crate::sync::os::Ordering;

/// The number of accepted tasks that have not ended, from the counters alone.
pub(crate) fn unfinished(pool: &Pool) -> usize {
    let stats = of(pool);
    // Read last: a drop counts as begun before an outcome that precedes it.
    stats.running + stats.waiting + stats.queued + pool.counters.dropping.load(Ordering::SeqCst) as usize
}

/// A snapshot of the pool, without its shares. Costs one lock of the queue.
pub(crate) fn of(pool: &Pool) -> PoolStats {
    // Ends are read before starts, and starts before entries.
    let completed = pool.counters.completed.load(Ordering::Acquire);
    let [interrupted, panicked, cancelled, refused] = pool.known_cold().map_or([0; 4], |cold| {
        [&cold.interrupted, &cold.panicked, &cold.cancelled, &cold.refused].map(|count| count.load(Ordering::Acquire))
    });
    let waiting = pool.waiting.load(Ordering::SeqCst) as usize;
    let ended_started = completed + interrupted + panicked;
    let popped = pool.queue.with_extra(|stats| stats.popped);
    // The differences are exact: starts and entries are counted modulo 2^32.
    let started = (popped as u32).wrapping_add(pool.counters.starts_beside_pops.load(Ordering::Acquire));
    let active = usize::try_from(started.wrapping_sub(ended_started as u32).cast_signed()).unwrap_or(0);
    let unended = pool.tracker.entered().wrapping_sub(ended_started.wrapping_add(cancelled) as u32);
    let queued = usize::try_from(unended.cast_signed()).unwrap_or(0).saturating_sub(active);
    PoolStats {
        limit: pool.config.most_at_once(),
        running: active.saturating_sub(waiting),
        waiting,
        queued,
        completed,
        interrupted,
        panicked,
        cancelled,
        refused,
        shares: Vec::new(),
        task_type: pool.config.rare().task_type.clone(),
        mode: pool.config.mode,
        kind: pool.config.kind,
    }
}
