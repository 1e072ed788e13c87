//! Requests for deliveries, and the deliveries that come.
//!
//! One request is for as many deliveries as the worker has free permits, and the next one follows when fewer than half of the
//! free permits are asked for. So a job finds an open request, and a request serves several jobs. The deliveries that are left of
//! a request are counted here; where the request ends, the server says how many it has counted.

use std::time::{Duration, Instant};

use async_nats::{Message, StatusCode};
use heirloom::remote::engine::Delivery;

use crate::driver::Driver;
use crate::driver::deliveries::Unsettled;
use crate::driver::queue::Pull;
use crate::names::read_acknowledgement;

/// The time that the server keeps a request.
const EXPIRES: Duration = Duration::from_secs(10);
/// The header with the deliveries that are left of a request that ends.
const LEFT: &str = "Nats-Pending-Messages";
/// The time after which a request without an end counts as lost.
const LOST: Duration = Duration::from_secs(11);
/// The time without requests after a refused one.
const PAUSE: Duration = Duration::from_millis(250);

impl Driver {
    pub(super) fn pull(&mut self, name: &str, jobs: usize) {
        if crate::names::fits(name) {
            let queue = self.queue(name);
            queue.wanted = queue.wanted.saturating_add(jobs);
        }
    }

    /// Forgets what the worker wants. The open requests end by themselves, and the inbox gives back what they bring.
    pub(super) fn stop_pulling(&mut self, name: &str) {
        if let Some(queue) = self.queues.get_mut(name) {
            queue.wanted = 0;
        }
    }

    /// Returns whether the server may have delivered jobs to this process.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.deliveries.is_empty() || self.queues.values().any(|queue| !queue.pulls.is_empty())
    }

    /// Sends the requests that are missing.
    pub(super) fn fill_pulls(&mut self, now: Instant) {
        if !self.connection.is_ready() {
            return;
        }
        for (name, queue) in &mut self.queues {
            queue.expire(now);
            let (missing, Some(present)) = (queue.missing(now), queue.present) else { continue };
            if missing == 0 {
                continue;
            }
            let (stream, consumer) = (self.names.stream(name), present.incarnation.consumer());
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
            let body = format!("{{\"batch\":{missing},\"expires\":{}}}", EXPIRES.as_nanos());
            self.last_pull += 1;
            queue.pulls.insert(self.last_pull, Pull { left: missing, lost: now + LOST });
            let inbox = self.names.pull(name, self.last_pull);
            self.outbox.send(subject, Some(inbox), None, body.into());
        }
    }

    /// A request has ended before its last delivery.
    pub(super) fn pull_ended(&mut self, name: &str, number: u64, message: &Message) {
        let now = Instant::now();
        let Some(queue) = self.queues.get_mut(name) else { return };
        match message.status {
            // A sign of life within a request.
            Some(StatusCode::IDLE_HEARTBEAT) => return,
            // The request's time is over.
            Some(StatusCode::TIMEOUT) => {}
            _ => {
                let why = message.description.as_deref().unwrap_or("no consumer");
                tracing::debug!(queue = name, why, "heirloom-nats: a request for a job is refused");
                queue.pause = Some(now + PAUSE);
                queue.look_within(now, PAUSE);
            }
        }
        let left = message.headers.as_ref().and_then(|headers| headers.get(LEFT)?.as_str().parse().ok());
        queue.ended(number, left);
    }

    /// The process may not ask for deliveries.
    pub(super) fn pull_denied(&mut self, subject: &str) {
        let now = Instant::now();
        for (name, queue) in &mut self.queues {
            let Some(present) = queue.present else { continue };
            let (stream, consumer) = (self.names.stream(name), present.incarnation.consumer());
            if subject == format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}") {
                queue.pulls.clear();
                queue.pause = Some(now + self.settings.lease);
            }
        }
    }

    /// A job is delivered.
    pub(super) fn delivered(&mut self, message: Message) {
        // Without a connection it may be another worker's by now.
        let Some(reply) = message.reply.filter(|_| self.connection.is_up()) else { return };
        let prefix = format!("hl.{}.job.", self.names.app());
        let name = message.subject.strip_prefix(&*prefix).and_then(|rest| rest.split('.').next());
        let queue = name.and_then(|name| self.queues.get_mut(name));
        let (Some(queue), Some(from)) = (queue, read_acknowledgement(&reply)) else {
            tracing::debug!(subject = %message.subject, "heirloom-nats: an unknown message is dropped");
            return;
        };
        queue.delivered();
        let name = queue.name.clone();
        let ack_wait = queue.present.map_or(self.settings.lease, |present| present.ack_wait);
        let unsettled = Unsettled {
            queue: name.clone(),
            reply: reply.to_string(),
            incarnation: from.incarnation,
            ack_wait,
            signed: Instant::now(),
            doubtful: false,
            end: None,
        };
        let id = self.deliveries.add(unsettled);
        self.plan_sign(ack_wait);
        let mut headers = Vec::new();
        for (name, values) in message.headers.iter().flat_map(async_nats::HeaderMap::iter) {
            let name: &str = name.as_ref();
            headers.extend(values.iter().map(|value| (name.to_string(), value.as_str().to_string())));
        }
        let receipt = from.incarnation.receipt(from.number);
        let delivery = Delivery { id, queue: name, receipt, count: from.count, headers, body: message.payload };
        self.inbox.delivered(delivery);
    }
}
