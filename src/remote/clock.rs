//! [`Clock`]: a thread that runs code of this crate at a time: signs, and requests that are repeated.
//!
//! The crate's timer has a thread that comes and goes. A worker that could not repeat a request would keep its jobs' results for
//! ever, so it has a thread of its own from the start, and does not start without it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::{Duration, Instant};

use crate::sync::fork;
use crate::sync::os::{Arc, Mutex, thread};
use crate::sync::unwind::swallow;

type Code = Box<dyn FnOnce() + Send>;

/// Runs code at a time, on one thread. Dropping it ends the thread, and drops the code that is not due.
pub(crate) struct Clock(Arc<Shared>);

struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    due: BinaryHeap<Entry>,
    last: u64,
    ended: bool,
    /// The thread, while it parks, and the time until then.
    parks: Option<(thread::Thread, Option<Instant>)>,
}

struct Entry {
    at: Reverse<(Instant, u64)>,
    code: Code,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Clock {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's, when it refuses a thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared(Mutex::new(State::default())));
        let of = Arc::clone(&shared);
        fork::arm_for_threads();
        thread::Builder::new().name("heirloom-remote".into()).spawn(move || of.work())?;
        Ok(Self(shared))
    }

    /// Runs the code after this time. The code must not block. In a fork's child it never runs.
    pub(crate) fn after(&self, time: Duration, code: impl FnOnce() + Send + 'static) {
        if fork::is_fork() {
            return;
        }
        // A time that the clock cannot express never comes.
        let Some(at) = Instant::now().checked_add(time) else { return };
        let mut state = self.0.0.lock();
        state.last += 1;
        let at = Reverse((at, state.last));
        state.due.push(Entry { at, code: Box::new(code) });
        // The lock decides who is first: the thread looks after it has noted that it parks. A later time needs no look.
        if state.parks.as_ref().is_some_and(|(_, until)| until.is_none_or(|until| at.0.0 < until))
            && let Some((thread, _)) = state.parks.take()
        {
            thread.unpark();
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if fork::is_fork() {
            return;
        }
        let mut state = self.0.0.lock();
        state.ended = true;
        let parks = state.parks.take();
        drop(state);
        if let Some((thread, _)) = parks {
            thread.unpark();
        }
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let mut state = self.0.lock();
            if state.ended {
                let left = std::mem::take(&mut state.due);
                drop(state);
                swallow(move || drop(left));
                return;
            }
            let now = Instant::now();
            let until = state.due.peek().map(|entry| entry.at.0.0);
            let wait = until.map(|until| until.saturating_duration_since(now));
            if wait.is_some_and(|wait| wait.is_zero()) {
                let code = state.due.pop().map(|entry| entry.code);
                drop(state);
                if let Some(code) = code {
                    swallow(code);
                }
                continue;
            }
            state.parks = Some((thread::current(), until));
            drop(state);
            match wait {
                Some(wait) => thread::park_timeout(wait),
                None => thread::park(),
            }
        }
    }
}
