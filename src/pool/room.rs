//! [`Room`]: what is free in a bounded queue, and waiting for it.
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

use crate::error::{Refused, SubmitError};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::NodeRef;
use crate::pool::handle::TaskHandle;
use crate::pool::hearing::Hearing;
use crate::pool::inner::{As, Pool};
use crate::pool::interrupted;
use crate::pool::park;
use crate::pool::pinned;
use crate::pool::wait::{self, GivenAway};
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::unwind::swallow;
use crate::waits::{ClosesCircle, Ends, Label, Target};

/// Room in a bounded queue.
pub(crate) struct Room {
    free: AtomicUsize,
    /// How many stand in line; changed under the line's lock.
    waiting: AtomicUsize,
    /// Those who wait, in the order of asking.
    line: Mutex<BTreeMap<u64, Stage>>,
}

/// Where one who waits is.
enum Stage {
    /// To be woken; without a waker, it is about to look.
    Waits(Option<Waker>),
    /// Some room became free since it looked last.
    Told,
}

impl Stage {
    /// The waker, if it has not been told before.
    fn tell(&mut self) -> Option<Option<Waker>> {
        match mem::replace(self, Self::Told) {
            Self::Waits(waker) => Some(waker),
            Self::Told => None,
        }
    }
}

impl Room {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: AtomicUsize::new(limit), waiting: AtomicUsize::new(0), line: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn take(&self) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    fn has_some(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }

    /// One becomes free, of which the caller [tells](Self::tell_next) the next in line.
    pub(super) fn count_one(&self) {
        self.free.fetch_add(1, Ordering::SeqCst);
    }

    /// Wakes the first in line who does not know yet. Costs one load when nobody waits.
    #[inline]
    fn tell_next(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.tell(1);
        }
    }

    /// Wakes everybody in line.
    pub(crate) fn tell_all(&self) {
        self.tell(usize::MAX);
    }

    #[cold]
    fn tell(&self, most: usize) {
        let told: Vec<_> = self.line.lock().values_mut().filter_map(Stage::tell).take(most).collect();
        // Outside the lock: wakers are user code.
        for waker in told.into_iter().flatten() {
            swallow(|| waker.wake());
        }
    }

    /// A place at the end of the line.
    fn stand_in_line(&self) -> Turn<'_> {
        let mut line = self.line.lock();
        let number = line.last_key_value().map_or(0, |(last, _)| last + 1);
        line.insert(number, Stage::Waits(None));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(line);
        Turn { room: self, number }
    }
}

/// A place in line.
struct Turn<'a> {
    room: &'a Room,
    number: u64,
}

impl Turn<'_> {
    /// The caller is about to look: what it was told before is not news any more.
    fn about_to_look(&self) {
        drop(self.change(|stage| mem::replace(stage, Stage::Waits(None))));
    }

    /// Whether some room became free; otherwise the waker is woken then.
    fn poll(&self, waker: &Waker) -> bool {
        // A waker's clone and drop are a user's, too.
        let new = waker.clone();
        let before = self.change(|stage| match stage {
            Stage::Waits(waker) => Some(waker.replace(new)),
            Stage::Told => None,
        });
        !matches!(before, Some(Some(_)))
    }

    fn change<R>(&self, f: impl FnOnce(&mut Stage) -> R) -> Option<R> {
        self.room.line.lock().get_mut(&self.number).map(f)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let stage = {
            let mut line = self.room.line.lock();
            self.room.waiting.fetch_sub(1, Ordering::SeqCst);
            line.remove(&self.number)
        };
        if matches!(stage, Some(Stage::Told)) {
            self.room.tell_next();
        }
    }
}

impl Pool {
    pub(crate) fn give_room(&self) {
        if let Some(room) = &self.room {
            room.count_one();
            room.tell_next();
        }
    }

