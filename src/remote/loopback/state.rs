//! [`State`]: all queues, ends and requests of one loopback engine. The broker has it behind its lock.
//!
//! No code of an end runs under that lock, and no answer is given or dropped there: both are [`Action`]s of the thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::end_state::EndState;
use super::op::{Action, Op};
use super::queue::{Message, Queue};
use crate::sync::os::{Arc, thread};
use crate::wire::address::{JobId, ProcessId};
use crate::wire::engine::{Answer, DeliveryId, QueueLimits, Receipt, Settlement};
use crate::wire::envelope::Envelope;
use crate::wire::fault::Fault;

/// Gives an end's response to a request: the end, the request, the bytes.
pub(super) type Respond = Arc<dyn Fn(u64, u64, Bytes) + Send + Sync>;

/// The settings of an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lease: Duration,
    pub(super) most_bytes: usize,
}

/// The life of the thread that delivers, as its callers see it.
pub(super) enum Deliverer {
    None,
    Works,
    Parks(thread::Thread),
}

pub(super) struct State {
    pub(super) deliverer: Deliverer,
    settings: Settings,
    respond: Respond,
    pub(super) ends: BTreeMap<u64, EndState>,
    pub(super) names: HashMap<ProcessId, u64>,
    pub(super) queues: HashMap<Arc<str>, Queue>,
    pub(super) requests: HashMap<u64, Pending>,
    timers: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    /// Actions that are held for no end.
    pub(super) loose: VecDeque<Action>,
    /// The last number: of ends, receipts, deliveries, requests.
    last: u64,
    /// The end whose action was the last one.
    turn: u64,
}

/// An open request.
pub(super) struct Pending {
    /// The end that asks.
    from: u64,
    answer: Answer<Bytes>,
    within: Duration,
    /// A response will not come any more.
    pub(super) lost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Request(u64),
    Lease { queue: Arc<str>, delivery: u64 },
}

