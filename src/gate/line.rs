//! [`Line`]: the holder of a gate, and its waiters in the order of asking.
//!
//! The gate is handed over: a holder that leaves makes the first waiter the holder, in the same step. So the gate is
//! never free while a thread waits, no caller overtakes a waiter, and no waiter starves.
//!
//! # The race to fear
//! A waiter gives up just as it is handed the gate, which then has a holder that never leaves. Impossible: a waiter
//! gives up by leaving the line, under the same lock. A waiter that is no longer in line holds the gate, and its verb
//! returns so, however late it is.
//!
//! # Circles
//! The waits for the holder are in the graph of [`crate::wait::graph`]. A change of the holder enters the graph under
//! the same lock: the old holder's obligation is fulfilled, so the new holder waits no longer, and the other waiters
//! wait for the new holder.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use crate::error::busy::Holder;
use crate::gate::who::Who;
use crate::pool::context::code::Code;
use crate::sync::os::Arc;
use crate::wait::graph::{Edge, Obligation, Target};

/// The state that the gate's lock guards.
pub(super) struct Line {
    hold: Option<Hold>,
    waiting: VecDeque<Waiting>,
}

struct Hold {
    by: Who,
    since: Instant,
    /// The number of guards.
    guards: usize,
    /// The holder's obligation to the waiters; made for the first of them.
    obligation: Option<Arc<Obligation>>,
}

struct Waiting {
    who: Who,
    edge: Edge,
    waker: Option<Waker>,
}

impl Hold {
    fn new(by: Who) -> Self {
        Self { by, since: Instant::now(), guards: 1, obligation: None }
    }
}

impl Waiting {
    fn turn(&self, target: Option<Target>) {
        if let Some(target) = target {
            self.edge.turn(target);
        }
    }
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { hold: None, waiting: VecDeque::new() }
    }

    /// Counts one more guard, if this code is the holder.
    pub(super) fn enter_again(&mut self, code: Code) -> bool {
        let own = self.hold.as_mut().filter(|hold| hold.by.key() == code);
        own.map(|hold| hold.guards += 1).is_some()
    }

    /// Makes `who` the holder of a free gate; otherwise gives it back.
    pub(super) fn enter(&mut self, who: Who) -> Result<(), Who> {
        if self.hold.is_some() {
            return Err(who);
        }
        self.hold = Some(Hold::new(who));
        Ok(())
    }

    /// The holder is on the calling thread's stack, further out: it cannot leave before the caller returns.
    pub(super) fn is_held_below(&self, who: &Who) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by.shares_its_thread_with(who))
    }

    /// The holder's thread runs in the process that this one is a fork of, and leaves there.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by.is_elsewhere())
    }

    pub(super) fn queue_up(&mut self, who: Who, edge: Edge) {
        self.waiting.push_back(Waiting { who, edge, waker: None });
    }

    /// Returns the target of the waits in this line.
    pub(super) fn target(&mut self) -> Option<Target> {
        let hold = self.hold.as_mut()?;
        let obligation = hold.obligation.get_or_insert_with(|| hold.by.owes());
        Some(Target::Obligation(Arc::clone(obligation)))
    }

    /// Returns whether the gate was handed to `key`, which stood in line; otherwise wakes `waker` when it is.
    pub(super) fn is_mine(&mut self, key: Code, waker: &Waker) -> bool {
        let target = self.target();
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.who.key() == key) else { return true };
        waiting.waker = Some(waker.clone());
        // The holder may have changed while this thread was in another wait, as a `tracing` subscriber may begin one.
        waiting.turn(target);
        false
    }

    /// Takes `key` out of the line. False when the gate was handed to it meanwhile.
    pub(super) fn give_up(&mut self, key: Code) -> bool {
        let at = self.waiting.iter().position(|waiting| waiting.who.key() == key);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// Counts one guard less; with the last one the gate goes to the first waiter. The caller wakes the returned waker
    /// outside the lock.
    #[must_use]
    pub(super) fn leave(&mut self) -> Option<Waker> {
        let hold = self.hold.as_mut()?;
        hold.guards -= 1;
        if hold.guards > 0 {
            return None;
        }
        if let Some(obligation) = hold.obligation.take() {
            obligation.fulfil();
        }
        // In a fork, the waiters from before it wait in the parent.
        while self.waiting.front().is_some_and(|next| next.who.is_elsewhere()) {
            self.waiting.pop_front();
        }
        let Some(next) = self.waiting.pop_front() else {
            self.hold = None;
            return None;
        };
        self.hold = Some(Hold::new(next.who));
        if !self.waiting.is_empty() {
            let target = self.target();
            self.waiting.iter().for_each(|waiting| waiting.turn(target.clone()));
        }
        next.waker
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        self.hold.as_ref().map(|hold| hold.by.holder(hold.since.elapsed()))
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.is_some()
    }
}
