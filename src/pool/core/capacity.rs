//! [`Capacity`]: the free capacity of a bounded queue, with the submitters that wait for it.
//!
//! # The race to fear
//! A submitter looks, finds nothing free, and parks just after some capacity became free. The race cannot happen: the submitter
//! registers first, then looks; a release counts first, then looks whether a waiter is registered. All four steps are
//! sequentially consistent, so one of the two sees the other. The look at a tenant's share is a lock, which a release takes
//! before its look: the later of the two sees the earlier one.
//!
//! A cancelled task releases its capacity when it is cancelled: see `evict`.
//!
//! A notify reserves nothing: another submitter may acquire the capacity that a waiter was notified of, and the waiter goes on
//! waiting then. A notified waiter that leaves without looking notifies the next one. A waiter of a poll may stay
//! registered without looking, so it is woken beside the waiter that is notified, and not in its place. Where each tenant has
//! a limit of its own, a release notifies all waiters: the first one may be of a tenant that is at its limit still.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

use crate::pool::core::shares::{Full, Shares};
use crate::sync::os::{AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::swallow;
use crate::task::cell::TaskRef;
use crate::task::rank::Rank;

/// The free capacity of a bounded queue.
pub(crate) struct Capacity {
    free: AtomicUsize,
    /// The number of registered waiters; changed under the lock of `waiters`.
    waiting: AtomicUsize,
    waiters: Mutex<Waiters>,
    /// The bound of each tenant. Boxed, since few pools have one.
    shares: Option<Box<Shares>>,
}

/// The waiting submitters.
struct Waiters {
    /// By their numbers, and so in the order of asking.
    all: BTreeMap<u64, Registered>,
    /// All waiters with a smaller number are notified. So a notify passes over none of them, however many have not
    /// looked yet.
    notified_below: u64,
}

struct Registered {
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
    /// `limit` bounds all tasks, and `each` those of one tenant.
    pub(crate) fn new(limit: usize, each: Option<usize>) -> Self {
        Self {
            shares: each.map(|each| Box::new(Shares::new(each))),
            free: AtomicUsize::new(limit),
            waiting: AtomicUsize::new(0),
            waiters: Mutex::new(Waiters { all: BTreeMap::new(), notified_below: 0 }),
        }
    }

    /// Acquires the capacity of so many tasks of this rank, or of none.
    pub(crate) fn try_acquire(&self, rank: Option<Rank>, tasks: usize) -> Result<(), Full> {
        let acquire =
            || self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(tasks)).is_ok();
        match self.share_of(rank) {
            Some((shares, tenant)) => shares.try_acquire(tenant, tasks, acquire),
            None if acquire() => Ok(()),
            None => Err(Full::Queue),
        }
    }

    /// Returns whether a task of this rank would find capacity.
    pub(crate) fn has_some(&self, rank: Option<Rank>) -> bool {
        self.free.load(Ordering::SeqCst) > 0
            && self.share_of(rank).is_none_or(|(shares, tenant)| shares.has_some(tenant))
    }

    fn share_of(&self, rank: Option<Rank>) -> Option<(&Shares, usize)> {
        Some((self.shares.as_deref()?, rank?.tenant()))
    }

    /// Releases the capacity of a task that has not run. The caller [notifies](Self::notify_freed) a waiter.
    pub(crate) fn count_one<M>(&self, task: &TaskRef<M>) {
        if self.shares.is_some()
            && let Some((shares, tenant)) = self.share_of(task.rank())
        {
            shares.release(tenant);
        }
        self.free.fetch_add(1, Ordering::SeqCst);
    }

    /// Releases capacity that was acquired for tasks of this rank, which were never queued. Notifies all waiters.
    pub(super) fn release_unused(&self, rank: Option<Rank>, tasks: usize) {
        if let Some((shares, tenant)) = self.share_of(rank) {
            (0..tasks).for_each(|_| shares.release(tenant));
        }
        self.free.fetch_add(tasks, Ordering::SeqCst);
        self.notify_all();
    }

    /// Notifies the waiters that may use released capacity. Costs one load without a waiter.
    #[inline]
    pub(crate) fn notify_freed(&self) {
        match self.shares {
            None => self.notify_one(),
            Some(_) if self.waiting.load(Ordering::SeqCst) > 0 => self.notify_all(),
            Some(_) => {}
        }
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
        let Waiters { all, notified_below } = &mut *waiters;
        let (mut notified, mut left) = (Vec::new(), most);
        for (number, waiter) in all.range_mut(*notified_below..) {
            if left == 0 {
                break;
            }
            *notified_below = number + 1;
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
        let number = waiters.all.last_key_value().map_or(0, |(last, _)| last + 1);
        waiters.all.insert(number, Registered { may_idle, state: WaiterState::Waiting(None) });
        waiters.notified_below = waiters.notified_below.min(number);
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
        drop(self.change(|notified_below, waiter| {
            *notified_below = self.number.min(*notified_below);
            mem::replace(&mut waiter.state, WaiterState::Waiting(None))
        }));
    }

    /// Returns whether the waiter is notified; otherwise keeps the waker for the notify.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        // Outside the lock: a waker's clone and drop are user code, too.
        let new = waker.clone();
        let before = self.change(|_, waiter| match &mut waiter.state {
            WaiterState::Waiting(waker) => Some(waker.replace(new)),
            WaiterState::Notified => None,
        });
        !matches!(before, Some(Some(_)))
    }

    fn change<R>(&self, f: impl FnOnce(&mut u64, &mut Registered) -> R) -> Option<R> {
        let mut waiters = self.capacity.waiters.lock();
        let Waiters { all, notified_below } = &mut *waiters;
        all.get_mut(&self.number).map(|waiter| f(notified_below, waiter))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let state = {
            let mut waiters = self.capacity.waiters.lock();
            self.capacity.waiting.fetch_sub(1, Ordering::SeqCst);
            waiters.all.remove(&self.number)
        };
        if matches!(state, Some(Registered { state: WaiterState::Notified, .. })) {
            self.capacity.notify_one();
        }
    }
}
