//! [`Queue`]: the driver's state of one queue.

use std::collections::{BTreeMap, VecDeque};
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
    /// The inbox knows that the queue was there, and is not.
    pub(super) absent: bool,
    /// Jobs that wait for the queue to be there.
    pub(super) parked: VecDeque<Published>,
    /// The first of these, which a look has found the queue for.
    pub(super) released: usize,
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
            absent: false,
            parked: VecDeque::new(),
            released: 0,
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
        let parked = self.parked.front().map(|job| if self.released > 0 { now } else { job.until });
        [lost, pause, parked, (!self.ensuring).then_some(self.look)].into_iter().flatten().min()
    }

    /// Returns whether no call waits for the queue to be there.
    pub(super) fn is_unused(&self) -> bool {
        self.wanted == 0 && self.parked.is_empty()
    }

    /// Adds a job that waits for a look.
    pub(super) fn park(&mut self, job: Published) {
        self.parked.push_back(job);
    }

    /// Adds a job behind the released ones.
    pub(super) fn park_released(&mut self, job: Published) {
        self.parked.insert(self.released, job);
        self.released += 1;
    }

    /// Notes whether a look has found the queue: then the jobs that wait for it may be sent.
    pub(super) fn release(&mut self, found: bool) {
        self.released = if found { self.parked.len() } else { 0 };
    }

    /// Takes out released jobs, up to so many.
    pub(super) fn take_released(&mut self, most: usize) -> Vec<Published> {
        let taken = self.released.min(most);
        self.released -= taken;
        self.parked.drain(..taken).collect()
    }

    /// Takes out the jobs that have waited for a look too long, up to so many.
    pub(super) fn take_late(&mut self, now: Instant, most: usize) -> Vec<Published> {
        let waits = self.parked.iter().take_while(|job| self.released == 0 && job.until <= now);
        let late = waits.take(most).count();
        self.parked.drain(..late).collect()
    }

    /// Plans a look at the queue.
    pub(super) fn look_within(&mut self, now: Instant, time: Duration) {
        self.look = self.look.min(now + time);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use heirloom::remote::engine::{Answer, Bytes};

    use super::{Published, Queue};

    fn job(name: &str, until: Instant) -> Published {
        let (queue, subject, headers) = ("q".into(), name.into(), Vec::new());
        Published { queue, subject, headers, body: Bytes::new(), until, answer: Answer::ignored() }
    }

    fn names(jobs: Vec<Published>) -> String {
        jobs.into_iter().map(|job| job.subject).collect()
    }

    #[test]
    fn jobs_that_wait_for_a_queue_leave_in_their_order_a_few_at_a_time() {
        let now = Instant::now();
        let mut queue = Queue::new("q", now);
        ["a", "b", "c", "d"].into_iter().for_each(|name| queue.park(job(name, now)));
        assert_eq!(names(queue.take_released(9)), "", "no look has found the queue");
        queue.release(true);
        assert_eq!(names(queue.take_released(3)), "abc");
        // A job without a stream waits for the next look, and later sends pass it.
        queue.park(job("no stream", now));
        queue.park_released(job("e", now));
        assert!(queue.next_due(now) <= Some(now));
        assert_eq!(names(queue.take_released(9)), "de");
        queue.release(false);
        assert_eq!(names(queue.take_released(9)), "");
        queue.release(true);
        assert_eq!(names(queue.take_released(9)), "no stream");
    }

    #[test]
    fn a_job_whose_queue_is_found_in_time_is_never_late() {
        let now = Instant::now();
        let mut queue = Queue::new("q", now);
        let later = now + Duration::from_secs(9);
        [("a", now), ("b", now), ("c", later)].into_iter().for_each(|(name, until)| queue.park(job(name, until)));
        assert_eq!(names(queue.take_late(now, 1)), "a");
        queue.release(true);
        assert_eq!(names(queue.take_late(later, 9)), "");
        queue.release(false);
        assert_eq!(names(queue.take_late(now, 9)), "b");
    }
}
