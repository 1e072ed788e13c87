//! [`Engine`]: queues and messages between processes. [`Inbox`]: the end that an engine delivers to.
//!
//! # The contract
//! 1. No call of either trait blocks. An engine calls its inbox on any thread, also from within a call of the inbox's own. A
//!    request to the inbox may report a job's end. The inbox wakes the waiters of the job's handle then, and of the scopes above
//!    the job. It runs no other user code, but for the values of a scope that is closed at that very moment.
//! 2. Each [`Answer`] is given once. An answer that is dropped is [`Fault::Away`].
//! 3. A published job is delivered at least once, unless it is withdrawn or the engine loses it. After [`Inbox::connected`], and
//!    from time to time, the origin [lists](Engine::list) its jobs and publishes the lost ones again. So an engine may lose all
//!    it has.
//! 4. A delivery is the worker's until it is settled. The engine keeps the delivery alive meanwhile. When the worker dies
//!    or loses its connection for a [lease](Engine::lease), the engine delivers the job again.
//! 5. At most [`QueueLimits::running`] deliveries of one queue are unsettled at a time, over all workers.
//! 6. A request reaches one process, which answers it. [`Fault::Gone`] is certain: no process of that name is connected.
//!    A broadcast reaches each process that follows the sender at that time, at most once.
//! 7. Messages between two processes may overtake each other.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::envelope::Envelope;
use crate::wire::fault::Fault;

/// Carries jobs and messages between processes. Implemented by `remote::loopback` and by the crate `heirloom-nats`.
///
/// Not a stable interface: it changes with this crate's minor versions.
pub trait Engine: Send + Sync + 'static {
    /// Begins to deliver to the inbox. Called once, before any other call.
    fn open(&self, me: &ProcessId, inbox: Arc<dyn Inbox>);

    /// Makes sure that the queue is there, with these limits. An origin calls it when a pool starts. A worker calls it without
    /// limits, when it begins to serve and after each connect, and its answer comes when the queue is there.
    fn declare(&self, queue: &str, limits: Option<QueueLimits>, answer: Answer<()>);

    /// Adds a job to the queue. The answer has the receipt with which the job can be withdrawn.
    ///
    /// A message whose [`Envelope::dedup`] was published a short time ago is not added a second time.
    fn publish(&self, queue: &str, job: &Envelope, answer: Answer<Receipt>);

    /// Takes this process's job of that number out of the queue, if it is not delivered yet. It may be delivered all the same.
    ///
    /// Without a receipt the engine takes the newest message of the job, where it can find that one.
    fn withdraw(&self, queue: &str, job: u64, receipt: Option<Receipt>);

    /// Lists the numbers of this process's jobs that the queue has: those that wait, and those that are delivered and not settled.
    ///
    /// A job that is left out is published again. So an engine that cannot tell answers with a fault, and is asked later.
    fn list(&self, queue: &str, answer: Answer<Vec<u64>>);

    /// Sends a message to one process, and gives the process's answer.
    fn request(&self, to: &ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>);

    /// Sends a message to each process that follows this one.
    fn broadcast(&self, message: Bytes);

    /// Begins to receive the broadcasts of a process. Idempotent.
    fn follow(&self, origin: &ProcessId);

    /// Ends that.
    fn unfollow(&self, origin: &ProcessId);

    /// Asks for this many deliveries more. An open request outlives a lost connection.
    fn pull(&self, queue: &str, jobs: usize);

    /// Takes back all open requests for deliveries. The inbox gives back a delivery that comes all the same.
    fn stop_pulling(&self, queue: &str);

    /// Ends a delivery.
    fn settle(&self, delivery: DeliveryId, how: Settlement);

    /// Counts the queue's jobs.
    fn depth(&self, queue: &str, answer: Answer<Depth>);

    /// Returns whether there is a connection now.
    fn is_connected(&self) -> bool;

    /// Returns whether the engine was closed: it never connects again.
    fn is_closed(&self) -> bool;

    /// Returns the time without a sign after which a process counts as dead.
    fn lease(&self) -> Duration;

    /// Returns the most bytes of a message; `usize::MAX` where there is no bound.
    fn most_bytes(&self) -> usize;

    /// Returns a text that names the engine for errors and logs, without credentials.
    fn describe(&self) -> String;
}

/// Receives from an engine.
pub trait Inbox: Send + Sync + 'static {
    /// A process has sent a request.
    fn requested(&self, from: &ProcessId, message: Bytes, answer: Answer<Bytes>);

    /// A process that this one follows has sent a broadcast.
    fn broadcast(&self, origin: &ProcessId, message: Bytes);

    /// A job is delivered.
    fn delivered(&self, delivery: Delivery);

    /// The engine has connected, for the first time or again, or has lost its connection.
    fn connected(&self, connected: bool);

    /// A queue that was there is not there any more, within a connection. A worker declares it again, and the answer comes when the
    /// queue is back.
    fn absent(&self, queue: &str);
}

/// A delivered job.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The number with which it is settled.
    pub id: DeliveryId,
    /// The queue.
    pub queue: Arc<str>,
    /// The receipt of the message. A message that is delivered again has the same one; a job that was published twice has
    /// two.
    pub receipt: Receipt,
    /// The number of this delivery of the message, from 1 on: greater than that of each earlier one whose worker counts as dead.
    pub count: u64,
    /// The job's headers, as [`Envelope::headers`] gave them.
    pub headers: Vec<(String, String)>,
    /// The job's body.
    pub body: Bytes,
}

/// Names a delivery within its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub u64);

/// Names a published message within its queue. Never reused, also not after the engine has lost all messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub u64);

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The job is finished, or is never to be delivered again.
    Done,
    /// The job goes back to the queue at once.
    GiveBack,
    /// Another worker has the message by a later delivery. The engine keeps that one, and forgets this.
    Forget,
}

/// The limits of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The most unsettled deliveries, over all workers.
    pub running: usize,
    /// The most jobs that wait in the engine.
    pub queued: Option<usize>,
}

/// The jobs of a queue, over all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that wait for a worker.
    pub queued: u64,
    /// Unsettled deliveries.
    pub running: u64,
    /// Open requests for deliveries.
    pub pulls: u64,
}

/// The code that gets the outcome of a request.
type Then<T> = Box<dyn FnOnce(Result<T, Fault>) + Send>;

/// A request's answer, to be given once. A drop gives [`Fault::Away`].
#[must_use]
pub struct Answer<T>(Option<Then<T>>);

impl<T> Answer<T> {
    /// Makes an answer that runs the code with the outcome.
    pub fn new(then: impl FnOnce(Result<T, Fault>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// Makes an answer that is not read.
    pub fn ignored() -> Self {
        Self(None)
    }

    /// Gives the answer.
    pub fn give(mut self, outcome: Result<T, Fault>) {
        if let Some(then) = self.0.take() {
            then(outcome);
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Fault::Away));
        }
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
