//! [`Queue`]: the driver's state of one queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, QueueLimits};

use crate::driver::ensure::Present;
use crate::driver::pending::Published;

/// The driver's state of one queue.
pub(super) struct Queue {
    pub(super) name: Arc<str>,
    /// The limits that this process has declared.
    pub(super) limits: Option<QueueLimits>,
    /// The queue as it was seen last. `None`: it is not there.
    pub(super) present: Option<Present>,
    /// A task looks for the queue now.
    pub(super) ensuring: bool,
    /// The limits have changed since that task began.
    pub(super) again: bool,
    /// The answers of declarations, with whether an origin has declared.
    pub(super) declared: Vec<(bool, Answer<()>)>,
    /// The time of the next look.
    pub(super) look: Instant,
    /// Looks in a row that did not find the queue.
    pub(super) missed: u32,
    /// Jobs that wait for the queue to be there.
    pub(super) parked: Vec<Published>,
    /// The deliveries that the worker wants.
    pub(super) wanted: usize,
    /// The open requests for deliveries, by number.
    pub(super) pulls: BTreeMap<u64, Pull>,
    /// The number of the first request that this list may have: earlier ones are lost.
    pub(super) first_pull: u64,
    /// No request is sent until then.
    pub(super) pause: Option<Instant>,
}

/// An open request for deliveries.
pub(super) struct Pull {
    /// The deliveries that are left of it.
    pub(super) left: usize,
    /// The time after which it counts as lost.
    pub(super) lost: Instant,
}

impl Queue {
    pub(super) fn new(name: &str, now: Instant) -> Self {
        Self {
            name: name.into(),
            limits: None,
            present: None,
            ensuring: false,
            again: false,
            declared: Vec::new(),
            look: now,
            missed: 0,
            parked: Vec::new(),
            wanted: 0,
            pulls: BTreeMap::new(),
            first_pull: 0,
            pause: None,
        }
    }

    /// Notes a delivery. It does not name its request, so it counts as one of the oldest request's.
    pub(super) fn delivered(&mut self) {
        self.take_open(1);
        self.wanted = self.wanted.saturating_sub(1);
    }

    /// Notes that a request has ended with so many deliveries left, as the server says; `None` where it does not.
    pub(super) fn ended(&mut self, number: u64, left: Option<usize>) {
        if number < self.first_pull {
            return;
        }
        // Deliveries of this request may have been counted for older ones, and those of others for this one.
        let counted = self.pulls.remove(&number).map_or(0, |pull| pull.left);
        let left = left.unwrap_or(counted.max(1));
        if left > counted {
            self.take_open(left - counted);
        } else if let Some(mut first) = self.pulls.first_entry() {
            first.get_mut().left += counted - left;
        }
    }

    /// Takes deliveries from the oldest requests.
    fn take_open(&mut self, mut deliveries: usize) {
        while let Some(mut first) = self.pulls.first_entry() {
            let taken = first.get().left.min(deliveries);
            first.get_mut().left -= taken;
            deliveries -= taken;
            if first.get().left > 0 {
                return;
            }
            first.remove();
        }
    }

    /// Returns the deliveries that are asked for.
    fn open(&self) -> usize {
        self.pulls.values().map(|pull| pull.left).sum()
    }

    /// Drops the requests that the server has lost.
    pub(super) fn expire(&mut self, now: Instant) {
        // Later requests are lost later.
        while self.pulls.first_entry().is_some_and(|first| first.get().lost <= now) {
            self.pulls.pop_first();
        }
    }

    /// Returns the number of deliveries to ask for now.
    pub(super) fn missing(&self, now: Instant) -> usize {
        if self.present.is_none() || self.pause.is_some_and(|until| until > now) { 0 } else { self.lacking() }
    }

    /// Returns the deliveries that are wanted and not asked for; 0 while at least half are. So one request serves several jobs.
    fn lacking(&self) -> usize {
        let open = self.open();
        let lacking = self.wanted.saturating_sub(open);
        if lacking > open { lacking } else { 0 }
    }

    /// Returns the time at which [`expire`](Self::expire) or [`missing`](Self::missing) has something to do.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let lost = self.pulls.first_key_value().map(|(_, pull)| pull.lost);
        let pause = self.pause.filter(|until| *until > now && self.lacking() > 0);
        let parked = self.parked.first().map(|job| job.until);
        [lost, pause, parked, (!self.ensuring).then_some(self.look)].into_iter().flatten().min()
    }

    /// Returns whether no call waits for the queue to be there.
    pub(super) fn is_unused(&self) -> bool {
        self.wanted == 0 && self.parked.is_empty()
    }

    /// Plans a look at the queue.
    pub(super) fn look_within(&mut self, now: Instant, time: Duration) {
        self.look = self.look.min(now + time);
    }
}
