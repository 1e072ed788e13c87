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

use crate::error::worker_init::{Said, SharedInitError, WorkerInitFailed};
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::config::ThreadConfig;
use crate::pool::context::frame;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::init::{self, Hook};
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow;
use crate::threads::cache::{self, Job, SpawnPolicy, ThreadInfo, WorkerHandle};
use crate::wait::park;
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

/// How a thread came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerPurpose {
    /// For a task: it brings a place.
    ForTask,
    /// For a start.
    ForStart,
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
    hook: Option<Hook>,
    wanted: usize,
    concurrency: usize,
    timeout: Duration,
    state: Mutex<WarmupState>,
    /// Told when the outcome of the start is there.
    changed: WakerSet,
}

#[derive(Default)]
struct WarmupState {
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
struct Backoff {
    /// `None` is for ever.
    until: Option<Instant>,
    error: SharedInitError,
}

impl WarmupState {
    /// Begins a pause, unless there is one: threads that fail together are one failure. The one before comes back, to
    /// be dropped outside the lock: it holds a user's error.
    fn backoff(&mut self, error: &SharedInitError) -> Option<Backoff> {
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
    fn make_more(&self, state: &mut WarmupState) -> usize {
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
    fn was_not_made(&self) {
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
    fn close(&self) -> Vec<Arc<ThreadInfo>> {
        let mut state = self.state.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.under_way);
        state.abandoned += left.len();
        left
    }

    /// How the start ends is the caller's to say. True for one caller.
    fn decide(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().decided, true)
    }

    fn publish(&self, outcome: Result<(), WarmupError>) {
        self.state.lock().outcome = Some(outcome);
        self.changed.wake_all();
    }

    fn outcome(&self) -> Option<Result<(), WarmupError>> {
        self.state.lock().outcome.clone()
    }

    fn one_ends(&self) {
        self.state.lock().alive -= 1;
    }

    fn alive(&self) -> usize {
        self.state.lock().alive
    }

    fn ready(&self) -> usize {
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

/// The first job of a thread that a start made.
struct WarmUp(Arc<Pool>);

impl Job for WarmUp {
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        self.0.prepare(worker, WorkerPurpose::ForStart);
        // Ready or not, it holds no place: it rests, or takes who is in line.
        None
    }

    fn refused(self: Arc<Self>, _error: &io::Error) {
        unreachable!("it is never in line")
    }
}

impl Pool {
    fn warm(&self) -> Option<&Warm> {
        match &self.kind {
            Kind::Dedicated(own) => own.warm.as_deref(),
            Kind::Leased | Kind::Local(_) | Kind::WorkStealing(_) => None,
        }
    }

    /// Makes the first threads that a start waits for.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        if let Some(warm) = self.warm() {
            let make = warm.make_more(&mut warm.state.lock());
            self.make(warm, make);
        }
    }

    fn make(self: &Arc<Self>, warm: &Warm, threads: usize) {
        for made in 0..threads {
            match self.kind.cache().start(Arc::new(WarmUp(Arc::clone(self)))) {
                Ok(true) => {}
                // As many as there may be: some came for tasks, and each of them counts when it is ready.
                Ok(false) => warm.was_not_made(),
                Err(error) => {
                    (made..threads).for_each(|_| warm.was_not_made());
                    if warm.decide() {
                        self.end_start(warm, WarmupError::Thread(Arc::new(error)));
                    }
                    return;
                }
            }
        }
    }

    /// Before a thread of the pool's own does anything: runs the initialiser. True when the thread may go on with what
    /// it came for; otherwise it rests, or ends.
    pub(crate) fn prepare(self: &Arc<Self>, worker: &mut WorkerHandle<'_>, purpose: WorkerPurpose) -> bool {
        let Kind::Dedicated(own) = &self.kind else { return true };
        if worker.is_prepared() {
            return true;
        }
        let info = Arc::clone(worker.info());
        let Some(warm) = &own.warm else {
            init::attach(self, &own.below, &info);
            worker.set_prepared(&(Arc::clone(self) as _));
            return true;
        };
        if purpose == WorkerPurpose::ForTask && !worker.park_job(Arc::clone(self) as _) {
            // An idle thread is there after all.
            worker.retire();
            return false;
        }
        // Aside first: if the pool lets go of what is aside before this, it is said here that it is too late.
        if !warm.begin(&info, purpose) {
            self.release_parked();
            self.end_if_over();
            worker.retire();
            return false;
        }
        init::attach(self, &own.below, &info);
        let result = warm.hook.as_ref().map_or(Ok(()), |hook| init::initialise(self, hook, &info, purpose));
        if self.has_initialised(warm, &info, purpose, result.map_err(SharedInitError::from)) {
            worker.set_prepared(&(Arc::clone(self) as _));
        } else {
            worker.retire();
        }
        // What it came for is aside, if nobody has taken it over.
        false
    }