impl State {
    pub(super) fn new(settings: Settings, respond: Respond) -> Self {
        Self {
            deliverer: Deliverer::None,
            settings,
            respond,
            ends: BTreeMap::new(),
            names: HashMap::new(),
            queues: HashMap::new(),
            requests: HashMap::new(),
            timers: BinaryHeap::new(),
            loose: VecDeque::new(),
            last: 0,
            turn: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Notes that an end is silent, or is not any more.
    pub(super) fn changed(&mut self, end: u64) {
        let Some(at) = self.ends.get_mut(&end) else { return };
        if !(at.paused || at.away || at.dead) {
            at.silent_since = None;
            for op in std::mem::take(&mut at.held) {
                self.call(end, op);
            }
            return self.dispatch_all();
        }
        if at.silent_since.is_none() {
            let now = Instant::now();
            at.silent_since = Some(now);
            let held: Vec<_> = self
                .queues
                .iter()
                .flat_map(|(name, queue)| queue.held_by(end).map(|delivery| (name.clone(), delivery)))
                .collect();
            for (queue, delivery) in held {
                self.timer(now + self.settings.lease, Due::Lease { queue, delivery });
            }
        }
    }

    fn timer(&mut self, at: Instant, due: Due) {
        let number = self.number();
        self.timers.push(Reverse((at, number, due)));
    }

    /// Gives an answer to an end. A dead end's code gets it too, for it runs on.
    fn answer<T: Send + 'static>(&mut self, end: u64, answer: Answer<T>, outcome: Result<T, Fault>) {
        let action: Action = Box::new(move || answer.give(outcome));
        match self.ends.get_mut(&end).filter(|end| !end.dead) {
            Some(end) => end.inbound.push_back(action),
            None => self.loose.push_back(action),
        }
    }

    pub(super) fn call(&mut self, end: u64, op: Op) {
        let Some(at) = self.ends.get_mut(&end) else { return self.drop_later(op) };
        if at.dead {
            return self.drop_later(op);
        }
        if at.paused {
            return at.held.push(op);
        }
        if at.away {
            return self.call_away(end, op);
        }
        match op {
            Op::Declare { queue, limits, answer } => {
                self.declare(&queue, limits);
                self.answer(end, answer, Ok(()));
            }
            Op::Publish { queue, job, answer } => {
                let outcome = self.publish(&queue, &job);
                self.answer(end, answer, outcome);
                self.dispatch(&queue);
            }
            Op::Withdraw { queue, job, receipt } => {
                let origin = self.ends.get(&end).and_then(|end| end.name.clone());
                let job = origin.map(|origin| JobId { origin, number: job });
                drop(job.and_then(|job| self.queue(&queue).withdraw(&job, receipt)));
            }
            Op::List { queue, answer } => {
                let of = self.ends.get(&end).and_then(|end| end.name.clone());
                let jobs = of.map_or_else(Vec::new, |of| self.queue(&queue).jobs(&of));
                self.answer(end, answer, Ok(jobs));
            }
            Op::Request { to, message, within, answer } => self.request(end, &to, message, within, answer),
            Op::Respond { request, bytes } => self.respond(request, bytes),
            Op::Broadcast(message) => self.broadcast(end, &message),
            Op::Settle(delivery, how) => self.settle(delivery, how),
            Op::Depth { queue, answer } => {
                let depth = self.queue(&queue).depth();
                self.answer(end, answer, Ok(depth));
            }
            op @ (Op::Follow(_) | Op::Unfollow(_) | Op::Pull { .. } | Op::StopPulling(_)) => self.wish(end, op),
        }
    }

    /// A call of an end without a connection. Its wishes are noted, its settlements held, and its requests fail.
    fn call_away(&mut self, end: u64, op: Op) {
        match op {
            Op::Declare { queue, limits, answer } => {
                self.declare(&queue, limits);
                self.answer(end, answer, Err(Fault::Away));
            }
            Op::Follow(_) | Op::Unfollow(_) | Op::Pull { .. } | Op::StopPulling(_) => self.wish(end, op),
            Op::Settle(..) => {
                if let Some(at) = self.ends.get_mut(&end) {
                    at.held.push(op);
                }
            }
            op => self.drop_later(op),
        }
    }

    /// Notes a wish of an end, which outlives its connection.
    fn wish(&mut self, end: u64, op: Op) {
        let Some(at) = self.ends.get_mut(&end) else { return };
        match op {
            Op::Follow(origin) => drop(at.follows.insert(origin)),
            Op::Unfollow(origin) => drop(at.follows.remove(&origin)),
            Op::Pull { queue, jobs } => {
                self.queue(&queue).pull(end, jobs);
                self.dispatch(&queue);
            }
            Op::StopPulling(queue) => self.queue(&queue).stop_pulling(end),
            op => self.drop_later(op),
        }
    }

    /// Drops a call on the thread, where its answer is [`Fault::Away`].
    fn drop_later(&mut self, op: Op) {
        self.loose.push_back(Box::new(move || drop(op)));
    }

    fn queue(&mut self, name: &Arc<str>) -> &mut Queue {
        self.queues.entry(name.clone()).or_insert_with(Queue::new)
    }

    fn declare(&mut self, queue: &Arc<str>, limits: Option<QueueLimits>) {
        let at = self.queue(queue);
        if let Some(limits) = limits {
            at.limit(limits);
            self.dispatch(queue);
        }
    }

    fn publish(&mut self, queue: &Arc<str>, job: &Envelope) -> Result<Receipt, Fault> {
        let headers: Vec<_> = job.headers().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        let bytes = headers.iter().fold(job.body().len(), |sum, (key, value)| sum + key.len() + value.len());
        let most = self.settings.most_bytes;
        if bytes > most {
            return Err(Fault::TooLarge { bytes, most });
        }
        let text = job.dedup();
        let number = self.number();
        let at = self.queue(queue);
        if let Some(receipt) = at.seen(&text) {
            return Ok(receipt);
        }
        if at.is_full() {
            return Err(Fault::Full);
        }
        at.add(number, text, Message { job: job.id().clone(), count: 1, headers, body: job.body().clone() });
        Ok(Receipt(number))
    }

    fn request(&mut self, from: u64, to: &ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>) {
        if message.len() > self.settings.most_bytes {
            let fault = Fault::TooLarge { bytes: message.len(), most: self.settings.most_bytes };
            return self.answer(from, answer, Err(fault));
        }
        let sender = self.ends.get(&from).and_then(|end| end.name.clone());
        let target = self.names.get(to).copied().filter(|end| self.ends.get(end).is_some_and(EndState::is_there));
        let (Some(sender), Some(target)) = (sender, target) else {
            return self.answer(from, answer, Err(Fault::Gone));
        };
        let request = self.number();
        self.requests.insert(request, Pending { from, answer, within, lost: false });
        self.timer(Instant::now() + within, Due::Request(request));
        let respond = Arc::clone(&self.respond);
        let respond = Answer::new(move |outcome| {
            // An answer that is dropped never comes, as over a network.
            if let Ok(bytes) = outcome {
                respond(target, request, bytes);
            }
        });
        if let Some(end) = self.ends.get_mut(&target) {
            end.push(move |inbox| inbox.requested(&sender, message, respond));
        }
    }

    fn respond(&mut self, request: u64, bytes: Bytes) {
        let arrives = |pending: &Pending| !pending.lost && self.ends.get(&pending.from).is_some_and(EndState::is_there);
        if self.requests.get(&request).is_some_and(arrives)
            && let Some(pending) = self.requests.remove(&request)
        {
            self.answer(pending.from, pending.answer, Ok(bytes));
        }
    }

    fn broadcast(&mut self, from: u64, message: &Bytes) {
        let Some(sender) = self.ends.get(&from).and_then(|end| end.name.clone()) else { return };
        for end in self.ends.values_mut().filter(|end| end.is_there() && end.follows.contains(&sender)) {
            let (sender, message) = (sender.clone(), message.clone());
            end.push(move |inbox| inbox.broadcast(&sender, message));
        }
    }

    fn settle(&mut self, delivery: DeliveryId, how: Settlement) {
        let mut of = None;
        for (name, queue) in &mut self.queues {
            if queue.settle(delivery.0, how == Settlement::GiveBack) {
                of = Some(name.clone());
                break;
            }
        }
        if let Some(name) = of {
            self.dispatch(&name);
        }
    }

    fn dispatch_all(&mut self) {
        let names: Vec<_> = self.queues.keys().cloned().collect();
        names.iter().for_each(|name| self.dispatch(name));
    }

    /// Delivers what may be delivered.
    fn dispatch(&mut self, name: &Arc<str>) {
        loop {
            let id = self.number();
            let ends = &self.ends;
            let Some(queue) = self.queues.get_mut(name) else { return };
            let is_there = |end| ends.get(&end).is_some_and(EndState::is_there);
            let Some((end, delivery)) = queue.next(name, id, is_there) else { return };
            let Some(at) = self.ends.get_mut(&end) else { continue };
            at.push(move |inbox| inbox.delivered(delivery));
            if at.silent_since.is_some() {
                self.timer(Instant::now() + self.settings.lease, Due::Lease { queue: name.clone(), delivery: id });
            }
        }
    }

    /// Does what is due.
    pub(super) fn fire(&mut self, now: Instant) {
        while let Some(Reverse((at, _, _))) = self.timers.peek()
            && *at <= now
            && let Some(Reverse((_, _, due))) = self.timers.pop()
        {
            match due {
                Due::Request(request) => {
                    if let Some(pending) = self.requests.remove(&request) {
                        self.answer(pending.from, pending.answer, Err(Fault::NoAnswer(pending.within)));
                    }
                }
                Due::Lease { queue, delivery } => self.lease_over(&queue, delivery, now),
            }
        }
    }

    /// Delivers again if the holder was silent for a lease.
    fn lease_over(&mut self, name: &Arc<str>, delivery: u64, now: Instant) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        let Some((end, since)) = queue.holder(delivery) else { return };
        let silent = self.ends.get(&end).map_or(Some(since), |end| end.silent_since);
        if silent.is_some_and(|silent| silent.max(since) + self.settings.lease <= now) {
            queue.expire(delivery);
            self.dispatch(name);
        }
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes the next action. The ends take turns, and a paused end has none.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        if let Some(action) = self.loose.pop_front() {
            return Some(action);
        }
        let ready = |(_, end): &(&u64, &EndState)| !end.paused && !end.inbound.is_empty();
        let after = (std::ops::Bound::Excluded(self.turn), std::ops::Bound::Unbounded);
        let next = self.ends.range(after).find(ready).or_else(|| self.ends.iter().find(ready));
        self.turn = next.map(|(end, _)| *end)?;
        self.ends.get_mut(&self.turn)?.inbound.pop_front()
    }
}
