//! [`NatsEngine`]: the engine as heirloom calls it. Each call is a message to the driver.

use std::sync::Arc;
use std::time::Duration;

use heirloom::remote::ProcessId;
use heirloom::remote::engine::{
    Answer, Bytes, DeliveryId, Depth, Engine, Envelope, Fault, Inbox, QueueLimits, Receipt, Settlement,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::driver::FLUSH;
use crate::driver::command::{Command, Job};
use crate::shared::Shared;

/// The engine. A drop closes the connection, after all that was sent before.
pub(crate) struct NatsEngine {
    /// Is there until the drop.
    commands: Option<UnboundedSender<Command>>,
    shared: Arc<Shared>,
}

impl NatsEngine {
    pub(crate) fn new(commands: UnboundedSender<Command>, shared: Arc<Shared>) -> Self {
        Self { commands: Some(commands), shared }
    }

    /// Sends a command to the driver. An answer in it is given, as [`Fault::Away`], where the driver has ended.
    fn tell(&self, command: Command) {
        if self.shared.is_forked() {
            return refuse(command);
        }
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
    }
}

/// Answers a command in a fork's child. The channel is not touched there: another thread may have held its lock at the fork.
fn refuse(command: Command) {
    let fault =
        || Fault::Broken("this process was forked from the one that has the connection; connect after a fork".into());
    match command {
        Command::Declare { answer, .. } => answer.give(Err(fault())),
        Command::Publish(job) => job.answer.give(Err(fault())),
        Command::Request { answer, .. } => answer.give(Err(fault())),
        Command::Depth { answer, .. } => answer.give(Err(fault())),
        Command::List { answer, .. } => answer.give(Err(fault())),
        _ => {}
    }
}

impl Engine for NatsEngine {
    fn open(&self, me: &ProcessId, inbox: Arc<dyn Inbox>) {
        self.tell(Command::Open { me: me.clone(), inbox });
    }

    fn declare(&self, queue: &str, limits: Option<QueueLimits>, answer: Answer<()>) {
        self.tell(Command::Declare { queue: queue.into(), limits, answer });
    }

    fn publish(&self, queue: &str, job: &Envelope, answer: Answer<Receipt>) {
        let (id, headers, dedup, body) = (job.id().clone(), job.headers(), job.dedup(), job.body().clone());
        let job = Job { queue: queue.into(), id, headers, dedup, body, answer };
        self.tell(Command::Publish(job));
    }

    fn withdraw(&self, queue: &str, job: u64, receipt: Option<Receipt>) {
        self.tell(Command::Withdraw { queue: queue.into(), job, receipt });
    }

    fn list(&self, queue: &str, answer: Answer<Vec<u64>>) {
        self.tell(Command::List { queue: queue.into(), answer });
    }

    fn request(&self, to: &ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>) {
        self.tell(Command::Request { to: to.clone(), message, within, answer });
    }

    fn broadcast(&self, message: Bytes) {
        self.tell(Command::Broadcast(message));
    }

    fn follow(&self, origin: &ProcessId) {
        self.tell(Command::Follow(origin.clone()));
    }

    fn unfollow(&self, origin: &ProcessId) {
        self.tell(Command::Unfollow(origin.clone()));
    }

    fn pull(&self, queue: &str, jobs: usize) {
        self.tell(Command::Pull { queue: queue.into(), jobs });
    }

    fn stop_pulling(&self, queue: &str) {
        self.tell(Command::StopPulling(queue.into()));
    }

    fn settle(&self, delivery: DeliveryId, how: Settlement) {
        self.tell(Command::Settle(delivery, how));
    }

    fn depth(&self, queue: &str, answer: Answer<Depth>) {
        self.tell(Command::Depth { queue: queue.into(), answer });
    }

    fn is_connected(&self) -> bool {
        self.shared.is_ready()
    }

    fn is_closed(&self) -> bool {
        self.commands.as_ref().is_none_or(UnboundedSender::is_closed)
    }

    fn lease(&self) -> Duration {
        self.shared.lease
    }

    fn most_bytes(&self) -> usize {
        self.shared.most_bytes()
    }

    fn describe(&self) -> String {
        format!("NATS at {}, app {}", self.shared.servers, self.shared.app)
    }
}

impl Drop for NatsEngine {
    fn drop(&mut self) {
        let Some(commands) = self.commands.take() else { return };
        if self.shared.is_forked() {
            // Its drop would wake the parent's driver, through a lock that another thread may have held at the fork.
            std::mem::forget(commands);
        } else {
            let _ = commands.send(Command::Close(FLUSH, None));
        }
    }
}
