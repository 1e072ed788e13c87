//! [`Nats`]: an open connection.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::remote::engine::{Answer, Connection, Depth, Fault, QueueLimits};
use heirloom::remote::{ProcessId, Queue};
use tokio::sync::mpsc::WeakUnboundedSender;

use crate::driver::command::Command;
use crate::shared::Shared;

/// The time that the server has for the calls below.
const WITHIN: Duration = Duration::from_secs(10);

/// An open connection to NATS. A clone costs a few atomic increments.
///
/// The connection is closed when this handle, its clones and its queues are dropped, and with them the pools that use them; all
/// messages that were sent before leave first. The drop does not wait for that: see [`close`](Self::close).
#[derive(Clone)]
pub struct Nats {
    connection: Connection,
    commands: WeakUnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Nats {
    pub(crate) fn new(connection: Connection, commands: WeakUnboundedSender<Command>, shared: Arc<Shared>) -> Self {
        Self { connection, commands, shared }
    }

    /// Returns a queue, for `PoolConfig::remote` of an origin and for `serve` of a worker.
    ///
    /// The name has letters, digits, `_` and `-`. Another name is refused when the pool starts, or the worker.
    #[must_use]
    pub fn queue(&self, name: &str) -> Queue {
        self.connection.queue(name)
    }

    /// Makes a queue, or changes the limits of one, as `heirloom-nats setup` does. Blocks until the server has answered.
    ///
    /// `running` is the most jobs at a time over all workers; `queued` the most that wait, without a bound if `None`. Starting
    /// a pool does the same, where the process has the right to do it.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] without the rights of an operator, [`Fault::Away`] without a connection.
    pub fn set_up(&self, queue: &str, running: usize, queued: Option<usize>) -> Result<(), Fault> {
        self.wait(|answer| self.connection.engine().declare(queue, Some(QueueLimits { running, queued }), answer))
    }

    /// Counts the jobs of a queue, over all processes. Blocks until the server has answered.
    ///
    /// # Errors
    /// [`Fault::Broken`] when the queue is not there, [`Fault::Away`] without a connection.
    pub fn depth(&self, queue: &str) -> Result<Depth, Fault> {
        self.wait(|answer| self.connection.engine().depth(queue, answer))
    }

    fn wait<T: Send + 'static>(&self, call: impl FnOnce(Answer<T>)) -> Result<T, Fault> {
        let (sender, receiver) = mpsc::channel();
        call(Answer::new(move |outcome| drop(sender.send(outcome))));
        receiver.recv_timeout(WITHIN).unwrap_or(Err(Fault::NoAnswer(WITHIN)))
    }

    /// Returns whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.is_ready()
    }

    /// Returns this process's name, which origins and workers know it by.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        self.connection.process()
    }

    /// Returns the servers and the app in words, without credentials.
    #[must_use]
    pub fn describe(&self) -> String {
        self.connection.engine().describe()
    }

    /// Closes the connection for all its users, and waits until the last messages have left; at most `within`.
    ///
    /// Returns whether they have. All that waits for an answer gets [`Fault::Away`]. Call it at the end of `main`, after pools
    /// and workers are stopped: a process that exits at once may take the last results with it, which then come from
    /// another run of the job.
    pub fn close(&self, within: Duration) -> bool {
        if self.shared.is_forked() {
            return true;
        }
        let Some(commands) = self.commands.upgrade() else { return true };
        let (sender, closed) = mpsc::channel();
        if commands.send(Command::Close(Some(sender))).is_err() {
            return true;
        }
        // The driver drops the sender.
        closed.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    /// Returns the engine, for tests of the engine and for code that carries more than pools do.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("at", &self.describe()).field("process", self.process()).finish_non_exhaustive()
    }
}
