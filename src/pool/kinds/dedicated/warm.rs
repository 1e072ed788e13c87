//! [`Warm`]: threads that run an initialiser before their first task.
//!
//! # The life of a thread
//! ```text
//!   made --begin--> initialising --end--> ready, and works
//!                     |     \--end, failed--> ends
//!                     \--close--> abandoned --end--> ends
//! ```
//! One lock decides between `end` and `close`: whoever takes the thread off the list of those under way says what
//! becomes of it. A thread that was sent for a task sets the job, with the place that was taken for it, aside meanwhile
//! ([`crate::threads::requests`]): a thread that is ready and has nothing else to do takes it over.
//!
//! # A start that waits
//! `wanted` threads are made at first, a few at a time: each that is ready makes the next. Whoever learns first how the
//! start ends *decides* it, does what it owes, and only then publishes it: the last thread that was wanted, the first
//! that failed, whoever waits when the time is over, whoever ends the pool meanwhile.
//!
//! # A failure later
//! When a thread fails and nobody else is there for a job that is aside, the job's place is given back. No new thread
//! is made for a pause that grows with each failure. For that time the pool is in the same position as one that the
//! system refuses a thread ([`crate::pool::core::pool`]): threads that are ready go on; when no place is taken, what is
//! queued ends with the initialiser's error.
//!
//! "No place is taken" does not mean that nobody is there: a ready thread may have given its place back a moment ago
//! and be about to go idle, where it is found. So as long as a ready thread exists that is in no wait, what is queued
//! is left to it, and a thread that has gone idle, or ends, looks at the queue again. A submitter looks for idle
//! threads after it has pushed, and a thread at the queue after it has gone idle: one of the two sees the other.
//!
//! # The end of the pool
//! Nothing waits for an initialiser that no task needs: when the last task has ended, the threads still under way are
//! abandoned. What is aside is given back for them and the pool's end does not count them. They end when their
//! initialiser returns, and never work.

use std::io;
use std::time::{Duration, Instant};

use crate::error::worker_init::{SharedInitError, WorkerInitFailed};
use crate::pool::config::threads::ThreadConfig;
use crate::pool::config::worker_ctx::Hook;
use crate::pool::context::thread::WorkerPurpose;
use crate::sync::os::{Arc, Mutex};
use crate::threads::cache::{SpawnPolicy, ThreadInfo};
use crate::wait::waker_set::WakerSet;

/// How many threads a start initialises at a time, unless told otherwise.
const DEFAULT_CONCURRENCY: usize = 4;
/// How long a start waits, unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// After a first failure, and how often it doubles. The models know no time: there it is for ever.
const FIRST_BACKOFF: Duration = if cfg!(loom) { Duration::MAX } else { Duration::from_millis(100) };
const DOUBLINGS: u32 = 7;

/// Why a start did not get its threads.
#[derive(Clone)]
pub(crate) enum WarmupError {
    /// The first initialiser that failed.
    Init(SharedInitError),
    /// The system refused a thread.
    Thread(Arc<io::Error>),
    TimedOut {
        ready: usize,
    },
    /// The pool was told to end meanwhile.
    Ended,
}

/// What `end` found, so what the thread owes.
#[must_use]
pub(crate) enum After {
    /// It may work. As many threads are to be made.
    Ready { make: usize },
    /// It was the last one that a start waits for: tell, and work.
    LastReady,
    /// It must end; if `decides`, it also ends the start.
    Failed { error: SharedInitError, decides: bool },
    /// Everything it held was taken over. It only ends.
    Abandoned,
}

pub(crate) struct Warm {
    pub(super) hook: Option<Hook>,
    pub(super) wanted: usize,
    concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) state: Mutex<WarmupState>,
    /// Told when the outcome of the start is there.
    pub(super) changed: WakerSet,
}

#[derive(Default)]
pub(super) struct WarmupState {
    /// Made for the start, and not there yet.
    coming: usize,
    under_way: Vec<Arc<ThreadInfo>>,
    /// Initialised so far.
    ready: usize,
    /// Those of them that have not ended.
    alive: usize,
    /// Abandoned, and still in their initialiser.
    abandoned: usize,
    /// Nobody begins any more.
    closed: bool,
    /// Somebody has decided how the start ends, and is about to say so.
    decided: bool,
    outcome: Option<Result<(), WarmupError>>,
    failures: u32,
    backoff: Option<Backoff>,
}

/// No thread is made for a while.
pub(super) struct Backoff {
    /// `None` is for ever.
    until: Option<Instant>,
    error: SharedInitError,
}

