//! [`Capacity`]: the free capacity of a bounded queue, with the submitters that wait for it.
//!
//! # The race to fear
//! A submitter looks, finds nothing free, and parks just after some capacity became free. The race cannot happen: the submitter
//! registers first, then looks; a release counts first, then looks whether a waiter is registered. All four steps are
//! sequentially consistent, so one of the two sees the other.
//!
//! A cancelled task releases its capacity when it is cancelled: see `evict`.
//!
//! A notify reserves nothing: another submitter may acquire the capacity that a waiter was notified of, and the waiter goes on
//! waiting then. A notified waiter that leaves without looking notifies the next one. A waiter of a poll may stay
//! registered without looking, so it is woken beside the waiter that is notified, and not in its place.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use crate::sync::os::{AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::swallow;

/// The free capacity of a bounded queue.
pub(crate) struct Capacity {
    free: AtomicUsize,
    /// The number of registered waiters; changed under the lock of `waiters`.
    waiting: AtomicUsize,
    /// The waiting submitters, in the order of asking, and so of their numbers.
    waiters: Mutex<VecDeque<Registered>>,
}

struct Registered {
    number: u64,
    /// Whether the waiter may never look, so that it does not count among the waiters to notify.
    may_idle: bool,
    state: WaiterState,
}

/// The stage of a waiter.
enum WaiterState {
    /// To be notified; without a waker, it is about to look.
    Waiting(Option<Waker>),
    /// Capacity became free since its last look.
    Notified,
}

impl WaiterState {
    /// Marks the waiter notified. Returns its waker, if it was not notified before.
    fn notify(&mut self) -> Option<Option<Waker>> {
        match mem::replace(self, Self::Notified) {
            Self::Waiting(waker) => Some(waker),
            Self::Notified => None,
        }
    }
}

impl Capacity {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: AtomicUsize::new(limit), waiting: AtomicUsize::new(0), waiters: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn try_acquire(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    pub(crate) fn has_some(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }

    /// Releases the capacity of one task. The caller [notifies](Self::notify_one) the next waiter.
    pub(crate) fn count_one(&self) {
        self.free.fetch_add(1, Ordering::SeqCst);
    }

    /// Notifies the first waiter that is not notified yet. Costs one load without a waiter.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify(1);
        }
    }

    /// Notifies all waiters.
    pub(crate) fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    #[cold]
    fn notify(&self, most: usize) {
        let mut waiters = self.waiters.lock();
        let (mut notified, mut left) = (Vec::new(), most);
        for waiter in waiters.iter_mut() {
            if left == 0 {
                break;
            }
            if let Some(waker) = waiter.state.notify() {
                notified.push(waker);
                left -= usize::from(!waiter.may_idle);
            }
        }
        drop(waiters);
        // Outside the lock: wakers are user code.
        for waker in notified.into_iter().flatten() {
            swallow(|| waker.wake());
        }
    }

    /// Registers the caller behind all other waiters.
    pub(crate) fn register(&self) -> Waiter<'_> {
        self.register_as(false)
    }

    /// The same for a caller that may stay registered without looking. A notify of it notifies the next waiter, too.
    pub(crate) fn register_poll(&self) -> Waiter<'_> {
        self.register_as(true)
    }

    fn register_as(&self, may_idle: bool) -> Waiter<'_> {
        let mut waiters = self.waiters.lock();
        let number = waiters.back().map_or(0, |last| last.number + 1);
        waiters.push_back(Registered { number, may_idle, state: WaiterState::Waiting(None) });
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(waiters);
        Waiter { capacity: self, number }
    }
}

/// A registered waiter. Dropping it removes it; a notified one passes the notify on.
pub(crate) struct Waiter<'a> {
    pub(crate) capacity: &'a Capacity,
    number: u64,
}

impl Waiter<'_> {
    /// Withdraws an earlier notify. The caller is about to look, and so sees the capacity of that notify.
    pub(crate) fn rearm(&self) {
        drop(self.change(|state| mem::replace(state, WaiterState::Waiting(None))));
    }

    /// Returns whether the waiter is notified; otherwise keeps the waker for the notify.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        // Outside the lock: a waker's clone and drop are user code, too.
        let new = waker.clone();
        let before = self.change(|state| match state {
            WaiterState::Waiting(waker) => Some(waker.replace(new)),
            WaiterState::Notified => None,
        });
        !matches!(before, Some(Some(_)))
    }

    fn change<R>(&self, f: impl FnOnce(&mut WaiterState) -> R) -> Option<R> {
        let mut waiters = self.capacity.waiters.lock();
        let at = self.position(&waiters)?;
        waiters.get_mut(at).map(|waiter| f(&mut waiter.state))
    }

    fn position(&self, waiters: &VecDeque<Registered>) -> Option<usize> {
        waiters.binary_search_by_key(&self.number, |waiter| waiter.number).ok()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let state = {
            let mut waiters = self.capacity.waiters.lock();
            self.capacity.waiting.fetch_sub(1, Ordering::SeqCst);
            self.position(&waiters).and_then(|at| waiters.remove(at))
        };
        if matches!(state, Some(Registered { state: WaiterState::Notified, .. })) {
            self.capacity.notify_one();
        }
    }
}
