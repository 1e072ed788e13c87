//! The connection as it comes and goes, and the queues that are made again with it.

use std::time::{Duration, Instant};

use async_nats::connection::State as Socket;
use async_nats::{ClientError, Event, ServerError};
use futures_util::{FutureExt, Stream, StreamExt};
use heirloom::remote::engine::{Answer, Fault, QueueLimits};

use crate::driver::command::Command;
use crate::driver::ensure::{self, Present};
use crate::driver::queue::Queue;
use crate::driver::{Driver, RESTORE, TURN};
use crate::names::Names;

/// The longest time between two looks at the client's own state. Events tell it sooner, but the client may drop events.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// The time between the first two looks for a queue that is not there. It doubles with each look, to the longest one.
const LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// The state of the connection.
pub(super) struct State {
    up: bool,
    /// The number of the connection, from 1 on.
    epoch: u64,
    /// The client's own count of connections, as it was seen last.
    connects: u64,
    /// This connection has deliveries that may be another worker's, and is to end.
    stale: bool,
    /// The end of the time in which queues are made again.
    restoring: Option<Instant>,
    /// The inbox was notified of a connection.
    notified: bool,
    /// The inbox of this process may not be subscribed to, so no request is ever answered.
    deaf: Option<String>,
    /// This process may not get requests.
    pub(super) origin_denied: Option<String>,
    /// This process may not follow an origin.
    pub(super) worker_denied: Option<String>,
    last_error: String,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            up: false,
            epoch: 0,
            connects: 0,
            stale: false,
            restoring: None,
            notified: false,
            deaf: None,
            origin_denied: None,
            worker_denied: None,
            last_error: String::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Returns whether the inbox knows of the connection, and none of it is made again.
    pub(super) fn is_ready(&self) -> bool {
        self.up && self.notified
    }

    pub(super) fn restore_ends(&self) -> Option<Instant> {
        self.restoring
    }

    pub(super) fn deaf(&self) -> Option<Fault> {
        self.deaf.clone().map(Fault::NotAllowed)
    }
}

impl Driver {
    pub(super) fn first_connection(&mut self) {
        if self.client.connection_state() == Socket::Connected {
            self.connected();
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Connected | Event::Disconnected => self.check_connection(Instant::now()),
            Event::ServerError(ServerError::Other(text)) => self.server_error(&text),
            Event::ServerError(error) => self.note_error(&error.to_string()),
            Event::ClientError(ClientError::Other(text)) => self.note_error(&text),
            Event::SlowConsumer(_) => tracing::warn!("heirloom-nats: a message was dropped; the process is too slow"),
            other => tracing::debug!(%other, "heirloom-nats"),
        }
    }

    /// Compares the client's own state with the driver's. The number of connections tells of one that was lost and made again.
    pub(super) fn check_connection(&mut self, now: Instant) {
        let connects = self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
        let other = connects != self.connection.connects;
        let up = self.client.connection_state() == Socket::Connected && (other || !self.connection.stale);
        if self.connection.up && (!up || other) {
            self.connection_lost();
        }
        if up && !self.connection.up {
            self.connected();
        }
        if self.connection.restoring.is_some_and(|end| end <= now) {
            self.restored();
        }
    }

    /// This process was stopped for half a lease or longer.
    pub(super) fn was_stopped(&mut self) {
        if !self.connection.up || !self.takes_jobs() {
            return;
        }
        tracing::warn!("heirloom-nats: this process was stopped, or starved, for half a lease; it connects anew");
        self.connection.stale = true;
        self.connection_lost();
        let client = self.client.clone();
        tokio::spawn(async move { client.force_reconnect().await });
    }

    fn connected(&mut self) {
        let now = Instant::now();
        if std::mem::take(&mut self.connection.stale) {
            // Nothing was asked for on this connection yet, so all of it came on the other.
            empty(&mut self.inbound);
        }
        let state = &mut self.connection;
        (state.up, state.deaf, state.origin_denied, state.worker_denied) = (true, None, None, None);
        state.epoch += 1;
        state.connects = self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
        state.restoring = Some(now + RESTORE);
        self.shared.set_max_payload(self.client.max_payload());
        for queue in self.queues.values_mut() {
            (queue.ensuring, queue.look) = (false, now);
        }
        self.look_at_queues(now);
        self.restore_if_all_are_there();
    }

    pub(super) fn connection_lost(&mut self) {
        self.connection.up = false;
        self.connection.restoring = None;
        self.outbox.take();
        for queue in self.queues.values_mut() {
            queue.pulls.clear();
            queue.first_pull = self.last_pull + 1;
            queue.release(false);
            queue.parked.drain(..).for_each(|job| job.answer.give(Err(Fault::Away)));
            queue.declared.drain(..).for_each(|(_, answer)| answer.give(Err(Fault::Away)));
        }
        for waiting in self.pending.take_all() {
            waiting.kind.fail(Fault::Away);
        }
        self.notify_lost();
    }