impl WarmupState {
    /// Begins a pause, unless there is one: threads that fail together are one failure. The one before comes back, to
    /// be dropped outside the lock: it holds a user's error.
    pub(super) fn backoff(&mut self, error: &SharedInitError) -> Option<Backoff> {
        let now = Instant::now();
        if self.backoff.as_ref().is_some_and(|backoff| !backoff.is_over(now)) {
            return None;
        }
        let doublings = self.failures.min(DOUBLINGS);
        self.failures += 1;
        let until = now.checked_add(FIRST_BACKOFF.saturating_mul(1 << doublings));
        self.backoff.replace(Backoff { until, error: error.clone() })
    }
}

impl Backoff {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Warm {
    /// Nothing, for the many pools whose threads need no preparation.
    pub(crate) fn new(hook: Option<Hook>, threads: &ThreadConfig) -> Option<Arc<Self>> {
        if hook.is_none() && threads.warm == 0 {
            return None;
        }
        let outcome = (threads.warm == 0).then_some(Ok(()));
        Some(Arc::new(Self {
            hook,
            wanted: threads.warm,
            concurrency: threads.warm_at_once.unwrap_or(DEFAULT_CONCURRENCY),
            timeout: threads.warm_timeout.unwrap_or(DEFAULT_TIMEOUT),
            state: Mutex::new(WarmupState { decided: outcome.is_some(), outcome, ..WarmupState::default() }),
            changed: WakerSet::new(),
        }))
    }

    /// How many more threads the start is to make now. They count as coming.
    pub(super) fn make_more(&self, state: &mut WarmupState) -> usize {
        if state.decided || state.closed {
            return 0;
        }
        let coming = state.coming + state.under_way.len();
        let missing = self.wanted.saturating_sub(state.ready + coming);
        let make = missing.min(self.concurrency.saturating_sub(coming));
        state.coming += make;
        make
    }

    /// One that was to be made was not.
    pub(super) fn was_not_made(&self) {
        self.state.lock().coming -= 1;
    }

    /// A thread is there and is about to run its initialiser. False when it is too late.
    pub(crate) fn begin(&self, info: &Arc<ThreadInfo>, purpose: WorkerPurpose) -> bool {
        let mut state = self.state.lock();
        if purpose == WorkerPurpose::ForStart {
            state.coming -= 1;
        }
        if !state.closed {
            state.under_way.push(Arc::clone(info));
        }
        !state.closed
    }

    /// The initialiser has returned.
    pub(crate) fn end(&self, info: &Arc<ThreadInfo>, result: Result<(), SharedInitError>) -> After {
        let mut state = self.state.lock();
        let Some(at) = state.under_way.iter().position(|other| Arc::ptr_eq(other, info)) else {
            state.abandoned -= 1;
            return After::Abandoned;
        };
        state.under_way.swap_remove(at);
        match result {
            Ok(()) => {
                state.ready += 1;
                state.alive += 1;
                state.failures = 0;
                let over = state.backoff.take();
                let last = !state.decided && state.ready >= self.wanted;
                state.decided |= last;
                let make = self.make_more(&mut state);
                drop(state);
                drop(over);
                if last { After::LastReady } else { After::Ready { make } }
            }
            Err(error) => {
                let before = state.backoff(&error);
                let decides = !std::mem::replace(&mut state.decided, true);
                drop(state);
                drop(before);
                After::Failed { error, decides }
            }
        }
    }

    /// Takes the threads under way off the list. No other begins.
    pub(super) fn close(&self) -> Vec<Arc<ThreadInfo>> {
        let mut state = self.state.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.under_way);
        state.abandoned += left.len();
        left
    }

    /// How the start ends is the caller's to say. True for one caller.
    pub(super) fn decide(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().decided, true)
    }

    pub(super) fn publish(&self, outcome: Result<(), WarmupError>) {
        self.state.lock().outcome = Some(outcome);
        self.changed.wake_all();
    }

    pub(super) fn outcome(&self) -> Option<Result<(), WarmupError>> {
        self.state.lock().outcome.clone()
    }

    pub(super) fn one_ends(&self) {
        self.state.lock().alive -= 1;
    }

    pub(super) fn alive(&self) -> usize {
        self.state.lock().alive
    }

    pub(super) fn ready(&self) -> usize {
        self.state.lock().ready
    }

    /// Abandoned initialisers that still run.
    pub(crate) fn abandoned(&self) -> usize {
        self.state.lock().abandoned
    }

    /// The pool was told to end: a start that waits learns it.
    pub(crate) fn stop_waiting(&self) {
        if self.decide() {
            self.publish(Err(WarmupError::Ended));
        }
    }
}

impl SpawnPolicy for Warm {
    fn refuses(&self) -> Option<io::Error> {
        let state = self.state.lock();
        let backoff = state.backoff.as_ref().filter(|backoff| !backoff.is_over(Instant::now()))?;
        Some(WorkerInitFailed(backoff.error.clone()).into())
    }
}
