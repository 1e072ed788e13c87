//! [`Op`]: a call of an end, for the broker.

use std::time::Duration;

use bytes::Bytes;

use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, DeliveryId, Depth, QueueLimits, Receipt, Settlement};
use crate::wire::envelope::Envelope;

/// Code of an end, which the thread runs.
pub(super) type Action = Box<dyn FnOnce() + Send>;

/// A call of an end.
pub(super) enum Op {
    Declare { queue: Arc<str>, limits: Option<QueueLimits>, answer: Answer<()> },
    Publish { queue: Arc<str>, job: Box<Envelope>, answer: Answer<Receipt> },
    Withdraw { queue: Arc<str>, job: u64, receipt: Option<Receipt> },
    List { queue: Arc<str>, answer: Answer<Vec<u64>> },
    Request { to: ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes> },
    Respond { request: u64, bytes: Bytes },
    Broadcast(Bytes),
    Follow(ProcessId),
    Unfollow(ProcessId),
    Pull { queue: Arc<str>, jobs: usize },
    StopPulling(Arc<str>),
    Settle(DeliveryId, Settlement),
    Depth { queue: Arc<str>, answer: Answer<Depth> },
}
