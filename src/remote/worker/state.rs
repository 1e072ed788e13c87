//! [`Worker`]: the half of a link that runs jobs, and what it knows: servings, runs and followed processes.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::remote::clock::Clock;
use crate::remote::worker::core::Core;
use crate::remote::worker::run::Run;
use crate::remote::worker::soon::Soon;
use crate::sync::os::{Arc, AtomicU64, Mutex, Ordering, Weak};
use crate::wire::address::{JobId, ProcessId};
use crate::wire::engine::Answer;
use crate::wire::fault::Fault;
use crate::wire::link::Link;
use crate::wire::message::{self, Ask};

/// How often an origin is gone in a row, a third of a lease apart, until it counts as dead.
pub(super) const GONE: u32 = 4;

/// The half of a link that runs jobs.
pub(crate) struct Worker {
    link: Weak<Link>,
    pub(super) clock: Clock,
    pub(super) lease: Duration,
    asks: AtomicU64,
    /// Counts the changes of the connection, so that a miss counts only for a request of the same connection.
    pub(super) connects: AtomicU64,
    pub(super) state: Mutex<State>,
    pub(super) soon: Soon,
}

#[derive(Default)]
pub(super) struct State {
    /// The open serving of each queue.
    pub(super) servings: HashMap<Arc<str>, Arc<Core>>,
    /// All servings that have jobs, or are open.
    pub(super) cores: Vec<Weak<Core>>,
    pub(super) runs: HashMap<JobId, Arc<Run>>,
    /// The processes whose broadcasts this one gets.
    pub(super) followed: HashMap<ProcessId, Presence>,
}

/// The signs of one process.
#[derive(Clone, Copy, Default)]
pub(super) struct Presence {
    /// Signs without an answer, in a row.
    pub(super) misses: u32,
    /// All of these were answered by the engine: there is no such process.
    pub(super) gone: bool,
    /// A delivery of the process has come since the last sign.
    pub(super) is_new: bool,
}

impl Worker {
    pub(super) fn new(link: &Arc<Link>) -> io::Result<Self> {
        Ok(Self {
            link: Arc::downgrade(link),
            clock: Clock::start()?,
            lease: link.engine.lease(),
            asks: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            state: Mutex::new(State::default()),
            soon: Soon::default(),
        })
    }

    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.upgrade()
    }

    /// Returns a number for a request to begin, which no other request of this process has.
    pub(super) fn next_ask(&self) -> u64 {
        self.asks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Calls `then` after this time, unless the worker is dropped before.
    pub(super) fn after(self: &Arc<Self>, time: Duration, then: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let weak = Arc::downgrade(self);
        self.clock.after(time, move || {
            if let Some(worker) = weak.upgrade() {
                then(&worker);
            }
        });
    }

    /// Sends a request to a process, and calls `then` with its answer, unless the worker is dropped before.
    pub(super) fn request(
        self: &Arc<Self>,
        to: &ProcessId,
        ask: &Ask,
        within: Duration,
        then: impl FnOnce(&Arc<Self>, Result<Bytes, Fault>) + Send + 'static,
    ) {
        let Some(link) = self.link() else { return };
        let weak = Arc::downgrade(self);
        let answered = Answer::new(move |outcome| {
            if let Some(worker) = weak.upgrade() {
                then(&worker, outcome);
            }
        });
        link.engine.request(to, message::encode(ask), within, answered);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link().is_some_and(|link| link.engine.is_connected())
    }

    /// Returns how long a request may take until it is repeated.
    pub(super) fn within(&self) -> Duration {
        (self.lease / 6).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    /// Returns the time between two signs.
    pub(super) fn period(&self) -> Duration {
        (self.lease / 3).max(Duration::from_millis(5))
    }

    /// Returns the pause before a request is repeated: 10 ms, twice that, and so on, at most a third of the lease.
    pub(super) fn pause(&self, tries: u32) -> Duration {
        Duration::from_millis(10).saturating_mul(1 << tries.min(10)).min(self.period())
    }

    /// Calls `f` with each serving.
    pub(super) fn cores(&self) -> Vec<Arc<Core>> {
        let mut state = self.state.lock();
        state.cores.retain(|core| core.strong_count() > 0);
        state.cores.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn runs(&self) -> Vec<Arc<Run>> {
        self.state.lock().runs.values().cloned().collect()
    }

    /// The process has answered.
    pub(super) fn lives(&self, process: &ProcessId) {
        if let Some(presence) = self.state.lock().followed.get_mut(process) {
            (presence.misses, presence.gone) = (0, false);
        }
    }

    /// Forgets missed signs: a sign that is missed without a connection proves nothing.
    pub(super) fn forget_misses(&self) {
        for presence in self.state.lock().followed.values_mut() {
            (presence.misses, presence.gone) = (0, false);
        }
    }
}
