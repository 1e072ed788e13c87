//! Jobs that this worker does not understand.

use bytes::Bytes;

use crate::remote::worker::core::{Core, End};
use crate::remote::worker::state::Worker;
use crate::sync::os::Arc;
use crate::threads::aside;
use crate::wire::address::JobId;
use crate::wire::engine::{Answer, DeliveryId, Settlement};
use crate::wire::fault::Fault;
use crate::wire::message::{self, Ask, Outcome};

/// How often a worker tells an origin that it does not understand a job.
const TRIES: u32 = 5;

/// Tells the origin that its job was not understood, and ends the delivery. It is never tried again.
pub(super) fn refuse(
    worker: &Arc<Worker>,
    core: &Arc<Core>,
    delivery: DeliveryId,
    id: Option<JobId>,
    attempt: u32,
    why: String,
) {
    core.end_job(End::NotUnderstood);
    core.free_permit();
    let Some(id) = id else {
        tracing::warn!(target: "heirloom", queue = core.queue.name(), "a delivery without an origin is dropped: {why}");
        return refused(core, delivery);
    };
    let ended = Ask::Ended { job: id.number, attempt, ask: 0, outcome: Outcome::NotUnderstood(why) };
    tell_refusal(worker, core, delivery, id, message::encode(&ended), 0);
}

fn tell_refusal(worker: &Arc<Worker>, core: &Arc<Core>, delivery: DeliveryId, id: JobId, ended: Bytes, tries: u32) {
    let (weak, of, again, to) = (Arc::downgrade(worker), Arc::clone(core), ended.clone(), id.clone());
    let answered = Answer::new(move |outcome: Result<Bytes, Fault>| {
        let worker = weak.upgrade().filter(|_| outcome.is_err() && tries < TRIES);
        let Some(worker) = worker else { return refused(&of, delivery) };
        let weak = Arc::downgrade(&worker);
        worker.clock.after(worker.period(), move || match weak.upgrade() {
            Some(worker) => tell_refusal(&worker, &of, delivery, id, again, tries + 1),
            None => refused(&of, delivery),
        });
    });
    core.link().engine.request(&to.origin, ended, worker.within(), answered);
}

fn refused(core: &Arc<Core>, delivery: DeliveryId) {
    core.link().engine.settle(delivery, Settlement::Done);
    if core.count_out() {
        let core = Arc::clone(core);
        aside::run(move || core.end());
    }
}
