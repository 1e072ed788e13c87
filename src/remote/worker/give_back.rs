//! Deliveries that go back to the queue, since their jobs have not begun here.
//!
//! An engine may count a delivery that was given back as it counts one whose worker died. A repeatable job begins before its worker
//! asks, so its origin takes a later delivery for one attempt more. And an origin whose answer was lost takes it for the death of a
//! worker that has a grant. So the origin learns of the delivery first, and the engine gets it back when the origin has answered, or
//! has not in time: then the job may have one attempt less.

use crate::remote::worker::state::Worker;
use crate::sync::os::Arc;
use crate::wire::address::JobId;
use crate::wire::engine::{Delivery, DeliveryId, Receipt, Settlement};
use crate::wire::envelope::header;
use crate::wire::link::Link;
use crate::wire::message::Ask;

/// A delivery whose origin is to learn that the job has not begun.
pub(super) struct Unbegun {
    pub(super) job: JobId,
    pub(super) receipt: Receipt,
    /// The number of the request to begin; 0 without one.
    pub(super) ask: u64,
    pub(super) count: u64,
}

impl Unbegun {
    /// Reads a delivery that nothing was done for. `None` for a job that does not begin without a grant.
    pub(super) fn of(delivery: &Delivery) -> Option<Self> {
        header(&delivery.headers, "Hl-Repeatable").filter(|repeatable| *repeatable == "1")?;
        let job = JobId::parse(header(&delivery.headers, "Hl-Id")?)?;
        Some(Self { job, receipt: delivery.receipt, ask: 0, count: delivery.count })
    }
}

/// Gives a delivery back to its queue.
pub(super) fn give_back(worker: &Arc<Worker>, link: &Arc<Link>, id: DeliveryId, unbegun: Option<Unbegun>) {
    let Some(Unbegun { job, receipt, ask, count }) = unbegun else {
        return link.engine.settle(id, Settlement::GiveBack);
    };
    let message = Ask::GaveBack { job: job.number, receipt: receipt.0, ask, count };
    let link = Arc::clone(link);
    worker.request(&job.origin, &message, worker.within(), move |_, _| link.engine.settle(id, Settlement::GiveBack));
}
