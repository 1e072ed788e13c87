//! [`Loopback`]: an engine inside of one process, for tests and for one machine.
//!
//! It keeps the contract of [`Engine`](crate::remote::engine::Engine), and its faults are calls: a test kills an end, pauses it,
//! or restarts the broker.

mod broker;
mod end;
mod end_state;
mod op;
mod queue;
mod state;
mod thread;

use std::fmt;
use std::time::Duration;

use self::broker::Broker;
use self::end::End;
use self::state::Settings;
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::link::{Link, Queue};

/// The time without a sign after which an end counts as dead.
const LEASE: Duration = Duration::from_secs(5);

/// Returns one end of a new engine that needs no broker: queues and messages inside of this process.
///
/// [`Loopback::another`] gives further ends. Each end is another *process* to the jobs, with a [`ProcessId`] of its own.
pub fn loopback() -> Loopback {
    Loopback::builder().open()
}

/// One end of an engine inside of this process. The queues of one end belong to one "process".
///
/// A clone is another handle to the same end. The end lives as long as its handles, its [queues](Self::queue), and the pools and
/// servings that use them. One thread, `heirloom-loopback`, delivers everything; it ends when it had nothing to do for a second.
///
/// # Faults
/// The methods below do to an end, or to the broker, as a network and a `kill` do. They do not stop code: a job that runs on the
/// threads of a killed end runs on, and no other end learns of it.
///
/// | call | as |
/// |---|---|
/// | [`disconnect`](Self::disconnect), [`reconnect`](Self::reconnect) | a network that is away for some time |
/// | [`kill`](Self::kill) | `kill -9` of the process |
/// | [`pause`](Self::pause), [`resume`](Self::resume) | `SIGSTOP` and `SIGCONT` |
/// | [`restart_broker`](Self::restart_broker) | a broker that keeps its queues in memory, and is killed |
#[derive(Clone)]
pub struct Loopback {
    link: Arc<Link>,
    broker: Arc<Broker>,
    end: u64,
}

/// The settings of a [`Loopback`]; made by [`Loopback::builder`].
#[derive(Clone, Debug)]
#[must_use = "the settings do nothing until `open`"]
pub struct LoopbackBuilder(Settings);

impl LoopbackBuilder {
    /// Sets the time without a sign after which an end counts as dead; five seconds by default.
    ///
    /// A test sets a short one. Below about 50 ms a busy machine makes living ends look dead.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.0.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// Sets the most bytes of a message; no bound by default. A NATS server has one of 1 MiB.
    pub fn most_bytes(mut self, bytes: usize) -> Self {
        self.0.most_bytes = bytes;
        self
    }

    /// Makes the engine, and returns its first end.
    pub fn open(self) -> Loopback {
        Loopback::at(Broker::new(self.0))
    }
}

impl Loopback {
    /// Returns settings that [`open`](LoopbackBuilder::open) a new engine.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::remote::Loopback;
    ///
    /// let web = Loopback::builder().lease(Duration::from_millis(200)).open();
    /// let worker = web.another();
    /// assert_ne!(web.process(), worker.process());
    /// ```
    pub fn builder() -> LoopbackBuilder {
        LoopbackBuilder(Settings { lease: LEASE, most_bytes: usize::MAX })
    }

    fn at(broker: Arc<Broker>) -> Self {
        let end = broker.add();
        let link = Link::open(Box::new(End::new(Arc::clone(&broker), end)));
        Self { link, broker, end }
    }

    /// Returns a further end of the same engine: another "process".
    pub fn another(&self) -> Self {
        Self::at(Arc::clone(&self.broker))
    }

    /// Returns the queue of that name, as this end sees it.
    #[must_use]
    pub fn queue(&self, name: &str) -> Queue {
        Queue { link: Arc::clone(&self.link), name: name.into() }
    }

    /// Returns the name of this end as a process.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        &self.link.me
    }

    /// Takes this end's connection away, until [`reconnect`](Self::reconnect). Idempotent.
    ///
    /// Both sides of the end see it at once. Requests to the end are answered as if the process had ended. After a lease its
    /// deliveries go to other ends.
    pub fn disconnect(&self) {
        self.broker.connect(self.end, false);
    }

    /// Gives this end its connection back. Idempotent.
    pub fn reconnect(&self) {
        self.broker.connect(self.end, true);
    }

    /// Ends this end for ever, as `kill -9` ends a process: nothing goes out and nothing comes in.
    ///
    /// After a lease its deliveries go to other ends. Its own code runs on, and finds the engine without a connection.
    pub fn kill(&self) {
        self.broker.kill(self.end);
    }

    /// Holds everything that goes out of this end and comes in, until [`resume`](Self::resume). Idempotent.
    ///
    /// Other ends see no difference to a process that was stopped by a signal: requests to it get no answer, and after a lease
    /// its deliveries go to other ends. Then it goes on, and knows nothing of that.
    pub fn pause(&self) {
        self.broker.pause(self.end, true);
    }

    /// Lets everything through that [`pause`](Self::pause) held, in its order. Idempotent.
    pub fn resume(&self) {
        self.broker.pause(self.end, false);
    }

    /// Loses all that is queued, delivered or on its way, for all ends. Each end loses its connection, and gets it back at once.
    pub fn restart_broker(&self) {
        self.broker.restart();
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loopback({})", self.process())
    }
}
