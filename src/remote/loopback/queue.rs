//! [`Queue`]: the messages of one name, their deliveries, and the ends that ask for more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::wire::address::{JobId, ProcessId};
use crate::wire::engine::{Delivery, DeliveryId, Depth, QueueLimits, Receipt};

/// How many texts of messages a queue remembers, to drop a second copy.
const REMEMBERED: usize = 1024;

pub(super) struct Message {
    pub(super) job: JobId,
    /// One more than the number of ends that died with it.
    pub(super) count: u64,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// An unsettled delivery.
struct Out {
    receipt: u64,
    message: Message,
    end: u64,
    since: Instant,
}

pub(super) struct Queue {
    limits: QueueLimits,
    /// By receipt, so that a message that comes back is the first again.
    waiting: BTreeMap<u64, Message>,
    out: HashMap<u64, Out>,
    /// The ends that ask for deliveries, and for how many. They take turns.
    pulls: VecDeque<(u64, usize)>,
    seen: HashMap<String, Receipt>,
    seen_order: VecDeque<String>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            limits: QueueLimits { running: usize::MAX, queued: None },
            waiting: BTreeMap::new(),
            out: HashMap::new(),
            pulls: VecDeque::new(),
            seen: HashMap::new(),
            seen_order: VecDeque::new(),
        }
    }

    pub(super) fn limit(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    pub(super) fn is_full(&self) -> bool {
        self.limits.queued.is_some_and(|most| self.waiting.len() >= most)
    }

    /// Returns the receipt of the message that was published under this text.
    pub(super) fn seen(&self, text: &str) -> Option<Receipt> {
        self.seen.get(text).copied()
    }

    pub(super) fn add(&mut self, receipt: u64, text: String, message: Message) {
        if self.seen_order.len() >= REMEMBERED
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(text.clone(), Receipt(receipt));
        self.seen_order.push_back(text);
        self.waiting.insert(receipt, message);
    }

    /// Takes out the message of this receipt; without one, the newest message of the job.
    pub(super) fn withdraw(&mut self, job: &JobId, receipt: Option<Receipt>) -> Option<Message> {
        let newest = || self.waiting.iter().rfind(|(_, message)| message.job == *job).map(|(receipt, _)| *receipt);
        let receipt = receipt.map(|receipt| receipt.0).or_else(newest)?;
        self.waiting.remove(&receipt)
    }

    /// Returns the numbers of the process's jobs.
    pub(super) fn jobs(&self, origin: &ProcessId) -> Vec<u64> {
        let all = self.waiting.values().chain(self.out.values().map(|out| &out.message));
        all.filter(|message| message.job.origin == *origin).map(|message| message.job.number).collect()
    }

    pub(super) fn pull(&mut self, end: u64, jobs: usize) {
        match self.pulls.iter_mut().find(|(of, _)| *of == end) {
            Some((_, open)) => *open = open.saturating_add(jobs),
            None => self.pulls.push_back((end, jobs)),
        }
    }

    pub(super) fn stop_pulling(&mut self, end: u64) {
        self.pulls.retain(|(of, _)| *of != end);
    }

    /// Takes the next message that may be delivered, for the next end that asks and is there.
    pub(super) fn next(
        &mut self,
        name: &std::sync::Arc<str>,
        id: u64,
        is_there: impl Fn(u64) -> bool,
    ) -> Option<(u64, Delivery)> {
        if self.out.len() >= self.limits.running || self.waiting.is_empty() {
            return None;
        }
        let at = self.pulls.iter().position(|(end, open)| *open > 0 && is_there(*end))?;
        let (end, open) = self.pulls.remove(at)?;
        if open > 1 {
            self.pulls.push_back((end, open - 1));
        }
        let (receipt, message) = self.waiting.pop_first()?;
        let delivery = Delivery {
            id: DeliveryId(id),
            queue: name.clone(),
            receipt: Receipt(receipt),
            count: message.count,
            headers: message.headers.clone(),
            body: message.body.clone(),
        };
        self.out.insert(id, Out { receipt, message, end, since: Instant::now() });
        Some((end, delivery))
    }

    /// Ends a delivery. Returns whether it was one.
    pub(super) fn settle(&mut self, id: u64, give_back: bool) -> bool {
        let Some(out) = self.out.remove(&id) else { return false };
        if give_back {
            self.waiting.insert(out.receipt, out.message);
        }
        true
    }

    /// Takes a delivery from an end that was silent for a lease.
    pub(super) fn expire(&mut self, id: u64) {
        if let Some(out) = self.out.remove(&id) {
            self.waiting.insert(out.receipt, Message { count: out.message.count + 1, ..out.message });
        }
    }

    /// Returns the end that has the delivery, and since when.
    pub(super) fn holder(&self, id: u64) -> Option<(u64, Instant)> {
        self.out.get(&id).map(|out| (out.end, out.since))
    }

    /// Returns the deliveries that an end has.
    pub(super) fn held_by(&self, end: u64) -> impl Iterator<Item = u64> {
        self.out.iter().filter(move |(_, out)| out.end == end).map(|(id, _)| *id)
    }

    /// Loses all messages. The open requests and the limits stay: the ends would make them again.
    pub(super) fn lose(&mut self) {
        let (limits, pulls) = (self.limits, std::mem::take(&mut self.pulls));
        *self = Self { limits, pulls, ..Self::new() };
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            queued: self.waiting.len() as u64,
            running: self.out.len() as u64,
            pulls: self.pulls.iter().fold(0, |sum, (_, open)| sum.saturating_add(*open as u64)),
        }
    }
}