    fn notify_lost(&mut self) {
        self.shared.set_ready(false);
        if std::mem::take(&mut self.connection.notified) {
            tracing::info!("heirloom-nats: the connection to {} is lost", self.shared.servers);
            self.inbox.connected(false);
        }
    }

    fn restore_if_all_are_there(&mut self) {
        let all = self.queues.values().all(|queue| !queue.ensuring);
        if all && self.connection.restoring.is_some() {
            self.restored();
        }
    }

    /// The queues are there, or have had their time.
    fn restored(&mut self) {
        self.connection.restoring = None;
        self.connection.notified = true;
        self.connection.last_error.clear();
        self.shared.set_ready(true);
        self.settle_again();
        self.next_sign = Instant::now();
        tracing::info!("heirloom-nats: connected to {}", self.shared.servers);
        self.inbox.connected(true);
    }

    pub(super) fn declare(&mut self, name: &str, limits: Option<QueueLimits>, answer: Answer<()>) {
        if let Err(fault) = Names::check(name) {
            return answer.give(Err(fault));
        }
        if !self.connection.up {
            // The next connection makes the queue with them.
            let queue = self.queue(name);
            queue.limits = limits.or(queue.limits);
            return answer.give(Err(Fault::Away));
        }
        match limits {
            Some(_) => self.become_origin(),
            None => self.become_worker(),
        }
        let queue = self.queue(name);
        queue.limits = limits.or(queue.limits);
        queue.look = Instant::now();
        // The answer belongs to a look that begins after the declaration.
        queue.again = queue.ensuring;
        queue.declared.push((limits.is_some(), answer));
    }

    /// Returns the state of a queue, which is looked for from now on.
    pub(super) fn queue(&mut self, name: &str) -> &mut Queue {
        self.queues.entry(name.into()).or_insert_with(|| Queue::new(name, Instant::now()))
    }

    /// Begins a look at each queue whose time has come.
    pub(super) fn look_at_queues(&mut self, now: Instant) {
        if !self.connection.up {
            return;
        }
        for (name, queue) in &mut self.queues {
            for job in queue.take_late(now, TURN) {
                let text = ensure::missing("stream", self.names.app(), name, queue.limits);
                job.answer.give(Err(Fault::Broken(text)));
            }
            if queue.ensuring || queue.look > now {
                continue;
            }
            (queue.ensuring, queue.again) = (true, false);
            let (asker, settings) = (self.asker.clone(), std::sync::Arc::clone(&self.settings));
            let (name, limits, epoch) = (name.clone(), queue.limits, self.connection.epoch);
            let worker = queue.declared.iter().any(|(origin, _)| !origin);
            let change = queue.declared.iter().any(|(origin, _)| *origin);
            tokio::spawn(async move {
                let mut outcome = ensure::ensure(&asker, &settings, &name, limits, change).await;
                if let (true, Ok(Some(present))) = (worker, &outcome)
                    && let Err(fault) = ensure::check_worker(&asker, &name, *present).await
                {
                    outcome = Err(fault);
                }
                let _ = asker.commands.send(Command::Ensured { queue: name, epoch, outcome });
            });
        }
    }

