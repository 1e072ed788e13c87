//! [`Line`]: who holds a gate, and who waits for it, in the order they came.
//!
//! The gate is handed over: whoever lets go makes the first in line the holder, in the same step. So it is never free while
//! somebody waits, nobody overtakes, and nobody starves.
//!
//! # The race to fear
//! A waiter gives up just as it is handed the gate, and nobody would ever let go. It cannot: to give up is to leave the
//! line, under the same lock; whoever is no longer in it holds the gate, and is told so, however late it is.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use crate::busy::Holder;
use crate::gate::who::Who;

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
}

struct Waiting {
    who: Who,
    waker: Option<Waker>,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { hold: None, waiting: VecDeque::new() }
    }

    /// Lets `who` in if nobody is, or it is itself the holder; otherwise gives it back.
    pub(super) fn enter(&mut self, who: Who) -> Result<(), Who> {
        match &mut self.hold {
            None => self.hold = Some(Hold { by: who, since: Instant::now(), guards: 1 }),
            Some(hold) if hold.by.is(&who) => hold.guards += 1,
            Some(_) => return Err(who),
        }
        Ok(())
    }

    /// The holder is on the calling thread's stack, further out: it cannot let go before the caller returns.
    pub(super) fn is_held_below(&self, who: &Who) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by.shares_its_thread_with(who))
    }

    pub(super) fn queue_up(&mut self, who: Who) {
        self.waiting.push_back(Waiting { who, waker: None });
    }

    /// True once the gate was handed to `key`, who stood in line; until then, `waker` is woken when it is.
    pub(super) fn is_mine(&mut self, key: u64, waker: &Waker) -> bool {
        match self.waiting.iter_mut().find(|waiting| waiting.who.key() == key) {
            None => true,
            Some(waiting) => {
                waiting.waker = Some(waker.clone());
                false
            }
        }
    }

    /// Leaves the line. False when the gate was handed to `key` meanwhile.
    pub(super) fn give_up(&mut self, key: u64) -> bool {
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
        let Some(next) = self.waiting.pop_front() else {
            self.hold = None;
            return None;
        };
        self.hold = Some(Hold { by: next.who, since: Instant::now(), guards: 1 });
        next.waker
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        self.hold.as_ref().map(|hold| hold.by.holder(hold.since.elapsed()))
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.is_some()
    }
}
