//! The entering verbs of a [`Gate`], and the wait for it.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{Busy, Circle, Error};
use crate::gate::Gate;
use crate::gate::guard::GateGuard;
use crate::gate::line::Line;
use crate::gate::who::Who;
use crate::names::label::Printed;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::{self, PermitsReleased};
use crate::pool::context::code::{self, Code};
use crate::pool::context::interrupted;
use crate::sync::os::Arc;
use crate::timer::within::within;
use crate::wait::graph::{Ends, Label};
use crate::wait::park;
use crate::wait::waker_set::WakerSet;

/// Whether a wait releases the running task's permit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Releases {
    Always,
    /// Only where the wait has no bound.
    IfUnbounded,
}

impl Gate {
    /// Enters the gate, and waits for it at most the gate's default wait.
    ///
    /// # Errors
    /// [`Busy`]: another holder had it all that time, or waits for the caller and so cannot leave.
    pub fn enter(&self) -> Result<GateGuard<'_>, Error> {
        self.enter_timeout(self.default_wait)
    }

    /// Enters the gate without a wait.
    ///
    /// # Errors
    /// [`Busy`]: another holder has it.
    pub fn try_enter(&self) -> Result<GateGuard<'_>, Error> {
        self.enter_timeout(Duration::ZERO)
    }

    /// Enters the gate, and waits for it at most `wait`; `Duration::MAX` has no bound.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{Gate, thread};
    ///
    /// static STAGE: Gate = Gate::new("stage");
    /// let _held = STAGE.enter()?;
    /// let child = thread::spawn(|| STAGE.enter_timeout(Duration::from_millis(5)).map(drop))?;
    /// let busy = child.join()?.unwrap_err(); // a child is not its parent
    /// assert!(busy.to_string().starts_with("gate \"stage\" is held by thread"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`]: another holder had it all that time, or waits for the caller and so cannot leave.
    pub fn enter_timeout(&self, wait: Duration) -> Result<GateGuard<'_>, Error> {
        self.acquire(wait, Releases::Always)?;
        Ok(GateGuard::borrowed(self))
    }

    /// As [`enter`](Self::enter), without blocking the runtime. Dropping the future enters nothing.
    ///
    /// The guard belongs to the code that polls the future, and to its thread: drop it before the next `.await`.
    /// Waiting threads enter before waiting futures, and of the futures the first to be polled enters. Work that waits
    /// for such a future is not found as a part of a circle.
    ///
    /// ```
    /// # futures::executor::block_on(async { // on any runtime
    /// let gate = heirloom::Gate::new("stage");
    /// let moved = {
    ///     let _in = gate.enter_async().await?;
    ///     "moved"
    /// };
    /// assert!(!gate.is_held());
    /// # assert_eq!(moved, "moved");
    /// # Ok::<(), heirloom::Error>(())
    /// # })?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Busy`]: another holder had it all that time, or the polling task or thread was cancelled.
    pub async fn enter_async(&self) -> Result<GateGuard<'_>, Error> {
        self.enter_timeout_async(self.default_wait).await
    }

    /// As [`enter_timeout`](Self::enter_timeout), without blocking the runtime; see [`enter_async`](Self::enter_async).
    ///
    /// # Errors
    /// As [`enter_async`](Self::enter_async).
    pub async fn enter_timeout_async(&self, wait: Duration) -> Result<GateGuard<'_>, Error> {
        self.acquire_async(wait).await?;
        Ok(GateGuard::borrowed(self))
    }

    /// As [`enter`](Self::enter), with a guard that keeps the gate alive.
    pub(crate) fn enter_shared(self: Arc<Self>) -> Result<GateGuard<'static>, Busy> {
        self.acquire(self.default_wait, Releases::Always)?;
        Ok(GateGuard::shared(self))
    }

    /// As [`enter_async`](Self::enter_async), with a guard that keeps the gate alive.
    pub(crate) async fn enter_shared_async(self: Arc<Self>) -> Result<GateGuard<'static>, Busy> {
        self.acquire_async(self.default_wait).await?;
        Ok(GateGuard::shared(self))
    }

    /// Runs a task's body inside the gate. A wait keeps the task's permit, unless it has no bound.
    ///
    /// The task has not started. So a pool of `n` has at most `n` tasks in the line of a gate, instead of all its
    /// queued tasks, each on a thread.
    pub(crate) fn around(&self, body: &mut dyn FnMut()) -> Result<(), Busy> {
        self.acquire(self.default_wait, Releases::IfUnbounded)?;
        let _in = GateGuard::borrowed(self);
        body();
        Ok(())
    }

    async fn acquire_async(&self, wait: Duration) -> Result<(), Busy> {
        let begun = Instant::now();
        // A free gate costs no waker set.
        if self.acquire_now().is_ok() {
            return Ok(());
        }
        let registered = self.free.get_or_init(WakerSet::new).register();
        let mut listener = None;
        let mut cancelled = false;
        let entered = poll_fn(|cx| {
            // The waker comes before the look: a holder leaves first, and wakes then.
            registered.set(cx.waker());
            if self.acquire_now().is_ok() {
                return Poll::Ready(());
            }
            // A new listener with each poll, because another task or thread may poll each time.
            cancelled = listener.insert(CancelListener::new()).poll(cx.waker(), CancelListener::cancel_requested);
            if cancelled { Poll::Ready(()) } else { Poll::Pending }
        });
        let ended = within(begun.checked_add(wait), entered).await;
        if ended.is_some() && !cancelled {
            return Ok(());
        }
        self.acquire_now().map_err(|busy| {
            interrupted::note_if_cancelled();
            Busy { waited: begun.elapsed(), cancelled: cancelled.then(interrupted::cause), ..busy }
        })
    }

    /// Makes the calling code the holder without a wait.
    fn acquire_now(&self) -> Result<(), Busy> {
        let running = code::running();
        let mut line = self.line.lock();
        if line.enter_again(running.code) || line.enter(Who::here(running)).is_ok() {
            return Ok(());
        }
        let forked = line.is_held_elsewhere();
        Err(Busy { forked, ..self.busy(&line, Duration::ZERO, None) })
    }

    /// Makes the calling code the holder, once more if it is the holder already.
    fn acquire(&self, wait: Duration, releases: Releases) -> Result<(), Busy> {
        let running = code::running();
        let mut line = self.line.lock();
        if line.enter_again(running.code) {
            return Ok(());
        }
        let Err(who) = line.enter(Who::here(running)) else { return Ok(()) };
        if line.is_held_below(&who) {
            let circle = self.own_circle(&line, &who);
            return Err(self.busy(&line, Duration::ZERO, Some(circle)));
        }
        if line.is_held_elsewhere() {
            return Err(Busy { forked: true, ..self.busy(&line, Duration::ZERO, None) });
        }
        if wait.is_zero() {
            return Err(self.busy(&line, Duration::ZERO, None));
        }
        let begun = Instant::now();
        let deadline = begun.checked_add(wait);
        // Under the lock, so that the refusal names the holder that it is about.
        let edge = line.target().map(|on| release::begin(on, Label::Gate(self.name), Ends::Asks)).transpose();
        let edge = match edge {
            Ok(Some(edge)) => edge,
            Ok(None) => unreachable!("a free gate refused a caller"),
            Err(why) => return Err(self.busy(&line, Duration::ZERO, Some(why.circle))),
        };
        let key = who.key();
        line.queue_up(who, edge.edge());
        drop(line);
        let queued = Queued { gate: self, key };
        let released = PermitsReleased::begin_registered(edge, releases == Releases::Always || deadline.is_none());
        let mut listener = CancelListener::new();
        park::block_until(deadline, |waker| {
            self.line.lock().is_mine(key, waker)
                || released.is_refused()
                || listener.poll(waker, CancelListener::cancel_requested)
        });
        let mut line = self.line.lock();
        let given_up = line.give_up(key);
        mem::forget(queued);
        // A waiter that was handed the gate has it, also where the graph refused the wait meanwhile: the wait has
        // ended. A cancelled waiter returns the cancel and no circle: its own end opens a circle that a join may have
        // closed.
        let cancelled = listener.cancel_requested();
        let refusal = released.refusal().filter(|_| !cancelled);
        let refuse = || self.busy(&line, begun.elapsed(), refusal.map(|why| why.circle));
        let outcome = if given_up { Err(refuse()) } else { Ok(()) };
        drop(line);
        drop(released);
        outcome.map_err(|busy| Busy { cancelled: cancelled.then(interrupted::cancelled), ..busy })
    }

    /// The circle of a caller whose holder is further out on the same stack.
    fn own_circle(&self, line: &Line, who: &Who) -> Circle {
        let waiter = who.holder(Duration::ZERO).code();
        let holder = line.holder().map_or_else(|| waiter.clone(), |holder| holder.code());
        Circle::of_one(
            waiter,
            format!("the gate \"{}\", which {holder} holds, further out on the same stack", Printed(self.name)),
        )
    }

    fn busy(&self, line: &Line, waited: Duration, circle: Option<Circle>) -> Busy {
        let would_deadlock = circle.is_some();
        match line.holder() {
            Some(holder) => {
                let holder = Box::new(holder);
                Busy { gate: self.name, waited, holder, would_deadlock, circle, cancelled: None, forked: false }
            }
            // A free gate refuses no caller, and a gate with waiters is handed over.
            None => unreachable!("a free gate refused a caller"),
        }
    }
}

/// A waiter's position in line. Should the wait unwind, the gate is not handed to a waiter that never leaves.
struct Queued<'a> {
    gate: &'a Gate,
    key: Code,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let given_up = self.gate.line.lock().give_up(self.key);
        if !given_up {
            self.gate.leave();
        }
    }
}
