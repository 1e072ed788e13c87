//! Requests between processes, and broadcasts.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, StatusCode, Subject, Subscriber};
use futures_util::{FutureExt, StreamExt};
use heirloom::remote::ProcessId;
use heirloom::remote::engine::{Answer, Bytes, Fault};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::driver::Driver;
use crate::driver::command::Command;
use crate::driver::pending::{Kind, Waiting};
use crate::driver::together::{self, PARTS};

/// The header with the process that sends a request.
const FROM: &str = "Hl-From";
/// The longest time that a request may take.
const FOREVER: Duration = Duration::from_secs(86_400);
/// The time after which a request to the server counts as lost.
pub(super) const ASK: Duration = Duration::from_secs(1);

impl Driver {
    pub(super) fn become_origin(&mut self) {
        self.is_origin = true;
        self.listen();
    }

    /// Subscribes to this process's requests, if it is an origin, and has none yet.
    pub(super) fn listen(&mut self) {
        if self.is_origin && self.direct.is_none() && self.connection.origin_denied.is_none() {
            // A full channel is tried again.
            self.direct = self.client.subscribe(self.names.to(&self.me)).now_or_never().and_then(Result::ok);
        }
    }

    /// Tries whether this process may follow an origin. The server reports it if not.
    pub(super) fn become_worker(&mut self) {
        drop(self.client.subscribe(self.names.stop(&self.me)).now_or_never());
    }

    /// Sends a request of a task beside the driver to the server.
    pub(super) fn ask(&mut self, subject: String, body: Bytes, answer: oneshot::Sender<Result<Bytes, Fault>>) {
        let refused = if self.connection.is_up() { self.connection.deaf() } else { Some(Fault::Away) };
        if let Some(fault) = refused {
            return Kind::Ask(answer).fail(fault);
        }
        let token = self.pending.add(subject.clone(), Instant::now() + ASK, Kind::Ask(answer));
        self.outbox.send(subject, Some(self.names.reply(token)), None, body);
    }

    pub(super) fn request(&mut self, to: ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>) {
        let most = self.shared.max_payload();
        let bytes = message.len() + crate::driver::jobs::header_bytes(&[(FROM, self.me.as_str())]);
        if bytes > most {
            return answer.give(Err(Fault::TooLarge { bytes, most }));
        }
        if let Some(fault) = if self.connection.is_ready() { self.connection.deaf() } else { Some(Fault::Away) } {
            return answer.give(Err(fault));
        }
        self.requests.add(to, message, within, answer, most);
    }

    /// Sends the requests of this turn.
    pub(super) fn send_requests(&mut self) {
        for mut group in self.requests.take() {
            // A command of the same turn may have ended the connection.
            if !self.connection.is_ready() {
                group.answers.into_iter().for_each(|answer| answer.give(Err(Fault::Away)));
                continue;
            }
            let mut headers = HeaderMap::new();
            headers.insert(FROM, self.me.as_str());
            let (body, has_parts) = group.body();
            if has_parts {
                headers.insert(PARTS, "1");
            }
            let (subject, now) = (self.names.to(&group.to), Instant::now());
            let until = now.checked_add(group.within).unwrap_or(now + FOREVER);
            let kind = Kind::Request { within: group.within, answers: group.answers };
            let token = self.pending.add(subject.clone(), until, kind);
            self.outbox.send(subject, Some(self.names.reply(token)), Some(headers), body);
        }
    }

    /// An answer has come.
    pub(super) fn replied(&mut self, token: u64, message: Message) {
        let Some(waiting) = self.pending.take(token) else { return };
        let no_responders = message.status == Some(StatusCode::NO_RESPONDERS);
        match waiting.kind {
            Kind::Ask(answer) => {
                let _ = answer.send(if no_responders { Err(Fault::Gone) } else { Ok(message.payload) });
            }
            Kind::Job(job) => self.published(job, &message.payload, no_responders),
            Kind::Request { answers, .. } if no_responders => fail(answers, &Fault::Gone),
            Kind::Request { within, answers } => {
                // A request without an answer has its time all the same.
                let silent = answer(answers, message.payload);
                if !silent.is_empty() {
                    self.pending.add(waiting.subject, waiting.due, Kind::Request { within, answers: silent });
                }
            }
        }
    }