    /// Tells the next in line of room that was given back. Runs wakers.
    pub(super) fn tell_of_room(&self) {
        if let Some(room) = &self.room {
            room.tell_next();
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
        let Some(room) = self.room_to_wait_for(&refused) else { return Err(refused) };
        let (at, mut hearing) = (current::nearest(), Hearing::new());
        let mut away = GivenAway::begin_until(deadline);
        let turn = room.stand_in_line();
        loop {
            refused = match self.submit_in_turn(&turn, &at, submitted.clone(), refused.task) {
                Ok(outcome) => return outcome,
                Err(full) => full,
            };
            if deadline.is_none() && pinned::make_room(self) {
                // Nobody else would.
                continue;
            }
            if deadline.is_none() && !away.is_waiting() {
                let label = Label::Room(self.namespace.clone());
                if let Err(why) = away.waits_for(Target::Permit(wait::address(self)), label, Ends::WhenTold) {
                    return Err(self.would_deadlock(refused.task, why));
                }
            }
            let mut asked = false;
            let in_time = park::block_until(deadline, |waker| {
                asked = hearing.poll(waker, Hearing::cancel_requested);
                asked || self.scope_ended(&at) || turn.poll(waker) || away.is_refused()
            });
            if !asked && let Some(why) = away.refusal() {
                return Err(self.would_deadlock(refused.task, why));
            }
            if !in_time {
                return Err(refused);
            }
            if asked {
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
        let Some(room) = self.room_to_wait_for(&refused) else { return Err(refused) };
        let at = current::nearest();
        let turn = room.stand_in_line();
        let mut hears = None;
        loop {
            refused = match self.submit_in_turn(&turn, &at, submitted.clone(), refused.task) {
                Ok(outcome) => return outcome,
                Err(full) => full,
            };
            let asked = poll_fn(|cx| {
                // Whoever polls is asked: it may be another one each time.
                let hearing = hears.insert(Hearing::new());
                if hearing.poll(cx.waker(), Hearing::cancel_requested) {
                    return Poll::Ready(true);
                }
                match self.scope_ended(&at) || turn.poll(cx.waker()) {
                    true => Poll::Ready(false),
                    false => Poll::Pending,
                }
            });
            if asked.await {
                return Err(self.cancelled_while_waiting(refused.task));
            }
        }
    }

    /// Until there may be room in the queue, or none is to be waited for any more.
    pub(crate) async fn await_room(&self, at: &NodeRef) {
        let Some(room) = &self.room else { return };
        let turn = room.stand_in_line();
        let mut hears = None;
        poll_fn(|cx| {
            // Whoever polls is asked: it may be another one each time.
            let asked = hears.insert(Hearing::new()).poll(cx.waker(), Hearing::cancel_requested);
            // In line first, and a look then.
            let is_told = turn.poll(cx.waker());
            let is_over = self.tracker.is_closed() || self.scope_ended(at) || at.node().is_cancelled();
            if asked || is_told || is_over || room.has_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The room that a refused task can wait for, if that is what it was refused for.
    fn room_to_wait_for<F>(&self, refused: &Refused<F>) -> Option<&Room> {
        self.room.as_ref().filter(|_| matches!(refused.reason, SubmitError::QueueFull { .. }))
    }

    /// Submits again what was refused for want of room, which does not count as refused then. It stands where it would
    /// have at the first try, beside the task that waits: that one may be a node only because it waits. The error:
    /// there is none still.
    fn submit_in_turn<F, T>(
        self: &Arc<Self>,
        turn: &Turn<'_>,
        at: &NodeRef,
        submitted: As,
        f: F,
    ) -> Result<Result<TaskHandle<T>, Refused<F>>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        turn.about_to_look();
        self.counters.refused.fetch_sub(1, Ordering::Relaxed);
        let outcome = {
            let _at = current::enter(at.clone(), LazyNode::Nothing);
            self.submit_static(submitted, f)
        };
        match outcome {
            Err(full) if self.room_to_wait_for(&full).is_some() => Err(full),
            Err(refused) => {
                // What it may have been told of is left to the next.
                turn.room.tell_next();
                Ok(Err(refused))
            }
            Ok(handle) => Ok(Ok(handle)),
        }
    }

    /// Whether waiting for room is of no more use, because a scope at or above the place accepts nothing more. What is
    /// submitted to a sealed pool is not counted there.
    fn scope_ended(&self, at: &NodeRef) -> bool {
        !self.config.sealed && at.node().scope_closed()
    }

    fn would_deadlock<F>(&self, task: F, why: ClosesCircle) -> Refused<F> {
        Refused { task, reason: SubmitError::WouldDeadlock { namespace: self.namespace.clone(), circle: why.circle } }
    }

    fn cancelled_while_waiting<F>(&self, task: F) -> Refused<F> {
        interrupted::note_if_cancelled();
        Refused { task, reason: SubmitError::Cancelled { namespace: self.namespace.clone() } }
    }
}
