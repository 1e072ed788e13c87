//! [`Capacity`]: what is free in a bounded queue, and waiting for it.
//!
//! # The race to fear
//! Somebody looks, finds nothing free, and goes to sleep just after some became free. That cannot be: it stands in line
//! first and looks then; whoever gives room back counts it first and looks then whether anybody stands in line. All
//! four are sequentially consistent, so one of the two sees the other.
//!
//! Cancelled tasks give their room back when they are cancelled: see `evict`.
//!
//! Room is nobody's before it is taken: one that comes by may take what another was told of, which goes on waiting
//! then. Whoever was told and does not look any more tells the next.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

use crate::sync::os::{AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::swallow;

/// Room in a bounded queue.
pub(crate) struct Capacity {
    free: AtomicUsize,
    /// How many stand in line; changed under the line's lock.
    waiting: AtomicUsize,
    /// Those who wait, in the order of asking.
    waiters: Mutex<BTreeMap<u64, WaiterState>>,
}

/// Where one who waits is.
enum WaiterState {
    /// To be woken; without a waker, it is about to look.
    Waiting(Option<Waker>),
    /// Some room became free since it looked last.
    Notified,
}

impl WaiterState {
    /// The waker, if it has not been told before.
    fn notify(&mut self) -> Option<Option<Waker>> {
        match mem::replace(self, Self::Notified) {
            Self::Waiting(waker) => Some(waker),
            Self::Notified => None,
        }
    }
}

impl Capacity {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: AtomicUsize::new(limit), waiting: AtomicUsize::new(0), waiters: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn try_acquire(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    pub(crate) fn has_some(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }

    /// One becomes free, of which the caller [tells](Self::notify_one) the next in line.
    pub(crate) fn count_one(&self) {
        self.free.fetch_add(1, Ordering::SeqCst);
    }

    /// Wakes the first in line who does not know yet. Costs one load when nobody waits.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify(1);
        }
    }

    /// Wakes everybody in line.
    pub(crate) fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    #[cold]
    fn notify(&self, most: usize) {
        let notified: Vec<_> = self.waiters.lock().values_mut().filter_map(WaiterState::notify).take(most).collect();
        // Outside the lock: wakers are user code.
        for waker in notified.into_iter().flatten() {
            swallow(|| waker.wake());
        }
    }

    /// A place at the end of the line.
    pub(crate) fn register(&self) -> Waiter<'_> {
        let mut waiters = self.waiters.lock();
        let number = waiters.last_key_value().map_or(0, |(last, _)| last + 1);
        waiters.insert(number, WaiterState::Waiting(None));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(waiters);
        Waiter { capacity: self, number }
    }
}

/// A place in line.
pub(crate) struct Waiter<'a> {
    pub(crate) capacity: &'a Capacity,
    number: u64,
}

impl Waiter<'_> {
    /// The caller is about to look: what it was told before is not news any more.
    pub(crate) fn rearm(&self) {
        drop(self.change(|state| mem::replace(state, WaiterState::Waiting(None))));
    }

    /// Whether some room became free; otherwise the waker is woken then.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        // A waker's clone and drop are a user's, too.
        let new = waker.clone();
        let before = self.change(|state| match state {
            WaiterState::Waiting(waker) => Some(waker.replace(new)),
            WaiterState::Notified => None,
        });
        !matches!(before, Some(Some(_)))
    }

    fn change<R>(&self, f: impl FnOnce(&mut WaiterState) -> R) -> Option<R> {
        self.capacity.waiters.lock().get_mut(&self.number).map(f)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let state = {
            let mut waiters = self.capacity.waiters.lock();
            self.capacity.waiting.fetch_sub(1, Ordering::SeqCst);
            waiters.remove(&self.number)
        };
        if matches!(state, Some(WaiterState::Notified)) {
            self.capacity.notify_one();
        }
    }
}
