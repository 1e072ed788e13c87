//! [`Deliveries`]: the jobs that this process has and has not settled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Bytes, DeliveryId, Settlement};

use crate::driver::Driver;
use crate::names::Incarnation;

/// A delivered job.
pub(super) struct Unsettled {
    pub(super) queue: Arc<str>,
    /// The subject of its acknowledgement.
    pub(super) reply: String,
    pub(super) incarnation: Incarnation,
    pub(super) ack_wait: Duration,
    /// The time of the last sign of life that was sent for it.
    pub(super) signed: Instant,
    /// A sign came so late that the server may have delivered the job to another worker.
    pub(super) doubtful: bool,
    /// How it is settled, where there was no connection to say so.
    pub(super) end: Option<Settlement>,
}

impl Unsettled {
    /// Returns whether the server delivers the job to another worker. A sign of life would then be taken for one of that worker.
    fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.signed) >= self.ack_wait
    }

    /// Returns whether the server may do so. It would take a job that is given back from that worker.
    fn is_doubtful(&self, now: Instant) -> bool {
        // The server's time began before the message was here.
        self.doubtful || now.saturating_duration_since(self.signed) >= self.ack_wait * 3 / 4
    }
}

/// The jobs that this process has and has not settled.
#[derive(Default)]
pub(super) struct Deliveries {
    unsettled: HashMap<DeliveryId, Unsettled>,
    last: u64,
}

impl Deliveries {
    pub(super) fn add(&mut self, unsettled: Unsettled) -> DeliveryId {
        self.last += 1;
        let id = DeliveryId(self.last);
        self.unsettled.insert(id, unsettled);
        id
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsettled.is_empty()
    }
}

impl Driver {
    pub(super) fn settle(&mut self, id: DeliveryId, how: Settlement) {
        if !self.connection.is_ready() {
            // Said at the next connection, if the stream is the same then.
            if let Some(unsettled) = self.deliveries.unsettled.get_mut(&id) {
                unsettled.end = Some(how);
            }
            return;
        }
        let Some(unsettled) = self.deliveries.unsettled.remove(&id) else { return };
        let present = self.queues.get(&*unsettled.queue).and_then(|queue| queue.present);
        if present.is_none_or(|present| present.incarnation != unsettled.incarnation) {
            return;
        }
        let word = match how {
            Settlement::Done => "+ACK",
            Settlement::GiveBack if unsettled.is_doubtful(Instant::now()) => return,
            Settlement::GiveBack => "-NAK",
            Settlement::Forget => return,
        };
        self.outbox.send(unsettled.reply, None, None, Bytes::from_static(word.as_bytes()));
    }

    /// Settles what was settled without a connection.
    pub(super) fn settle_again(&mut self) {
        let unsettled = self.deliveries.unsettled.iter();
        let ends: Vec<_> = unsettled.filter_map(|(id, unsettled)| Some((*id, unsettled.end?))).collect();
        ends.into_iter().for_each(|(id, how)| self.settle(id, how));
    }

    /// Plans the next sign of life early enough for a delivery.
    pub(super) fn plan_sign(&mut self, ack_wait: Duration) {
        let soon = Instant::now() + ack_wait / 3;
        self.next_sign = if self.next_sign <= Instant::now() { soon } else { self.next_sign.min(soon) };
    }

    /// Sends a sign of life for each unsettled delivery, when it is time for it.
    pub(super) fn sign(&mut self, now: Instant) {
        if self.next_sign > now || self.deliveries.is_empty() || !self.connection.is_ready() {
            return;
        }
        let mut shortest = self.settings.lease;
        for unsettled in self.deliveries.unsettled.values_mut() {
            shortest = shortest.min(unsettled.ack_wait);
            let present = self.queues.get(&*unsettled.queue).and_then(|queue| queue.present);
            let same = present.is_some_and(|present| present.incarnation == unsettled.incarnation);
            if same && !unsettled.is_expired(now) {
                (unsettled.doubtful, unsettled.signed) = (unsettled.is_doubtful(now), now);
                let sign = Bytes::from_static(b"+WPI");
                self.outbox.send(unsettled.reply.clone(), None, None, sign);
            }
        }
        self.next_sign = now + shortest / 3;
    }
}
