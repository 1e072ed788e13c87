//! [`Line`]: who holds a gate, and who waits for it, in the order they came.
//!
//! The gate is handed over: whoever lets go makes the first in line the holder, in the same step. So it is never free
//! while somebody waits, nobody overtakes, and nobody starves.
//!
//! # The race to fear
//! A waiter gives up just as it is handed the gate, and nobody would ever let go. It cannot: to give up is to leave the
//! line, under the same lock; whoever is no longer in it holds the gate, and is told so, however late it is.
//!
//! # Cycles
//! Who waits for the holder is in the graph of [`crate::wait::graph`]. The graph is told of a change of the holder under the
//! same lock: the old one owes nothing any more, so whoever is handed the gate waits no longer, and the others wait for
//! that one.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use crate::error::busy::Holder;
use crate::gate::who::Who;
use crate::pool::context::frame::Code;
use crate::sync::os::Arc;
use crate::wait::graph::{Edge, Obligation, Target};

/// What the gate's lock guards.
pub(super) struct Line {
    hold: Option<Hold>,
    waiting: VecDeque<Waiting>,
}

struct Hold {
    by: Who,
    since: Instant,
    /// How many guards there are.
    guards: usize,
    /// What those who wait wait for; made for the first of them.
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

    /// One guard more, if this code is the holder.
    pub(super) fn enter_again(&mut self, code: Code) -> bool {
        let own = self.hold.as_mut().filter(|hold| hold.by.key() == code);
        own.map(|hold| hold.guards += 1).is_some()
    }

    /// Lets `who` in if nobody is; otherwise gives it back.
    pub(super) fn enter(&mut self, who: Who) -> Result<(), Who> {
        if self.hold.is_some() {
            return Err(who);
        }
        self.hold = Some(Hold::new(who));
        Ok(())
    }

    /// The holder is on the calling thread's stack, further out: it cannot let go before the caller returns.
    pub(super) fn is_held_below(&self, who: &Who) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by.shares_its_thread_with(who))
    }

    /// The holder is in the process that this one is a fork of, and lets go there.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by.is_elsewhere())
    }

    pub(super) fn queue_up(&mut self, who: Who, edge: Edge) {
        self.waiting.push_back(Waiting { who, edge, waker: None });
    }

    /// What whoever waits here waits for.
    pub(super) fn target(&mut self) -> Option<Target> {
        let hold = self.hold.as_mut()?;
        let obligation = hold.obligation.get_or_insert_with(|| hold.by.owes());
        Some(Target::Obligation(Arc::clone(obligation)))
    }

    /// True once the gate was handed to `key`, who stood in line; until then, `waker` is woken when it is.
    pub(super) fn is_mine(&mut self, key: Code, waker: &Waker) -> bool {
        let target = self.target();
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.who.key() == key) else { return true };
        waiting.waker = Some(waker.clone());
        // The holder may have changed while this thread was in another wait, which a subscriber can begin.
        waiting.turn(target);
        false
    }

    /// Leaves the line. False when the gate was handed to `key` meanwhile.
    pub(super) fn give_up(&mut self, key: Code) -> bool {
        let at = self.waiting.iter().position(|waiting| waiting.who.key() == key);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// One guard less; with the last, the gate goes to the first in line. Whom to wake, outside the lock.
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
        // In a fork those who waited before it wait in the parent.
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
