//! The thread that delivers everything, so that no call of an end runs code of another one.
//!
//! It starts with the first thing to do and ends when there was nothing for a second. A call notes its work under the broker's
//! lock, and there the thread notes that it parks or ends. So the call sees that, and unparks it or starts another one.

use std::time::{Duration, Instant};

use super::broker::Broker;
use super::op::Action;
use super::state::{Deliverer, State};
use crate::sync::fork;
use crate::sync::os::{Arc, thread};
use crate::sync::unwind::swallow;

const LINGER: Duration = Duration::from_secs(1);

enum Next {
    Do(Action),
    Park(Duration),
    End,
}

impl Broker {
    /// Makes sure that the thread looks. The caller has noted the work under this lock.
    pub(super) fn notify(self: &Arc<Self>, state: &mut State) {
        match std::mem::replace(&mut state.deliverer, Deliverer::Works) {
            Deliverer::Works => {}
            Deliverer::Parks(thread) => thread.unpark(),
            Deliverer::None => {
                fork::arm_for_threads();
                let broker = Arc::clone(self);
                let spawned = thread::Builder::new().name("heirloom-loopback".into()).spawn(move || broker.deliver());
                if spawned.is_err() {
                    // The next call tries again.
                    state.deliverer = Deliverer::None;
                }
            }
        }
    }

    fn deliver(&self) {
        let mut idle_since = None;
        loop {
            match self.next(&mut idle_since) {
                Next::Do(action) => drop(swallow(action)),
                Next::Park(time) => thread::park_timeout(time),
                Next::End => return,
            }
        }
    }

    fn next(&self, idle_since: &mut Option<Instant>) -> Next {
        let mut state = self.state.lock();
        state.deliverer = Deliverer::Works;
        let now = Instant::now();
        state.fire(now);
        if let Some(action) = state.next_action() {
            *idle_since = None;
            return Next::Do(action);
        }
        let time = match state.next_timer() {
            Some(due) => due.saturating_duration_since(now),
            None => {
                let left = LINGER.saturating_sub(now.duration_since(*idle_since.get_or_insert(now)));
                if left.is_zero() {
                    state.deliverer = Deliverer::None;
                    return Next::End;
                }
                left
            }
        };
        state.deliverer = Deliverer::Parks(thread::current());
        Next::Park(time)
    }
}
