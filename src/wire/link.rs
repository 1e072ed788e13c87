//! [`Link`]: a process's one end of an engine, and [`Queue`], one queue of it.

use std::any::Any;
use std::fmt;
use std::io;

use bytes::Bytes;

use crate::sync::os::{Arc, OnceLock, Weak};
use crate::wire::address::ProcessId;
use crate::wire::engine::{Answer, Delivery, Engine, Inbox, QueueLimits};
use crate::wire::fault::Fault;

/// The half of a process that sends jobs, or the half that works on them: each gets its share of the inbox.
pub(crate) trait Half: Any + Send + Sync {
    /// See [`Inbox::requested`].
    fn requested(self: Arc<Self>, from: &ProcessId, message: Bytes, answer: Answer<Bytes>) {
        let _ = (from, message, answer);
    }

    /// See [`Inbox::broadcast`].
    fn broadcast(self: Arc<Self>, origin: &ProcessId, message: Bytes) {
        let _ = (origin, message);
    }

    /// See [`Inbox::delivered`].
    fn delivered(self: Arc<Self>, delivery: Delivery) {
        let _ = delivery;
    }

    /// See [`Inbox::connected`].
    fn connected(self: Arc<Self>, connected: bool) {
        let _ = connected;
    }

    /// See [`Inbox::absent`].
    fn absent(self: Arc<Self>, queue: &str) {
        let _ = queue;
    }
}

/// Returns the half in a link's slot, which is made at the first call. `begin` runs once, for the half that stays.
///
/// # Errors
/// The errors of `make`, such as the system's when it refuses a thread.
pub(crate) fn half<T: Half>(
    slot: &OnceLock<Arc<dyn Half>>,
    make: impl FnOnce() -> io::Result<T>,
    begin: impl FnOnce(&Arc<T>),
) -> io::Result<Arc<T>> {
    if slot.get().is_none() {
        let half = Arc::new(make()?);
        slot.get_or_init(|| {
            begin(&half);
            half
        });
    }
    match known(slot) {
        Some(half) => Ok(half),
        None => unreachable!("the slot has a half, of its one type"),
    }
}

/// Returns the half in a link's slot, if there is one.
pub(crate) fn known<T: Half>(slot: &OnceLock<Arc<dyn Half>>) -> Option<Arc<T>> {
    let half: Arc<dyn Any + Send + Sync> = slot.get().cloned()?;
    half.downcast::<T>().ok()
}

/// A process's one end of an engine.
pub(crate) struct Link {
    pub(crate) me: ProcessId,
    pub(crate) engine: Box<dyn Engine>,
    /// Answers the requests of workers.
    pub(crate) origin: OnceLock<Arc<dyn Half>>,
    /// Gets deliveries and broadcasts.
    pub(crate) worker: OnceLock<Arc<dyn Half>>,
}

impl Link {
    /// Opens the engine.
    pub(crate) fn open(engine: Box<dyn Engine>) -> Arc<Self> {
        let me = ProcessId::unique();
        let link = Arc::new(Self { me: me.clone(), engine, origin: OnceLock::new(), worker: OnceLock::new() });
        link.engine.open(&me, Arc::new(Deliverer(Arc::downgrade(&link))));
        link
    }
}

/// The inbox of the link. Weak, so that the engine does not keep its own owner.
struct Deliverer(Weak<Link>);

impl Deliverer {
    fn origin(&self) -> Option<Arc<dyn Half>> {
        self.0.upgrade()?.origin.get().cloned()
    }

    fn worker(&self) -> Option<Arc<dyn Half>> {
        self.0.upgrade()?.worker.get().cloned()
    }
}

impl Inbox for Deliverer {
    fn requested(&self, from: &ProcessId, message: Bytes, answer: Answer<Bytes>) {
        if let Some(origin) = self.origin() {
            origin.requested(from, message, answer);
        }
    }

    fn broadcast(&self, origin: &ProcessId, message: Bytes) {
        if let Some(worker) = self.worker() {
            worker.broadcast(origin, message);
        }
    }

    fn delivered(&self, delivery: Delivery) {
        if let Some(worker) = self.worker() {
            worker.delivered(delivery);
        }
    }

    fn connected(&self, connected: bool) {
        self.origin().into_iter().chain(self.worker()).for_each(|half| half.connected(connected));
    }

    fn absent(&self, queue: &str) {
        self.origin().into_iter().chain(self.worker()).for_each(|half| half.absent(queue));
    }
}

/// One queue of an engine, as a process sees it.
///
/// An origin starts a pool with it ([`PoolConfig::remote`](crate::PoolConfig::remote)), a worker serves it
/// ([`serve`](crate::remote::serve)). Two queues are equal if they have one name and one connection. A clone costs two atomic
/// increments.
#[derive(Clone)]
pub struct Queue {
    pub(crate) link: Arc<Link>,
    pub(crate) name: Arc<str>,
}

impl Queue {
    /// Returns the queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Queue {
    /// Makes sure that the queue is there, with these limits, and calls `then` with the answer. A fault is logged, and is again the
    /// answer of each job that is sent.
    pub(crate) fn declare(&self, limits: Option<QueueLimits>, then: impl FnOnce(Result<(), Fault>) + Send + 'static) {
        let queue = self.clone();
        let declared = move |declared: Result<(), Fault>| {
            // Without a connection the engine keeps the limits, and makes the queue at the next one.
            if let Err(fault) = declared.as_ref()
                && *fault != Fault::Away
            {
                let engine = queue.link.engine.describe();
                tracing::warn!(target: "heirloom", queue = queue.name(), engine, "no queue: {fault}");
            }
            then(declared);
        };
        self.link.engine.declare(&self.name, limits, Answer::new(declared));
    }
}

impl PartialEq for Queue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link) && self.name == other.name
    }
}

impl Eq for Queue {}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({:?} of {})", self.name, self.link.engine.describe())
    }
}