    pub(super) fn ensured(&mut self, name: &str, epoch: u64, outcome: Result<Option<Present>, Fault>) {
        if epoch != self.connection.epoch || !self.connection.up {
            return;
        }
        let now = Instant::now();
        let watch = self.settings.lease.max(POLL);
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.ensuring = false;
        if queue.again {
            // The limits were declared after that look had begun.
            queue.look = now;
            return self.look_at_queues(now);
        }
        let before = queue.present;
        let incarnation = |present: Option<Present>| present.map(|present| present.incarnation);
        if let Ok(present) = &outcome {
            queue.present = *present;
        }
        let there = queue.present.is_some();
        let absent = match &outcome {
            Ok(present) => present.is_none(),
            // A process that has declared limits, and may not make the queue.
            Err(Fault::Broken(_)) => true,
            Err(_) => queue.absent,
        };
        let newly_absent = absent && before.is_some() && !queue.absent;
        queue.absent = absent;
        queue.missed = if matches!(outcome, Ok(None)) { queue.missed.saturating_add(1) } else { 0 };
        // A process without a right asks seldom, and one that waits for a queue often.
        queue.look = now
            + match queue.missed {
                0 => watch,
                missed => LOOK.saturating_mul(1 << (missed - 1).min(10)).min(LONGEST_LOOK),
            };
        if there {
            queue.pause = None;
        }
        if incarnation(before) != incarnation(queue.present) {
            // They went to a consumer that is not there any more.
            queue.pulls.clear();
            queue.first_pull = self.last_pull + 1;
        }
        let mut declared = std::mem::take(&mut queue.declared);
        let denied = self.connection.deaf.is_some() || self.connection.worker_denied.is_some();
        if matches!(outcome, Ok(None)) && !denied {
            // A worker's answer waits for the queue.
            let (answered, waits) = declared.into_iter().partition(|(origin, _)| *origin);
            (declared, queue.declared) = (answered, waits);
        }
        queue.release(there);
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) if queue.missed == 1 => tracing::warn!(
                queue = name,
                "heirloom-nats: the queue is not there; an origin makes it, or `heirloom-nats setup`"
            ),
            Ok(None) => {}
            Err(fault) if before.is_some() => tracing::warn!(queue = name, %fault, "heirloom-nats: the queue is lost"),
            Err(fault) => tracing::debug!(queue = name, %fault, "heirloom-nats: the queue cannot be used"),
        }
        let unused = outcome.is_err() && before.is_none() && queue.is_unused();
        let answer = outcome.map(drop);
        for (origin, one) in declared {
            let role = if origin { &self.connection.origin_denied } else { &self.connection.worker_denied };
            // Without its inbox the process has had no answer at all.
            let denied = self.connection.deaf.as_ref().or(role.as_ref().filter(|_| answer.is_ok()));
            one.give(denied.map_or_else(|| answer.clone(), |words| Err(Fault::NotAllowed(words.clone()))));
        }
        if unused {
            self.queues.remove(name);
        }
        let after = self.queues.get(name).and_then(|queue| queue.present);
        let lost = before.is_some() && after.is_some() && incarnation(before) != incarnation(after);
        if self.connection.restoring.is_some() {
            self.restore_if_all_are_there();
        } else if lost {
            // The jobs of the old stream are lost, and the origin knows one way to learn of it.
            self.notify_lost();
            self.restored();
        } else if newly_absent {
            self.inbox.absent(name);
        }
    }

    /// The server has reported an error in words.
    fn server_error(&mut self, text: &str) {
        let Some(denied) = Denied::read(text) else { return self.note_error(text) };
        let words = denied.words();
        let waiting = if denied.publish { self.pending.take_subject(denied.subject) } else { Vec::new() };
        if !denied.publish && denied.subject == self.names.inbox() {
            self.connection.deaf = Some(words.clone());
            self.pending.take_all().into_iter().for_each(|waiting| waiting.kind.fail(Fault::NotAllowed(words.clone())));
        } else if !denied.publish && denied.subject == self.names.to(&self.me) {
            self.direct = None;
            self.connection.origin_denied = Some(words);
        } else if !denied.publish && denied.subject == self.names.stop(&self.me) {
            self.connection.worker_denied = Some(words);
        } else if waiting.is_empty() {
            self.pull_denied(denied.subject);
            tracing::error!("heirloom-nats: this process has no right to {words}; ask the operator for it");
        } else {
            waiting.into_iter().for_each(|waiting| waiting.kind.fail(Fault::NotAllowed(words.clone())));
        }
    }

    /// Logs an error of the connection, once for each run of equal ones.
    fn note_error(&mut self, text: &str) {
        if self.connection.last_error != text {
            self.connection.last_error = text.into();
            tracing::warn!("heirloom-nats: {}: {text}", self.shared.servers);
        }
    }
}

/// Drops all messages that are there: not only as many as the task's budget has left.
fn empty(messages: &mut (impl Stream + Unpin)) {
    while tokio::task::unconstrained(messages.next()).now_or_never().flatten().is_some() {}
}

/// A missing right, as the server reports it: `Permissions Violation for Publish to "subject"`.
struct Denied<'a> {
    publish: bool,
    subject: &'a str,
}

impl<'a> Denied<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let start = text.to_ascii_lowercase().find("permissions violation for ")? + "permissions violation for ".len();
        let rest = text.get(start..)?;
        let publish = rest.get(..7)?.eq_ignore_ascii_case("publish");
        let subject = rest.split('"').nth(1)?;
        Some(Self { publish, subject })
    }

    fn words(&self) -> String {
        format!("{} to `{}`", if self.publish { "publish" } else { "subscribe" }, self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::empty;

    #[test]
    fn an_inbox_is_emptied_whatever_the_budget_of_the_task_has_left() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..10_000).for_each(|message| sender.send(message).unwrap());
            empty(&mut futures_util::stream::poll_fn(|cx| receiver.poll_recv(cx)));
            assert_eq!(receiver.len(), 0);
        });
    }
}