    /// What follows an initialiser. Whether the thread may work.
    fn has_initialised(
        self: &Arc<Self>,
        warm: &Warm,
        info: &Arc<ThreadInfo>,
        purpose: WorkerPurpose,
        result: Result<(), SharedInitError>,
    ) -> bool {
        match warm.end(info, result) {
            After::Ready { make } => {
                self.make(warm, make);
                true
            }
            After::LastReady => {
                warm.publish(Ok(()));
                true
            }
            After::Abandoned => {
                init::detach();
                false
            }
            After::Failed { error, decides } => {
                init::detach();
                swallow(|| {
                    tracing::warn!(
                        target: "heirloom",
                        namespace = %self.namespace,
                        worker = info.number(),
                        %error,
                        "a worker's initialiser failed; the worker ends without having had a task",
                    );
                });
                self.give_up(purpose);
                if decides {
                    self.end_start(warm, WarmupError::Init(error));
                }
                false
            }
        }
    }

    /// A thread will not become ready.
    fn give_up(self: &Arc<Self>, purpose: WorkerPurpose) {
        if purpose == WorkerPurpose::ForTask && self.kind.cache().give_up_preparing().is_some() {
            if self.permits.release(false) {
                self.end_if_over();
            }
            if !self.queue.is_empty() {
                // A ready thread that is idle comes; if there is none, the gate refuses a new one.
                self.send_if_permit();
            }
        }
    }

    /// No place is taken, and yet a ready thread will look at the queue: it is about to go idle, or to end.
    pub(crate) fn somebody_looks(&self) -> bool {
        self.warm().is_some_and(|warm| warm.alive() > self.kind.cache().waiting())
    }

    /// A ready thread has gone idle, or ends.
    pub(crate) fn let_go(self: &Arc<Self>, ends: bool) {
        let Some(warm) = self.warm() else { return };
        if ends {
            warm.one_ends();
        }
        if !self.queue.is_empty() {
            self.send_if_permit();
        }
    }

    /// Code in an initialiser ends the process: its thread does not come back, and the pool goes on without it.
    pub(crate) fn initialiser_exits(self: &Arc<Self>, info: &Arc<ThreadInfo>, purpose: WorkerPurpose) {
        let Some(warm) = self.warm() else { return };
        let error = said("it ended the process");
        if let After::Failed { error, decides } = warm.end(info, Err(error)) {
            self.give_up(purpose);
            self.kind.cache().retire();
            if decides {
                self.end_start(warm, WarmupError::Init(error));
            }
        }
    }

    /// The start failed, which the caller has decided: ends what was started, then says so.
    fn end_start(self: &Arc<Self>, warm: &Warm, unready: WarmupError) {
        let error = match &unready {
            WarmupError::Init(error) => error.clone(),
            WarmupError::Thread(error) => SharedInitError::from(Arc::clone(error) as Arc<_>),
            WarmupError::TimedOut { .. } => said("the start of the pool timed out"),
            WarmupError::Ended => said("the pool was told to end"),
        };
        self.tracker.close();
        self.fail_queued(&WorkerInitFailed(error).into());
        self.cancel();
        self.abandon_initialisers();
        self.end_if_over();
        warm.publish(Err(unready));
    }

    /// A ready thread's state was lost and could not be made anew. The thread ends, and for a pause no other is made.
    pub(crate) fn state_failed(&self, error: &SharedInitError) {
        let Some(warm) = self.warm() else { return };
        let before = warm.state.lock().backoff(error);
        drop(before);
        swallow(|| {
            tracing::warn!(
                target: "heirloom",
                namespace = %self.namespace,
                %error,
                "a worker's state was lost in a panic and could not be made anew; the worker ends",
            );
        });
    }

