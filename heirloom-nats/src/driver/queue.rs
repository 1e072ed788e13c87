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
    /// Jobs that wait for the queue to be there.
    pub(super) parked: Vec<Published>,
    /// The deliveries that the worker wants.
    pub(super) wanted: usize,
    /// The open requests for one delivery each, by number, with the time after which one counts as lost.
    pub(super) pulls: BTreeMap<u64, Instant>,
    /// The number of the first request that this list may have: earlier ones are lost.
    pub(super) first_pull: u64,
    /// No request is sent until then.
    pub(super) pause: Option<Instant>,
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
            parked: Vec::new(),
            wanted: 0,
            pulls: BTreeMap::new(),
            first_pull: 0,
            pause: None,
        }
    }

    /// Notes a delivery, and returns whether the worker wants it.
    ///
    /// The server answers each request once, with a delivery or with a status. A delivery does not name its request, so it
    /// counts as the answer of the oldest one.
    pub(super) fn delivered(&mut self) -> bool {
        self.pulls.pop_first();
        let wanted = self.wanted > 0;
        self.wanted = self.wanted.saturating_sub(1);
        wanted
    }

    /// Notes that a request has ended without a delivery.
    pub(super) fn unanswered(&mut self, number: u64) {
        // An older delivery may have been counted for this very request.
        if self.pulls.remove(&number).is_none() && number >= self.first_pull {
            self.pulls.pop_first();
        }
    }

    /// Drops the requests that the server has lost.
    pub(super) fn expire(&mut self, now: Instant) {
        // Later requests are lost later.
        while self.pulls.first_entry().is_some_and(|first| *first.get() <= now) {
            self.pulls.pop_first();
        }
    }

    /// Returns the number of requests to send now.
    pub(super) fn missing(&self, now: Instant) -> usize {
        if self.present.is_none() || self.pause.is_some_and(|until| until > now) {
            return 0;
        }
        self.wanted.saturating_sub(self.pulls.len())
    }

    /// Returns the time at which [`expire`](Self::expire) or [`missing`](Self::missing) has something to do.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let lost = self.pulls.first_key_value().map(|(_, lost)| *lost);
        let pause = self.pause.filter(|until| *until > now && self.wanted > self.pulls.len());
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
