//! Letting a permit that a wait keeps to the next task. See [`HeldPermits`].

use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::pool::Pool;
use crate::pool::run::dispatch::release_to_next;
use crate::sync::os::{Arc, Ordering};

/// The mark of a pool whose permits are all kept while a task is queued. An equal mark at the next look means that the
/// pool is held up.
pub(crate) fn held_up(pool: &Pool) -> Option<(u64, u64)> {
    let word = pool.held_permits().load();
    let held = HeldPermits::kept(word) > 0 && HeldPermits::kept(word) >= pool.permits.taken() && !pool.queue.is_empty();
    held.then(|| (word, pool.queue.with_extra(|stats| stats.popped)))
}

/// Lets one of the kept permits to the next task, past the bound.
pub(crate) fn let_one_through(pool: &Arc<Pool>) {
    if !pool.held_permits().let_one() {
        return;
    }
    pool.waiting.fetch_add(1, Ordering::SeqCst);
    if release_to_next(pool) {
        return;
    }
    // No thread came. The permit in hand is the one that was let, or the wait has ended and reacquired one of its own.
    if pool.held_permits().keep_again() {
        pool.waiting.fetch_sub(1, Ordering::SeqCst);
    } else if pool.permits.release(false) {
        pool.end_if_over();
    }
}
