//! [`Helper`]: a thread of a rayon pool before its assignment.

use std::io;

use crate::pool::blocking::release::block_on_wakers;
use crate::pool::core::pool::Pool;
use crate::sync::os::{Arc, Mutex, Ordering};
use crate::sync::unwind::swallow;
use crate::threads;
use crate::threads::blocked::{self, BlockedGuard, ReservedThread};
use crate::threads::job::{Job, WorkerHandle};
use crate::wait::waker_set::WakerSet;

/// Another worker of a rayon pool: a thread that waits for its assignment.
pub(super) struct Helper {
    pool: Arc<Pool>,
    assignment: Mutex<Assignment>,
    changed: WakerSet,
    wake_chain: Arc<WakeChain>,
}

/// Helpers to be woken. Each wakes the next one before anything else, so the leader pays for one wake.
pub(super) struct WakeChain(Mutex<Vec<ReservedThread>>);

impl WakeChain {
    pub(super) fn wake_one(&self) {
        let next = self.0.lock().pop();
        if let Some(next) = next {
            next.wake();
        }
    }
}

pub(super) enum Assignment {
    Nothing,
    /// The thread's part in the rayon pool.
    Part(Box<dyn FnOnce(Option<BlockedGuard>) + Send>),
    NotNeeded,
}

/// Reserves the other threads of a rayon pool: as many as the pool may have, or as the system gives. They do not count
/// against the limit of threads until they have a task.
pub(super) fn gather_threads(pool: &Arc<Pool>) -> (Vec<Arc<Helper>>, Arc<WakeChain>) {
    let mut helpers = Vec::new();
    let wake_chain = Arc::new(WakeChain(Mutex::new(Vec::new())));
    for _ in 1..pool.config.limit() {
        let helper = Arc::new(Helper {
            pool: Arc::clone(pool),
            assignment: Mutex::new(Assignment::Nothing),
            changed: WakerSet::new(),
            wake_chain: Arc::clone(&wake_chain),
        });
        match threads::leased().reserve_idle(Arc::clone(&helper) as _) {
            Ok(sleeper) => wake_chain.0.lock().extend(sleeper),
            Err(error) => {
                say_refused(pool, &error);
                break;
            }
        }
        helpers.push(helper);
    }
    (helpers, wake_chain)
}

impl Helper {
    pub(super) fn assign(&self, assignment: Assignment) {
        *self.assignment.lock() = assignment;
        self.changed.wake_all();
    }
}

impl Job for Helper {
    fn work(self: Arc<Self>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        let idle = blocked::reserved_here();
        self.wake_chain.wake_one();
        let is_assigned = || !matches!(*self.assignment.lock(), Assignment::Nothing);
        block_on_wakers(&self.changed, None, is_assigned);
        let assignment = std::mem::replace(&mut *self.assignment.lock(), Assignment::NotNeeded);
        if let Assignment::Part(part) = assignment {
            part(idle);
        }
        None
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        say_refused(&self.pool, error);
    }
}

fn say_refused(pool: &Pool, error: &io::Error) {
    if !pool.warned.swap(true, Ordering::Relaxed) {
        swallow(|| {
            tracing::warn!(
                target: "heirloom",
                namespace = %pool.namespace,
                "the system refused a thread of a work-stealing pool, which goes on with fewer: {error}",
            );
        });
    }
}
