//! The permit of a task that waits: released, held, or kept at the bound of waits.

use crate::pool::blocking::overdue;
use crate::pool::core::held_permits::InWait;
use crate::pool::core::pool::Pool;
use crate::pool::run::dispatch::release_to_next;
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering};
use crate::sync::unwind::swallow;

/// Begins a wait of the running task. A `timed` wait ends by itself.
pub(crate) fn begin_wait(pool: &Arc<Pool>, timed: bool) -> InWait {
    // A fork's child runs no task of its parent's.
    if pool.config.holds_permit || fork::is_fork() {
        return InWait::Held;
    }
    let before = pool.waiting.fetch_add(1, Ordering::SeqCst);
    if before as usize >= pool.config.most_blocked() {
        pool.waiting.fetch_sub(1, Ordering::SeqCst);
        say_bound_is_reached(pool);
        return keep(pool, timed);
    }
    if release_to_next(pool) {
        return InWait::Released;
    }
    pool.waiting.fetch_sub(1, Ordering::SeqCst);
    keep(pool, timed)
}

fn keep(pool: &Arc<Pool>, timed: bool) -> InWait {
    if timed {
        return InWait::Held;
    }
    if pool.held_permits().keep() {
        overdue::watch(pool);
    }
    InWait::Kept
}

/// Ends a wait. The task goes on at once.
pub(crate) fn end_wait(pool: &Arc<Pool>, wait: InWait) {
    let gave = match wait {
        InWait::Released => true,
        InWait::Kept => pool.held_permits().end(),
        InWait::No | InWait::Held => false,
    };
    if gave {
        pool.permits.reacquire();
        pool.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends a wait whose thread never comes back. Returns true if the wait still held its permit.
pub(crate) fn abandon_wait(pool: &Pool, wait: InWait) -> bool {
    match wait {
        InWait::No | InWait::Held => true,
        InWait::Released => false,
        InWait::Kept => {
            let was_let = pool.held_permits().end();
            pool.waiting.fetch_sub(u32::from(was_let), Ordering::SeqCst);
            !was_let
        }
    }
}

fn say_bound_is_reached(pool: &Pool) {
    if !pool.warned.swap(true, Ordering::Relaxed) {
        swallow(|| {
            tracing::warn!(
                target: "heirloom",
                namespace = %pool.namespace,
                max_blocked = pool.config.most_blocked(),
                "a wait keeps its permit, because too many tasks of this pool wait already (PoolConfig::max_blocked)",
            );
        });
    }
}
