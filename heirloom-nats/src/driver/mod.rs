//! [`Driver`]: the one task that has the connection's state, so that none of it needs a lock.
//!
//! # How a call goes
//! A call of the engine is a [`Command`] in the driver's channel. The driver sends a message and notes the answer to give in
//! [`Pending`]: the server's reply gives it, or a report of a missing right on that subject, or the loss of the
//! connection, or the time. Requests that need several messages run in tasks beside the driver, which send [`Command`]s.
//!
//! # Turns
//! The driver takes all commands and messages that are there, up to [`TURN`], before it waits again. Requests that one turn makes
//! to one process travel together (`together`), and the client writes all messages of a turn at once. Jobs that are sent again,
//! or have waited for their queue, are as many in a turn: so a burst of sends holds up no sign of life.
//!
//! # A process that was stopped
//! The server may have delivered jobs into the socket of a process that is stopped, or starved, and have given them to another
//! worker since. The driver notices the stop by its own lateness, drops what has come, and connects anew: it never hands on a
//! delivery that may be another worker's by now. An origin that takes no jobs has none to hand on, and keeps its connection.
//!
//! # How a connection comes back
//! With the connection all answers that wait are given as [`Fault::Away`]. At the next one the driver looks for each queue
//! and makes those that the server has lost (`ensure`); then it tells the inbox, and asks for deliveries again. A queue that
//! takes longer than [`RESTORE`] does not hold up the rest. A queue that the server has lost *within* a connection is noticed
//! at the next look, and the inbox is notified as of a lost connection if another queue of that name is there, and else that the
//! queue is absent.

