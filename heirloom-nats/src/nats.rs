//! [`Nats`]: an open connection.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::remote::engine::{Answer, Connection, Depth, Fault, QueueLimits};
use heirloom::remote::{ProcessId, Queue};
use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::sync::oneshot;

use crate::driver::FLUSH;
use crate::driver::command::Command;
use crate::runtime;
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

    /// Makes a queue, or changes the limits of one, as `heirloom-nats setup` does. Blocks until the server has answered, ten
    /// seconds at most.
    ///
    /// `running` is the most jobs at a time over all workers; `queued` the most that wait, without a bound if `None`. Starting
    /// a pool does the same, where the process has the right to do it.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] without the rights of an operator, [`Fault::Away`] without a connection. [`Fault::Broken`] in a
    /// future of tokio, whose thread it would block: use [`set_up_async`](Self::set_up_async) there.
    pub fn set_up(&self, queue: &str, running: usize, queued: Option<usize>) -> Result<(), Fault> {
        wait("set_up", self.declare(queue, running, queued))
    }

    /// As [`set_up`](Self::set_up), for async code of any runtime. Dropping the future stops only the wait.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] without the rights of an operator, [`Fault::Away`] without a connection.
    pub async fn set_up_async(&self, queue: &str, running: usize, queued: Option<usize>) -> Result<(), Fault> {
        answered(self.declare(queue, running, queued)).await
    }

    fn declare(&self, queue: &str, running: usize, queued: Option<usize>) -> impl FnOnce(Answer<()>) {
        move |answer| self.connection.engine().declare(queue, Some(QueueLimits { running, queued }), answer)
    }

    /// Counts the jobs of a queue, over all processes. Blocks until the server has answered, ten seconds at most.
    ///
    /// # Errors
    /// [`Fault::Broken`] when the queue is not there, [`Fault::Away`] without a connection. In a future of tokio it is refused, as
    /// [`set_up`](Self::set_up) is.
    pub fn depth(&self, queue: &str) -> Result<Depth, Fault> {
        wait("depth", |answer| self.connection.engine().depth(queue, answer))
    }

    /// As [`depth`](Self::depth), for async code of any runtime.
    ///
    /// # Errors
    /// [`Fault::Broken`] when the queue is not there, [`Fault::Away`] without a connection.
    pub async fn depth_async(&self, queue: &str) -> Result<Depth, Fault> {
        answered(|answer| self.connection.engine().depth(queue, answer)).await
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

    /// Closes the connection, and waits at most `within` for the last messages.
    ///
    /// Returns whether the last messages have left: never where there is no connection. A server that is silent keeps the call
    /// for the whole time. All users of the connection lose it, and each wait for an answer gets [`Fault::Away`]. Call it at the
    /// end of `main`, after pools and workers are stopped: a process that exits at once may take the last results with it, which
    /// then come from another run of the job.
    ///
    /// In a future of tokio it closes the connection, waits for nothing, and returns false: use [`close_async`](Self::close_async)
    /// there.
    pub fn close(&self, within: Duration) -> bool {
        let (sender, closed) = mpsc::channel();
        let closes = self.begin_close(within, move |all| {
            let _ = sender.send(all);
        });
        if !closes {
            return true;
        }
        if let Some(refusal) = runtime::refusal("close") {
            tracing::warn!("heirloom-nats: {refusal}, so that the last messages leave before the end");
            return false;
        }
        // A driver that has ended drops the sender.
        heirloom::blocking(|| closed.recv_timeout(within))
            .unwrap_or_else(|late| late == mpsc::RecvTimeoutError::Disconnected)
    }

    /// As [`close`](Self::close), for async code of any runtime: `tokio::time::timeout` bounds it.
    ///
    /// Returns whether the last messages have left, after ten seconds at most where the server is silent. Closes when first polled;
    /// dropping the future stops only the wait.
    pub async fn close_async(&self) -> bool {
        let (sender, closed) = oneshot::channel();
        let closes = self.begin_close(FLUSH, move |all| {
            let _ = sender.send(all);
        });
        // A driver that has ended drops the sender.
        !closes || closed.await.unwrap_or(true)
    }

    /// Returns false where the connection is closed already.
    fn begin_close(&self, within: Duration, closed: impl FnOnce(bool) + Send + 'static) -> bool {
        if self.shared.is_forked() {
            return false;
        }
        let Some(commands) = self.commands.upgrade() else { return false };
        commands.send(Command::Close(within, Some(Box::new(closed)))).is_ok()
    }

    /// Returns the engine, for tests of the engine and for code that carries more than pools do.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Blocks until the server has answered.
fn wait<T: Send + 'static>(name: &str, call: impl FnOnce(Answer<T>)) -> Result<T, Fault> {
    if let Some(refusal) = runtime::refusal(name) {
        return Err(Fault::Broken(refusal));
    }
    let (sender, receiver) = mpsc::channel();
    call(Answer::new(move |outcome| drop(sender.send(outcome))));
    heirloom::blocking(|| receiver.recv_timeout(WITHIN)).unwrap_or(Err(Fault::NoAnswer(WITHIN)))
}

async fn answered<T: Send + 'static>(call: impl FnOnce(Answer<T>)) -> Result<T, Fault> {
    let (sender, receiver) = oneshot::channel();
    call(Answer::new(move |outcome| drop(sender.send(outcome))));
    receiver.await.unwrap_or(Err(Fault::Away))
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("at", &self.describe()).field("process", self.process()).finish_non_exhaustive()
    }
}