    /// The answer has not come in time.
    pub(super) fn late(&mut self, token: u64, waiting: Waiting, now: Instant) {
        match waiting.kind {
            Kind::Job(job) if job.until > now => self.send_job_again(token, job, now),
            Kind::Job(job) => job.answer.give(Err(Fault::NoAnswer(crate::driver::jobs::WITHIN))),
            Kind::Request { within, answers } => fail(answers, &Fault::NoAnswer(within)),
            kind @ Kind::Ask(_) => kind.fail(Fault::NoAnswer(ASK)),
        }
    }

    /// Another process has sent a request.
    pub(super) fn requested(&mut self, message: Message) {
        let from = message.headers.as_ref().and_then(|headers| headers.get(FROM));
        let (Some(from), Some(to)) = (from.and_then(|from| ProcessId::parse(from.as_str())), message.reply) else {
            tracing::debug!("heirloom-nats: a request without a sender is dropped");
            return;
        };
        let commands = &self.asker.commands;
        if message.headers.as_ref().is_some_and(|headers| headers.get(PARTS).is_some()) {
            let Some(parts) = together::split(&message.payload) else {
                return tracing::debug!("heirloom-nats: a request of another form is dropped");
            };
            let answers = together::answers(parts.len(), &to, commands);
            for (part, answer) in parts.into_iter().zip(answers) {
                // A part that is not there has its answer dropped.
                if let Some(part) = part {
                    self.inbox.requested(&from, part, answer);
                }
            }
            return;
        }
        let commands = commands.clone();
        let answer = Answer::new(move |outcome| {
            // A request without an answer is sent again.
            if let Ok(message) = outcome {
                let _ = commands.send(Command::Reply { to, message });
            }
        });
        self.inbox.requested(&from, message.payload, answer);
    }

    pub(super) fn reply(&mut self, to: Subject, message: Bytes) {
        self.outbox.send(to, None, None, message);
    }

    pub(super) fn broadcast(&mut self, message: Bytes) {
        if self.connection.is_up() {
            let subject = self.names.stop(&self.me);
            self.outbox.send(subject, None, None, message);
        }
    }

    pub(super) fn follow(&mut self, origin: ProcessId) {
        if self.followed.contains_key(&origin) {
            return;
        }
        let subject = self.names.stop(&origin);
        // Subscribed before a later command sends a message.
        let first = self.client.subscribe(subject.clone()).now_or_never();
        let (client, commands, from) = (self.client.clone(), self.asker.commands.clone(), origin.clone());
        let forward = tokio::spawn(async move {
            let subscribed = match first {
                Some(subscribed) => subscribed,
                None => client.subscribe(subject).await,
            };
            if let Ok(subscriber) = subscribed {
                forward(subscriber, &commands, &from).await;
            }
        });
        self.followed.insert(origin, forward);
    }

    pub(super) fn unfollow(&mut self, origin: &ProcessId) {
        if let Some(forward) = self.followed.remove(origin) {
            // The subscription ends with its task.
            forward.abort();
        }
    }
}

/// Gives the answers of one message. Returns those that the message does not have.
fn answer(mut answers: Vec<Answer<Bytes>>, message: Bytes) -> Vec<Answer<Bytes>> {
    if answers.len() == 1 {
        answers.remove(0).give(Ok(message));
        return answers;
    }
    let mut parts = together::split(&message).unwrap_or_default().into_iter();
    let mut silent = Vec::new();
    for answer in answers {
        match parts.next().flatten() {
            Some(part) => answer.give(Ok(part)),
            None => silent.push(answer),
        }
    }
    silent
}

fn fail(answers: Vec<Answer<Bytes>>, fault: &Fault) {
    answers.into_iter().for_each(|answer| answer.give(Err(fault.clone())));
}

/// Sends the broadcasts of a process to the driver.
async fn forward(mut subscriber: Subscriber, commands: &UnboundedSender<Command>, origin: &ProcessId) {
    while let Some(message) = subscriber.next().await {
        let forward = Command::Forward { origin: origin.clone(), message: message.payload };
        if commands.send(forward).is_err() {
            return;
        }
    }
}