pub(crate) mod asker;
pub(crate) mod command;
mod connection;
mod deliveries;
pub(crate) mod ensure;
mod jobs;
mod outbox;
mod pace;
mod pending;
mod pulls;
mod queue;
mod requests;
mod together;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::traits::Publisher;
use async_nats::{Client, Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use heirloom::remote::ProcessId;
use heirloom::remote::engine::Inbox;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::driver::asker::Asker;
use crate::driver::command::{Closed, Command};
use crate::driver::deliveries::Deliveries;
use crate::driver::outbox::Outbox;
use crate::driver::pace::Pace;
use crate::driver::pending::Pending;
use crate::driver::queue::Queue;
use crate::driver::together::Requests;
use crate::names::{Names, To};
use crate::settings::Settings;
use crate::shared::Shared;

/// The time that a new connection may take until all queues are there again.
const RESTORE: Duration = Duration::from_secs(1);
/// The most commands and messages of one turn: what a turn sends leaves after it.
const TURN: usize = 64;
/// The time in which the last messages leave when the caller has set none.
pub(crate) const FLUSH: Duration = Duration::from_secs(10);

/// The one task that has the connection's state.
struct Driver {
    client: Client,
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    names: Arc<Names>,
    me: ProcessId,
    inbox: Arc<dyn Inbox>,
    /// Answers, and jobs.
    inbound: Subscriber,
    asker: Asker,
    outbox: Outbox,
    requests: Requests,
    pending: Pending,
    queues: HashMap<String, Queue>,
    deliveries: Deliveries,
    /// The requests of other processes. Is there once this process is an origin.
    direct: Option<Subscriber>,
    /// This process gets requests.
    is_origin: bool,
    followed: HashMap<ProcessId, tokio::task::JoinHandle<()>>,
    connection: connection::State,
    next_sign: Instant,
    last_pull: u64,
}

/// The end of one wait of the driver.
enum Happened {
    Command(Command),
    Inbound(Message),
    Requested(Message),
    Due,
    End,
}

/// Runs the connection until its engine is dropped.
pub(crate) async fn run(
    client: Client,
    shared: Arc<Shared>,
    settings: Settings,
    sender: UnboundedSender<Command>,
    mut commands: UnboundedReceiver<Command>,
) {
    let _unready = Unready(Arc::clone(&shared));
    let (me, inbox) = loop {
        match commands.recv().await {
            Some(Command::Open { me, inbox }) => break (me, inbox),
            Some(Command::Close(..)) | None => return,
            // No other command comes before it; an event is read from the client's state below.
            Some(_) => {}
        }
    };
    let names = Arc::new(Names::new(&settings.app, &settings.inbox_prefix, &me));
    let Ok(inbound) = client.subscribe(names.inbox()).await else { return };
    let now = Instant::now();
    let driver = Driver {
        asker: Asker { names: Arc::clone(&names), commands: sender },
        outbox: Outbox::new(client.clone()),
        requests: Requests::default(),
        pending: Pending::default(),
        queues: HashMap::new(),
        deliveries: Deliveries::default(),
        direct: None,
        is_origin: false,
        followed: HashMap::new(),
        connection: connection::State::new(),
        next_sign: now,
        last_pull: 0,
        settings: Arc::new(settings),
        client,
        shared,
        names,
        me,
        inbox,
        inbound,
    };
    driver.drive(commands).await;
}

/// Says that there is no connection, however the driver ends.
struct Unready(Arc<Shared>);

impl Drop for Unready {
    fn drop(&mut self) {
        self.0.set_ready(false);
    }
}

impl Driver {
    async fn drive(mut self, mut commands: UnboundedReceiver<Command>) {
        self.guard(Self::first_connection);
        let mut pace = Pace::new(Instant::now());
        loop {
            self.check_pace(&mut pace);
            let due = self.next_due();
            pace.wait_until(due);
            let happened = tokio::select! {
                command = commands.recv() => command.map_or(Happened::End, Happened::Command),
                message = self.inbound.next() => message.map_or(Happened::End, Happened::Inbound),
                message = next(&mut self.direct) => Happened::Requested(message),
                () = self.outbox.write() => Happened::Due,
                () = tokio::time::sleep_until(due.into()) => Happened::Due,
            };
            let (mut next, mut left) = (Some(happened), TURN);
            while let Some(happened) = next.take() {
                self.check_pace(&mut pace);
                match happened {
                    Happened::Command(Command::Close(within, closed)) => {
                        self.guard(Self::send_requests);
                        return self.close(within, closed).await;
                    }
                    Happened::Command(command) => self.guard(|driver| driver.command(command)),
                    Happened::Inbound(message) => self.guard(|driver| driver.inbound(message)),
                    Happened::Requested(message) => self.guard(|driver| driver.requested(message)),
                    Happened::Due => {}
                    Happened::End => return,
                }
                left -= 1;
                if left > 0 {
                    next = self.next_ready(&mut commands, left);
                }
            }
            self.guard(Self::send_requests);
            self.guard(|driver| driver.due(Instant::now()));
        }
    }

    /// Begins a step, and acts on a stop of this process before it.
    fn check_pace(&mut self, pace: &mut Pace) {
        if pace.step(Instant::now()) >= self.settings.lease / 2 {
            self.guard(Self::was_stopped);
        }
    }

    /// Returns a command or a message that is there already.
    fn next_ready(&mut self, commands: &mut UnboundedReceiver<Command>, step: usize) -> Option<Happened> {
        let (inbound, direct) = (&mut self.inbound, &mut self.direct);
        pace::ready(
            step,
            [
                &mut || commands.try_recv().ok().map(Happened::Command),
                &mut || inbound.next().now_or_never().flatten().map(Happened::Inbound),
                &mut || direct.as_mut()?.next().now_or_never()?.map(Happened::Requested),
            ],
        )
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Declare { queue, limits, answer } => self.declare(&queue, limits, answer),
            Command::Publish(job) => self.publish(job),
            Command::Withdraw { queue, job, receipt } => self.withdraw(&queue, job, receipt),
            Command::List { queue, answer } => self.list(&queue, answer),
            Command::Request { to, message, within, answer } => self.request(to, message, within, answer),
            Command::Broadcast(message) => self.broadcast(message),
            Command::Follow(origin) => self.follow(origin),
            Command::Unfollow(origin) => self.unfollow(&origin),
            Command::Pull { queue, jobs } => self.pull(&queue, jobs),
            Command::StopPulling(queue) => self.stop_pulling(&queue),
            Command::Settle(delivery, how) => self.settle(delivery, how),
            Command::Depth { queue, answer } => self.depth(&queue, answer),
            Command::Event(event) => self.event(event),
            Command::Ask { subject, body, answer } => self.ask(subject, body, answer),
            Command::Ensured { queue, epoch, outcome } => self.ensured(&queue, epoch, outcome),
            Command::Reply { to, message } => self.reply(to, message),
            Command::Forward { origin, message } => self.inbox.broadcast(&origin, message),
            // The engine is opened once, and `drive` closes it.
            Command::Open { .. } | Command::Close(..) => {}
        }
    }

    /// A message to this process's inbox has come.
    ///
    /// A delivery has the subject on which the job was published; all else the subject below the inbox.
    fn inbound(&mut self, message: Message) {
        let names = Arc::clone(&self.names);
        match names.read(&message.subject) {
            Some(To::Reply(token)) => self.replied(token, message),
            Some(To::Pull(queue, number)) => self.pull_ended(queue, number, &message),
            None => self.delivered(message),
        }
    }

    /// Runs a step in which answers are given and the inbox is called. A panic there is not the connection's end.
    fn guard(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            tracing::error!("heirloom-nats: the receiver of an answer or a message has panicked");
        }
    }

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        // Without a connection they have nothing to do, however long it is due.
        let queues = self.queues.values().filter(|_| self.connection.is_up()).filter_map(|queue| queue.next_due(now));
        let restored = self.connection.restore_ends();
        let sign = (self.connection.is_ready() && !self.deliveries.is_empty()).then_some(self.next_sign);
        let others = [self.pending.next_due(), restored, sign];
        let poll = now + connection::POLL.min(self.settings.lease / 4);
        queues.chain(others.into_iter().flatten()).min().unwrap_or(poll).min(poll)
    }

    /// Does all that is due.
    fn due(&mut self, now: Instant) {
        self.check_connection(now);
        self.listen();
        for (token, waiting) in self.pending.take_due(now, TURN) {
            self.late(token, waiting, now);
        }
        self.look_at_queues(now);
        self.send_parked(now);
        self.fill_pulls(now);
        self.sign(now);
    }

    /// Sends the last messages, and ends.
    async fn close(mut self, within: Duration, closed: Option<Closed>) {
        // Without a connection the last messages were dropped with it.
        let mut all = false;
        self.followed.values().for_each(tokio::task::JoinHandle::abort);
        if self.connection.is_up() {
            let client = self.client.clone();
            let left = self.outbox.take();
            let flush = async move {
                for message in left {
                    client.publish_message(message).await.ok();
                }
                // The server answers in the order of arrival, so all has left when this answer comes. The client's own flush does
                // not wait for what the connection has not taken yet.
                let last = async_nats::Request::new().timeout(None);
                client.send_request("$JS.API.STREAM.INFO.close", last).await.ok();
            };
            all = tokio::time::timeout(within, flush).await.is_ok();
        }
        self.connection_lost();
        drop(self);
        if let Some(closed) = closed {
            closed(all);
        }
    }
}

/// Returns the next message, once there is a subscription.
async fn next(subscriber: &mut Option<Subscriber>) -> Message {
    if let Some(subscriber) = subscriber
        && let Some(message) = subscriber.next().await
    {
        return message;
    }
    std::future::pending().await
}
