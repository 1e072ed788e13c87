//! Lending: a joiner that is about to sleep runs the task that it waits for, with a permit of the task's own pool.
//!
//! The thread that was sent for such a task takes 5 to 50 µs to wake, and the joiner as long again. A joiner that lends its
//! thread spares both, and the worker finds nothing to do.
//!
//! # When
//! The joiner lends its thread for a task of a leased pool that is the next to start, with a free permit. So no task overtakes
//! another, and the pool's limit holds.
//!
//! A join does so at once if no other task is queued, and otherwise when the spin for the task's end was in vain: workers that
//! are there already take short tasks faster than a joiner that takes the queue's lock from them. The consumer of a map does so
//! at once, because all threads are to share its items.
//!
//! Some joiners never lend: a poll and a wait with a limit must not run a task that may take long; a wait for any of several
//! tasks would start one that it may not need; the thread of a dedicated, work-stealing or local pool belongs to that pool;
//! the teardown of a task is to end soon; and a thread inside a runtime's context would run the task there.
//! [`PoolConfig::workers_only`](crate::PoolConfig::workers_only) keeps a pool's tasks on its threads.
//!
//! # What waits
//! The tasks further out on the joiner's stack wait for the lent one, so their permits are released meanwhile. The thread
//! itself works: a thread of the cache counts against the cache's limit.

use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::thread;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{PoolAddress, Task};
use crate::pool::run::worker::{self, Lend};
use crate::runtime;

/// Runs a queued task on the calling thread, which joins it. Returns whether it did.
///
/// The caller is the task's handle, and the address that of the pool that accepted the task.
#[inline(never)]
pub(crate) fn lend(task: &Task, pool: PoolAddress, when: Lend) -> bool {
    if !task.state().is_queued() || !may_lend() {
        return false;
    }
    // SAFETY: by the contract of this function; a pool's tasks are finished with that pool.
    let Some(pool) = (unsafe { task.look(pool.get::<Pool>()) }) else { return false };
    pool.config.lends() && worker::lend(&pool, task, when, PermitsReleased::begin_working)
}

/// Returns whether the calling thread may run a task of a pool that it does not work for.
fn may_lend() -> bool {
    let is_teardown = || thread::with_innermost(|frame| frame.is_some_and(|frame| frame.is_teardown()));
    !thread::is_on_a_pools_own_thread() && !thread::is_any_local() && !is_teardown() && !runtime::is_in_context()
}
