//! [`Warm`]: threads that run an initialiser before their first task.
//!
//! # The life of a thread
//! ```text
//!   made --begin--> initialising --end--> ready, and works
//!                     |     \--end, failed--> ends
//!                     \--close--> abandoned --end--> ends
//! ```
//! One lock decides between `end` and `close`: the caller that takes the thread off the list of those under way decides
//! the thread's future. A thread that was requested for a task parks the job, with its permit, during the initialiser
//! ([`crate::threads::requests`]). A ready thread without other work takes the job over.
//!
//! # A start that waits
//! The start makes `wanted` threads, a few at a time: each thread that becomes ready makes the next. One caller
//! *decides* how the start ends, does the work that follows from it, and only then publishes the outcome. That caller
//! is the first of these: the last wanted thread, the first failed thread, a waiter at the deadline, the code that ends
//! the pool.
//!
//! # A failure later
//! When a thread fails and no other thread is there for a parked job, the job's permit is released. No new thread is
//! made for a pause that grows with each failure. During the pause the pool is in the same position as one that the
//! system refuses a thread ([`crate::pool::core::pool`]): ready threads go on, and when no permit is taken, queued
//! tasks end with the initialiser's error.
//!
//! A pool without a taken permit may still have a worker: a ready thread may have released its permit a moment ago and
//! be about to become idle, where it is found. So as long as a ready thread exists that is in no wait, queued tasks are
//! left to it, and a thread that has become idle, or ends, looks at the queue again. A submitter looks for idle threads
//! after the push, and a thread looks at the queue after it has become idle: one of the two sees the other.
//!
//! # The end of the pool
//! No wait lasts for an initialiser that no task needs: when the last task has ended, the threads still under way are
//! abandoned. The permits of their parked jobs are released, and the pool's end does not count these threads. They end
//! when their initialiser returns, and never work.

use std::io;
use std::time::{Duration, Instant};

use crate::error::worker_init::{SharedInitError, WorkerInitFailed};
use crate::pool::config::threads::ThreadConfig;
use crate::pool::config::worker_ctx::Hook;
use crate::pool::context::thread::WorkerPurpose;
use crate::sync::os::{Arc, Mutex};
use crate::threads::job::ThreadInfo;
use crate::threads::settings::SpawnPolicy;
use crate::wait::waker_set::WakerSet;

/// The number of threads that a start initialises at a time, by default.
const DEFAULT_CONCURRENCY: usize = 4;
/// The time that a start waits, by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a first failure, and how often it doubles. The models know no time: the pause lasts for ever there.
const FIRST_BACKOFF: Duration = if cfg!(loom) { Duration::MAX } else { Duration::from_millis(100) };
const DOUBLINGS: u32 = 7;

/// The reason why a start did not get its threads.
#[derive(Clone)]
pub(crate) enum WarmupError {
    /// The first initialiser that failed.
    Init(SharedInitError),
    /// The system refused a thread.
    Thread(Arc<io::Error>),
    TimedOut {
        ready: usize,
    },
    /// The pool was closed or cancelled meanwhile.
    Ended,
}

/// The outcome of `end`, which says the thread's next duty.
#[must_use]
pub(crate) enum After {
    /// The thread may work. As many further threads are to be made.
    Ready { make: usize },
    /// The thread was the last that a start waits for: it publishes the outcome, and works.
    LastReady,
    /// The thread must end; if `decides`, it also ends the start.
    Failed { error: SharedInitError, decides: bool },
    /// The thread's job was taken over. It only ends.
    Abandoned,
}

pub(crate) struct Warm {
    pub(super) hook: Option<Hook>,
    pub(super) wanted: usize,
    concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) state: Mutex<WarmupState>,
    /// Notified when the outcome of the start is published.
    pub(super) changed: WakerSet,
}

#[derive(Default)]
pub(super) struct WarmupState {
    /// Threads made for the start that have not begun.
    coming: usize,
    under_way: Vec<Arc<ThreadInfo>>,
    /// Threads initialised so far.
    ready: usize,
    /// The initialised threads that have not ended.
    alive: usize,
    /// Abandoned threads, still in their initialiser.
    abandoned: usize,
    /// No further thread begins.
    closed: bool,
    /// A caller has decided how the start ends, and is about to publish it.
    decided: bool,
    outcome: Option<Result<(), WarmupError>>,
    failures: u32,
    backoff: Option<Backoff>,
}

/// A pause in which no thread is made.
pub(super) struct Backoff {
    /// `None` is for ever.
    until: Option<Instant>,
    error: SharedInitError,
}

impl WarmupState {
    /// Begins a pause, unless there is one: threads that fail together are one failure. Returns the pause before, to be
    /// dropped outside the lock: it holds a user's error.
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
    /// `None` for the many pools whose threads need no preparation.
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

    /// Returns the number of further threads for the start to make now. They count as coming.
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

    /// Counts a thread out that was to be made and was not.
    pub(super) fn was_not_made(&self) {
        self.state.lock().coming -= 1;
    }

    /// Begins a thread's initialiser. Returns false when it is too late.
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

    /// Ends a thread's initialiser.
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

    /// Takes the threads under way off the list. No further thread begins.
    pub(super) fn close(&self) -> Vec<Arc<ThreadInfo>> {
        let mut state = self.state.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.under_way);
        state.abandoned += left.len();
        left
    }

    /// Claims the decision how the start ends. Returns true to one caller.
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

    /// The number of abandoned initialisers that still run.
    pub(crate) fn abandoned(&self) -> usize {
        self.state.lock().abandoned
    }

    /// Ends a waiting start of a pool that was closed or cancelled.
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
