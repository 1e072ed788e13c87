//! [`run_oldest`]: the one task of a visit.

use crate::pool::core::pool::Pool;
use crate::pool::run::worker::Session;
use crate::pool::run::{dispatch, worker};
use crate::sync::os::Arc;

/// The permits that are left after [`run_oldest`].
#[derive(PartialEq, Eq)]
pub(super) enum AfterOne {
    /// The caller's permit, because more is queued.
    Permit,
    /// Permits of other workers.
    Others,
    /// None.
    Idle,
}

/// Runs the oldest task of a work-stealing pool, on one of its threads. The caller holds a permit: it is released when
/// no more is queued.
pub(super) fn run_oldest(pool: &Arc<Pool>) -> AfterOne {
    // Tasks came back from their waits. Each of their workers looks at the queue at its task's end.
    if pool.permits.release_excess(pool.config.limit(), false) {
        return AfterOne::Others;
    }
    let mut session = Session::new(pool);
    loop {
        let popped = session.pop();
        let Some(task) = popped.task else { break };
        if popped.more {
            dispatch::send_if_permit(pool);
        }
        if let Some(claimed) = session.claim(task) {
            // As if more were queued: this thread may do other work first.
            worker::run_popped_inside(&mut session, claimed);
            break;
        }
    }
    session.flush();
    if !pool.queue.looks_empty() {
        return AfterOne::Permit;
    }
    if dispatch::release_permit(pool, false) { AfterOne::Idle } else { AfterOne::Others }
}
