//! [`Command`]: a message to the driver.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Event, Subject};
use heirloom::remote::engine::{Answer, Bytes, DeliveryId, Depth, Fault, Inbox, QueueLimits, Receipt, Settlement};
use heirloom::remote::{JobId, ProcessId};
use tokio::sync::oneshot;

use crate::driver::ensure::Present;

/// A message to the driver: a call of the engine, an event of the connection, or the end of a task beside the driver.
pub(crate) enum Command {
    Open {
        me: ProcessId,
        inbox: Arc<dyn Inbox>,
    },
    Declare {
        queue: String,
        limits: Option<QueueLimits>,
        answer: Answer<()>,
    },
    Publish(Job),
    Withdraw {
        queue: String,
        job: u64,
        receipt: Option<Receipt>,
    },
    List {
        queue: String,
        answer: Answer<Vec<u64>>,
    },
    Request {
        to: ProcessId,
        message: Bytes,
        within: Duration,
        answer: Answer<Bytes>,
    },
    Broadcast(Bytes),
    Follow(ProcessId),
    Unfollow(ProcessId),
    Pull {
        queue: String,
        jobs: usize,
    },
    StopPulling(String),
    Settle(DeliveryId, Settlement),
    Depth {
        queue: String,
        answer: Answer<Depth>,
    },
    /// The last command. The last messages have this time to leave, and the code runs when the connection is closed.
    Close(Duration, Option<Closed>),
    Event(Event),
    Ask {
        subject: String,
        body: Bytes,
        answer: oneshot::Sender<Result<Bytes, Fault>>,
    },
    Ensured {
        queue: String,
        epoch: u64,
        outcome: Result<Option<Present>, Fault>,
    },
    Reply {
        to: Subject,
        message: Bytes,
    },
    Forward {
        origin: ProcessId,
        message: Bytes,
    },
}

/// The code that waits for the end of a connection, and is told whether all messages have left. Dropped without a call where the
/// driver has ended.
pub(crate) type Closed = Box<dyn FnOnce(bool) + Send>;

/// A job to publish.
pub(crate) struct Job {
    pub(crate) queue: String,
    pub(crate) id: JobId,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) dedup: String,
    pub(crate) body: Bytes,
    pub(crate) answer: Answer<Receipt>,
}
