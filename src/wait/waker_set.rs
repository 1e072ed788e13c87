//! [`WakerSet`]: the registered waiters of one condition, woken outside of any lock.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use slab::Slab;

use crate::sync::os::Mutex;
use crate::sync::unwind::swallow;

/// A set of wakers.
///
/// Wakers are user code: one may call into this set, and one may panic. So they are woken after the lock is released,
/// each by itself.
///
/// # The race to fear
/// A waiter polls the condition, finds it false, and the notification comes before the waiter registers. It cannot be
/// missed: the waiter registers its waker first and polls then; the notifier changes the condition first and notifies
/// then.
#[derive(Debug)]
pub(crate) struct WakerSet(Mutex<Option<Box<Wakers>>>);

/// Boxed as a whole: most sets are empty.
#[derive(Debug, Default)]
struct Wakers(Slab<Option<Waker>>);

impl WakerSet {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Registers a waiter, without a waker yet. Dropping the result removes it.
    pub(crate) fn register(&self) -> RegisteredWaker<'_> {
        RegisteredWaker { set: self, at: self.insert() }
    }

    /// Waits until `ready` is true. It is polled at each notification.
    pub(crate) async fn until(&self, mut ready: impl FnMut() -> bool) {
        let register = self.register();
        poll_fn(|cx| {
            register.set(cx.waker());
            if ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Registers a waiter, without a waker yet, until [`remove`](Self::remove).
    pub(crate) fn insert(&self) -> usize {
        self.0.lock().get_or_insert_default().0.insert(None)
    }

    /// Sets the waiter's waker for the next notification.
    pub(crate) fn set(&self, at: usize, waker: &Waker) {
        let stays = |slot: &Option<Waker>| slot.as_ref().is_some_and(|before| before.will_wake(waker));
        if self.change(at, |slot| stays(slot)).unwrap_or(true) {
            return;
        }
        // A waker's clone and drop are user code too.
        let new = waker.clone();
        drop(self.change(at, |slot| slot.replace(new)));
    }

    fn change<R>(&self, at: usize, f: impl FnOnce(&mut Option<Waker>) -> R) -> Option<R> {
        self.0.lock().as_mut().and_then(|all| all.0.get_mut(at)).map(f)
    }

    pub(crate) fn remove(&self, at: usize) {
        let mut all = self.0.lock();
        let waker = all.as_mut().and_then(|all| all.0.try_remove(at));
        // The last waiter frees the memory.
        let empty = all.take_if(|all| all.0.is_empty());
        drop(all);
        drop((waker, empty));
    }

    /// Wakes all waiters that have set a waker.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = match self.0.lock().as_mut() {
            Some(all) => all.0.iter_mut().filter_map(|(_, slot)| slot.take()).collect(),
            None => return,
        };
        for waker in wakers {
            swallow(|| waker.wake());
        }
    }
}

/// See [`WakerSet::register`].
pub(crate) struct RegisteredWaker<'a> {
    set: &'a WakerSet,
    at: usize,
}

impl RegisteredWaker<'_> {
    /// As [`WakerSet::set`].
    pub(crate) fn set(&self, waker: &Waker) {
        self.set.set(self.at, waker);
    }
}

impl Drop for RegisteredWaker<'_> {
    fn drop(&mut self) {
        self.set.remove(self.at);
    }
}
