//! The declaration of a serving's queue, again at each connection, and when the queue is away.

use crate::remote::worker::core::Core;
use crate::remote::worker::state::Worker;
use crate::sync::os::Arc;
use crate::wire::fault::Fault;

/// Declares the queue. The answer comes when the queue is there; a refusal is asked for again after a lease.
pub(super) fn declare(worker: &Arc<Worker>, core: &Arc<Core>) {
    if core.is_closed() {
        return;
    }
    let number = core.readiness.begin();
    let (worker, of) = (Arc::downgrade(worker), Arc::downgrade(core));
    core.queue.declare(None, move |outcome| {
        let (Some(worker), Some(core)) = (worker.upgrade(), of.upgrade()) else { return };
        let refused = outcome.as_ref().is_err_and(|fault| *fault != Fault::Away);
        if core.readiness.answered(number, outcome) && refused {
            let of = Arc::downgrade(&core);
            worker.after(worker.lease, move |worker| {
                if let Some(core) = of.upgrade() {
                    declare(worker, &core);
                }
            });
        }
    });
}

/// The queue was there, and is not: it is waited for as before the first connection.
pub(super) fn absent(worker: &Arc<Worker>, queue: &str) {
    for core in worker.cores().into_iter().filter(|core| &*core.queue.name == queue) {
        core.readiness.lost();
        declare(worker, &core);
    }
}

/// The connection of the worker has come, or has gone.
pub(super) fn connected(worker: &Arc<Worker>, connected: bool) {
    for core in worker.cores() {
        if connected { declare(worker, &core) } else { core.readiness.lost() }
    }
}
