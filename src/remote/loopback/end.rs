//! [`End`]: the [`Engine`] of one end. Each call becomes an [`Op`] of the broker.

use std::time::Duration;

use bytes::Bytes;

use super::broker::Broker;
use super::op::Op;
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, DeliveryId, Depth, Engine, Inbox, QueueLimits, Receipt, Settlement};
use crate::wire::envelope::Envelope;

pub(super) struct End {
    broker: Arc<Broker>,
    id: u64,
}

impl End {
    pub(super) fn new(broker: Arc<Broker>, id: u64) -> Self {
        Self { broker, id }
    }

    fn call(&self, op: Op) {
        self.broker.call(self.id, op);
    }
}

impl Engine for End {
    fn open(&self, me: &ProcessId, inbox: Arc<dyn Inbox>) {
        self.broker.open(self.id, me, inbox);
    }

    fn declare(&self, queue: &str, limits: Option<QueueLimits>, answer: Answer<()>) {
        self.call(Op::Declare { queue: queue.into(), limits, answer });
    }

    fn publish(&self, queue: &str, job: &Envelope, answer: Answer<Receipt>) {
        self.call(Op::Publish { queue: queue.into(), job: Box::new(job.clone()), answer });
    }

    fn withdraw(&self, queue: &str, job: u64, receipt: Option<Receipt>) {
        self.call(Op::Withdraw { queue: queue.into(), job, receipt });
    }

    fn list(&self, queue: &str, answer: Answer<Vec<u64>>) {
        self.call(Op::List { queue: queue.into(), answer });
    }

    fn request(&self, to: &ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>) {
        self.call(Op::Request { to: to.clone(), message, within, answer });
    }

    fn broadcast(&self, message: Bytes) {
        self.call(Op::Broadcast(message));
    }

    fn follow(&self, origin: &ProcessId) {
        self.call(Op::Follow(origin.clone()));
    }

    fn unfollow(&self, origin: &ProcessId) {
        self.call(Op::Unfollow(origin.clone()));
    }

    fn pull(&self, queue: &str, jobs: usize) {
        self.call(Op::Pull { queue: queue.into(), jobs });
    }

    fn stop_pulling(&self, queue: &str) {
        self.call(Op::StopPulling(queue.into()));
    }

    fn settle(&self, delivery: DeliveryId, how: Settlement) {
        self.call(Op::Settle(delivery, how));
    }

    fn depth(&self, queue: &str, answer: Answer<Depth>) {
        self.call(Op::Depth { queue: queue.into(), answer });
    }

    fn is_connected(&self) -> bool {
        self.broker.is_connected(self.id)
    }

    fn is_closed(&self) -> bool {
        self.broker.is_closed(self.id)
    }

    fn lease(&self) -> Duration {
        self.broker.settings.lease
    }

    fn most_bytes(&self) -> usize {
        self.broker.settings.most_bytes
    }

    fn describe(&self) -> String {
        "the loopback engine".into()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.broker.kill(self.id);
        self.broker.forget(self.id);
    }
}
