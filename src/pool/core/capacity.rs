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
use std::future::poll_fn;
use std::mem;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::error::{Refused, SubmitError, SubmitErrorKind};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::NodeRef;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::{self, PermitsReleased};
use crate::pool::context::interrupted;
use crate::pool::core::pool::{As, Pool};
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::local;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::swallow;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;

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

    fn has_some(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }

    /// One becomes free, of which the caller [tells](Self::notify_one) the next in line.
    pub(crate) fn count_one(&self) {
        self.free.fetch_add(1, Ordering::SeqCst);
    }

    /// Wakes the first in line who does not know yet. Costs one load when nobody waits.
    #[inline]
    fn notify_one(&self) {
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
    fn register(&self) -> Waiter<'_> {
        let mut waiters = self.waiters.lock();
        let number = waiters.last_key_value().map_or(0, |(last, _)| last + 1);
        waiters.insert(number, WaiterState::Waiting(None));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(waiters);
        Waiter { capacity: self, number }
    }
}

/// A place in line.
struct Waiter<'a> {
    capacity: &'a Capacity,
    number: u64,
}

impl Waiter<'_> {
    /// The caller is about to look: what it was told before is not news any more.
    fn rearm(&self) {
        drop(self.change(|state| mem::replace(state, WaiterState::Waiting(None))));
    }

    /// Whether some room became free; otherwise the waker is woken then.
    fn poll(&self, waker: &Waker) -> bool {
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

impl Pool {
    pub(crate) fn release_capacity(&self) {
        if let Some(capacity) = &self.capacity {
            capacity.count_one();
            capacity.notify_one();
        }
    }

    /// Tells the next in line of room that was given back. Runs wakers.
    pub(crate) fn tell_of_room(&self) {
        if let Some(capacity) = &self.capacity {
            capacity.notify_one();
        }
    }

    /// Submits, waiting for room in a bounded queue until the deadline; the running task's place is given away
    /// meanwhile.
    pub(crate) fn submit_waiting<F, T>(
        self: &Arc<Self>,
        submitted: impl Into<As>,
        f: F,
        deadline: Option<Instant>,
    ) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submitted.into();
        let mut refused = match self.submit_static(submitted.clone(), f) {
            Ok(handle) => return Ok(handle),
            Err(refused) => refused,
        };
        let Some(capacity) = self.capacity_to_wait_for(&refused) else { return Err(refused) };
        let (at, mut cancel_listener) = (current::nearest(), CancelListener::new());
        let mut released = PermitsReleased::begin_until(deadline);
        let waiter = capacity.register();
        loop {
            refused = match self.submit_as_waiter(&waiter, &at, submitted.clone(), refused.task) {
                Ok(outcome) => return outcome,
                Err(full) => full,
            };
            if deadline.is_none() && local::make_room(self) {
                // Nobody else would.
                continue;
            }
            if deadline.is_none() && !released.is_waiting() {
                let label = Label::Capacity(self.namespace.clone());
                if let Err(why) = released.waits_for(Target::Permit(release::address(self)), label, Ends::WhenTold) {
                    return Err(self.would_deadlock(refused.task, why));
                }
            }
            let mut cancelled = false;
            let in_time = park::block_until(deadline, |waker| {
                cancelled = cancel_listener.poll(waker, CancelListener::cancel_requested);
                cancelled || self.scope_ended(&at) || waiter.poll(waker) || released.is_refused()
            });
            if !cancelled && let Some(why) = released.refusal() {
                return Err(self.would_deadlock(refused.task, why));
            }
            if !in_time {
                return Err(refused);
            }
            if cancelled {
                return Err(self.cancelled_while_waiting(refused.task));
            }
        }
    }

    /// The same without blocking.
    pub(crate) async fn submit_async<F, T>(
        self: &Arc<Self>,
        submitted: impl Into<As>,
        f: F,
    ) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submitted.into();
        let mut refused = match self.submit_static(submitted.clone(), f) {
            Ok(handle) => return Ok(handle),
            Err(refused) => refused,
        };
        let Some(capacity) = self.capacity_to_wait_for(&refused) else { return Err(refused) };
        let at = current::nearest();
        let waiter = capacity.register();
        let mut cancel_listener = None;
        loop {
            refused = match self.submit_as_waiter(&waiter, &at, submitted.clone(), refused.task) {
                Ok(outcome) => return outcome,
                Err(full) => full,
            };
            let cancelled = poll_fn(|cx| {
                // Whoever polls is asked: it may be another one each time.
                let cancel_listener = cancel_listener.insert(CancelListener::new());
                if cancel_listener.poll(cx.waker(), CancelListener::cancel_requested) {
                    return Poll::Ready(true);
                }
                match self.scope_ended(&at) || waiter.poll(cx.waker()) {
                    true => Poll::Ready(false),
                    false => Poll::Pending,
                }
            });
            if cancelled.await {
                return Err(self.cancelled_while_waiting(refused.task));
            }
        }
    }

    /// Until there may be room in the queue, or none is to be waited for any more.
    pub(crate) async fn await_capacity(&self, at: &NodeRef) {
        let Some(capacity) = &self.capacity else { return };
        let waiter = capacity.register();
        let mut cancel_listener = None;
        poll_fn(|cx| {
            // Whoever polls is asked: it may be another one each time.
            let cancelled =
                cancel_listener.insert(CancelListener::new()).poll(cx.waker(), CancelListener::cancel_requested);
            // In line first, and a look then.
            let is_notified = waiter.poll(cx.waker());
            let is_over = self.tracker.is_closed() || self.scope_ended(at) || at.node().is_cancelled();
            if cancelled || is_notified || is_over || capacity.has_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The room that a refused task can wait for, if that is what it was refused for.
    fn capacity_to_wait_for<F>(&self, refused: &Refused<F>) -> Option<&Capacity> {
        self.capacity.as_ref().filter(|_| refused.reason.is_queue_full())
    }

    /// Submits again what was refused for want of room, which does not count as refused then. It stands where it would
    /// have at the first try, beside the task that waits: that one may be a node only because it waits. The error:
    /// there is none still.
    fn submit_as_waiter<F, T>(
        self: &Arc<Self>,
        waiter: &Waiter<'_>,
        at: &NodeRef,
        submitted: As,
        f: F,
    ) -> Result<Result<TaskHandle<T>, Refused<F>>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        waiter.rearm();
        self.counters.refused.fetch_sub(1, Ordering::Relaxed);
        let outcome = {
            let _at = current::enter(at.clone(), LazyNode::Nothing);
            self.submit_static(submitted, f)
        };
        match outcome {
            Err(full) if self.capacity_to_wait_for(&full).is_some() => Err(full),
            Err(refused) => {
                // What it may have been told of is left to the next.
                waiter.capacity.notify_one();
                Ok(Err(refused))
            }
            Ok(handle) => Ok(Ok(handle)),
        }
    }

    /// Whether waiting for room is of no more use, because a scope at or above the place accepts nothing more. What is
    /// submitted to a detached pool is not counted there.
    fn scope_ended(&self, at: &NodeRef) -> bool {
        !self.config.detached && at.node().scope_closed()
    }

    fn would_deadlock<F>(&self, task: F, why: ClosesCircle) -> Refused<F> {
        let kind = SubmitErrorKind::WouldDeadlock { circle: why.circle };
        Refused { task, reason: SubmitError::new(&self.namespace, kind) }
    }

    fn cancelled_while_waiting<F>(&self, task: F) -> Refused<F> {
        interrupted::note_if_cancelled();
        Refused { task, reason: SubmitError::new(&self.namespace, SubmitErrorKind::Cancelled) }
    }
}