    /// Nobody needs the threads under way any more: lets go of them and of what they have set aside.
    pub(crate) fn abandon_initialisers(&self) {
        let Some(warm) = self.warm() else { return };
        for info in warm.close() {
            self.kind.cache().abandon(&info);
        }
        if let Some(states) = self.kind.states() {
            states.close();
        }
        self.release_parked();
    }

    fn release_parked(&self) {
        for _place in self.kind.cache().take_parked() {
            // Whether it was the last one is what the caller looks at next.
            let _ = self.permits.release(false);
        }
    }

    /// No thread is waited for.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.warm().is_none_or(|warm| matches!(warm.outcome(), Some(Ok(()))))
    }

    /// Waits until a start has its threads, or has failed; at the deadline the caller ends it.
    pub(crate) fn wait_ready(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), WarmupError> {
        let Some(warm) = self.warm() else { return Ok(()) };
        if let Some(outcome) = warm.outcome() {
            return outcome;
        }
        // An initialiser that asks for its own pool has it: waiting for itself would help nobody.
        if frame::is_in(self) {
            return Ok(());
        }
        let _away = PermitsReleased::begin_until(deadline);
        let there = || warm.outcome().is_some();
        if !block_on_wakers(&warm.changed, deadline, there) {
            self.time_out();
            // Whoever has decided already is about to publish.
            block_on_wakers(&warm.changed, None, there);
        }
        warm.outcome().unwrap_or(Err(WarmupError::Ended))
    }

    /// The start has taken too long, unless it has just ended.
    pub(crate) fn time_out(self: &Arc<Self>) {
        if let Some(warm) = self.warm()
            && warm.decide()
        {
            let ready = warm.ready();
            self.end_start(warm, WarmupError::TimedOut { ready });
        }
    }

    /// Waits for what `wait_ready` waits for without blocking the runtime. A borrowed thread keeps the time, also when
    /// the future is dropped meanwhile.
    pub(crate) async fn await_ready(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), WarmupError> {
        let Some(warm) = self.warm() else { return Ok(()) };
        if let Some(outcome) = warm.outcome() {
            return outcome;
        }
        if let Some(deadline) = deadline {
            let keeper = Arc::new(WarmupTimeout { pool: Arc::clone(self), deadline });
            if let Err(error) = crate::threads::leased().request_thread(Arc::clone(&keeper) as _) {
                keeper.refused(&error);
            }
        }
        warm.changed.until(|| warm.outcome().is_some()).await;
        warm.outcome().unwrap_or(Err(WarmupError::Ended))
    }

    /// When a start that begins now has taken too long.
    pub(crate) fn ready_by(&self) -> Option<Instant> {
        self.warm().and_then(|warm| park::after(warm.timeout))
    }

    /// How many threads a start waits for, and how long.
    pub(crate) fn warm_wanted(&self) -> (usize, Duration) {
        self.warm().map_or((0, Duration::ZERO), |warm| (warm.wanted, warm.timeout))
    }

    pub(crate) fn stop_warming(&self) {
        if let Some(warm) = self.warm() {
            warm.stop_waiting();
        }
    }

    /// Abandoned initialisers that still run.
    pub(crate) fn abandoned(&self) -> usize {
        self.warm().map_or(0, Warm::abandoned)
    }
}

fn said(text: &str) -> SharedInitError {
    SharedInitError::from(Box::new(Said(text.into())) as Box<_>)
}

/// Ends a start that nobody blocks for when its time is over.
struct WarmupTimeout {
    pool: Arc<Pool>,
    deadline: Instant,
}

impl Job for WarmupTimeout {
    fn work(self: Arc<Self>, _hand: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        let _waits = cache::block_here();
        let _ = self.pool.wait_ready(Some(self.deadline));
        None
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        if let Some(warm) = self.pool.warm()
            && warm.decide()
        {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.pool.end_start(warm, WarmupError::Thread(Arc::new(copy)));
        }
    }
}
