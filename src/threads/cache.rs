//! [`Cache`]: threads that work on the job that is next in line.
//!
//! One cache is process-wide, and each dedicated pool has one of its own.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crate::sync::ThreadBody;
use crate::sync::clock;
use crate::sync::local::WORDS;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Ordering, thread};
use crate::sync::unwind::swallow;
use crate::threads::job::{DISMISSED, IdleThread, Job, RESERVED, Requests, STARTER, ThreadInfo, WorkerHandle};
use crate::threads::requests::{Next, Owed, ThreadRequests};
use crate::threads::roster::Roster;
use crate::threads::settings::{Settings, SpawnPolicy};
use crate::threads::spin::SpinSlot;
use crate::threads::stats::ThreadStats;
use crate::wait::spin;
use crate::wait::waker_set::WakerSet;

/// How long the cache's spinner polls for a job before it parks; see [`crate::wait::spin`].
const SPIN: Duration = Duration::from_micros(if cfg!(loom) { 0 } else { 40 });

/// Nanoseconds that a spinner leaves an offered task to the task's joiner, if the joiner was quicker the last time. A joiner
/// that lends its thread needs about a fifth of it, so several submits share one offer.
const IN_VAIN: u32 = if cfg!(loom) { 0 } else { 1500 };

pub(crate) struct Cache {
    pub(super) requests: Requests,
    pub(super) slot: SpinSlot<Arc<dyn Job>>,
    prefix: Cow<'static, str>,
    stack_size: Option<usize>,
    /// In nanoseconds; `u64::MAX` is for ever.
    keep_alive: AtomicU64,
    /// The cache serves one pool.
    private: bool,
    policy: Option<Arc<dyn SpawnPolicy>>,
    at_end: Option<fn()>,
    roster: Roster,
    warned: AtomicBool,
    closing: AtomicBool,
}

/// The memory that this room keeps for each thread.
///
/// A thread of a cache makes it before any other of its locals, so it is the last to be destroyed, and tells then that
/// the thread is gone.
pub(super) struct Here {
    /// The cache whose thread this is, while the thread runs and does not wait.
    pub(super) works_for: RefCell<Option<Arc<Cache>>>,
    notifies: RefCell<Option<(Arc<Cache>, Arc<ThreadInfo>)>>,
}

thread_local! {
    static HERE: Here = const { Here::new() };
}

impl Here {
    const fn new() -> Self {
        Self { works_for: RefCell::new(None), notifies: RefCell::new(None) }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        drop(self.works_for.take());
        if let Some((cache, info)) = self.notifies.take() {
            cache.roster.leave(&info);
        }
    }
}

/// `None` when the calling thread has destroyed it.
pub(super) fn with_here<R>(f: impl FnOnce(&Here) -> R) -> Option<R> {
    HERE.try_with(f).ok()
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl Cache {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            requests: ThreadRequests::new(settings.limit, settings.strict),
            slot: SpinSlot::new(),
            prefix: settings.prefix,
            stack_size: settings.stack_size,
            keep_alive: AtomicU64::new(settings.keep_alive.map_or(u64::MAX, nanos)),
            private: settings.private,
            policy: settings.policy,
            at_end: settings.at_end,
            roster: Roster::new(),
            warned: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        })
    }

    /// Sends a thread to the job: the spinner, or the next of the line.
    ///
    /// # Errors
    /// The system's, when the job would have to wait for a thread that the system refuses. The job is not in line then.
    pub(crate) fn request_thread(self: &Arc<Self>, job: Arc<dyn Job>) -> io::Result<()> {
        let job = match self.slot.offer(job) {
            Ok(()) => return Ok(()),
            Err(job) => job,
        };
        let mine = Arc::as_ptr(&job).cast::<()>();
        let owed = self.requests.join(job);
        let Err((error, told)) = self.apply(owed) else { return Ok(()) };
        let mut refused = false;
        for job in told {
            if !refused && std::ptr::eq(Arc::as_ptr(&job).cast::<()>(), mine) {
                refused = true;
            } else {
                job.refused(&error);
            }
        }
        if refused { Err(error) } else { Ok(()) }
    }

    /// Reaching the limit is this cache's normal state: no warning says so.
    pub(crate) fn expect_limit(&self) {
        self.warned.store(true, Ordering::Relaxed);
    }

    /// Does the step that the line is owed. The error has the jobs that wanted the refused thread.
    #[allow(clippy::type_complexity, reason = "one private use")]
    fn apply(self: &Arc<Self>, owed: Owed<Arc<IdleThread>>) -> Result<(), (io::Error, Vec<Arc<dyn Job>>)> {
        match owed {
            Owed::Nothing => Ok(()),
            Owed::Wake(idle_thread) => {
                idle_thread.wake(STARTER);
                Ok(())
            }
            Owed::AtLimit => {
                if !self.private && !self.warned.swap(true, Ordering::Relaxed) {
                    swallow(|| {
                        tracing::warn!(
                            target: "heirloom",
                            limit = self.requests.limit(),
                            "\"{}\" has reached its limit of threads; pools wait for one that finishes (threads::set_limit)",
                            self.prefix,
                        );
                    });
                }
                Ok(())
            }
            Owed::Spawn => {
                let refused = self.policy.as_ref().and_then(|policy| policy.refuses());
                let made = refused.map_or_else(|| self.spawn(None), Err);
                made.map_err(|error| (error, self.requests.spawn_failed()))
            }
        }
    }

    pub(super) fn apply_or_refuse(self: &Arc<Self>, owed: Owed<Arc<IdleThread>>) {
        if let Err((error, told)) = self.apply(owed) {
            for job in told {
                job.refused(&error);
            }
        }
    }

    /// Makes a thread that begins with the job, past the line and the policy. False at the limit.
    pub(crate) fn start(self: &Arc<Self>, job: Arc<dyn Job>) -> io::Result<bool> {
        if !self.requests.reserve() {
            return Ok(false);
        }
        match self.spawn(Some(job)) {
            Ok(()) => Ok(true),
            Err(error) => {
                let owed = self.requests.unreserve();
                self.apply_or_refuse(owed);
                Err(error)
            }
        }
    }

    /// Makes a thread. Its first job is `first`, or else the first in line.
    pub(super) fn spawn(self: &Arc<Self>, first: Option<Arc<dyn Job>>) -> io::Result<()> {
        let info = self.roster.enter();
        let mut builder = thread::Builder::new().name(format!("{}-{}", self.prefix, info.number()));
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let (cache, its) = (Arc::clone(self), Arc::clone(&info));
        let body: ThreadBody = Box::new(move || {
            let noted = with_here(|here| *here.notifies.borrow_mut() = Some((Arc::clone(&cache), Arc::clone(&its))));
            cache.run(&its, first);
            if let Some(at_end) = cache.at_end {
                swallow(at_end);
            }
            cache.roster.free_number(&its);
            if noted.is_none() {
                cache.roster.leave(&its);
            }
        });
        match builder.spawn(body) {
            Ok(handle) if self.private => self.roster.keep(info, handle),
            Ok(_detached) => {}
            Err(error) => {
                self.roster.free_number(&info);
                self.roster.leave(&info);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A thread that parked a job failed to initialise. Returns a parked job that no thread is left for.
    pub(crate) fn give_up_preparing(&self) -> Option<Arc<dyn Job>> {
        self.requests.give_up_preparing()
    }

    /// Takes all parked jobs.
    pub(crate) fn take_parked(&self) -> impl Iterator<Item = Arc<dyn Job>> {
        self.requests.take_parked().into_iter()
    }

    /// No longer waits for this thread: it is in code that may never return. It ends when that code does.
    pub(crate) fn abandon(&self, info: &ThreadInfo) {
        self.roster.abandon(info);
    }

    /// A thread's life.
    fn run(self: &Arc<Self>, info: &Arc<ThreadInfo>, first: Option<Arc<dyn Job>>) {
        WORDS.with(|words| words.cache.set(Arc::as_ptr(self)));
        with_here(|here| *here.works_for.borrow_mut() = Some(Arc::clone(self)));
        let idle_thread = IdleThread::here();
        let apply = |owed| self.apply_or_refuse(owed);
        let mut worker = WorkerHandle::new(&self.requests, &self.slot, &apply, info);
        let mut job = first.or_else(|| self.thread_started());
        loop {
            if let Some(now) = job.take() {
                job = now.work(&mut worker);
            }
            if job.is_some() {
                continue;
            }
            if worker.retired {
                worker.let_go(true);
                return self.retire();
            }
            let in_vain = std::mem::take(&mut worker.in_vain);
            if worker.open {
                job = self.spin(in_vain);
                worker.open = false;
                if job.is_some() {
                    continue;
                }
            }
            job = match self.requests.thread_idle(Arc::clone(&idle_thread), std::mem::take(&mut worker.preparing)) {
                Next::Job(job) => Some(job),
                Next::End => return worker.let_go(true),
                Next::Idle => {
                    worker.let_go(false);
                    match idle_thread.sleep(&self.requests, self.keep_alive()) {
                        STARTER => self.thread_started(),
                        RESERVED => idle_thread.job.lock().take(),
                        _ => return worker.let_go(true),
                    }
                }
            };
        }
    }

    /// A thread takes no further job.
    pub(crate) fn retire(self: &Arc<Self>) {
        let owed = self.requests.retire();
        self.apply_or_refuse(owed);
    }

    fn thread_started(self: &Arc<Self>) -> Option<Arc<dyn Job>> {
        let (job, owed) = self.requests.thread_started();
        self.apply_or_refuse(owed);
        job
    }

    /// With the slot open: spins for an offer. A spinner that came in vain leaves the next offer to a joiner for a moment.
    fn spin(&self, in_vain: bool) -> Option<Arc<dyn Job>> {
        let mut until = None;
        let collect = || {
            if in_vain && self.slot.is_given() {
                clock::spin_for(IN_VAIN);
            }
            self.slot.collect()
        };
        let ends = || {
            let now = Instant::now();
            now >= *until.get_or_insert(now + SPIN) || self.requests.is_wanted() || self.closing.load(Ordering::Relaxed)
        };
        spin::IDLE.until(collect, ends).or_else(|| self.slot.close())
    }

    /// Lets every thread end as soon as it is idle.
    pub(crate) fn dismiss(&self) {
        self.closing.store(true, Ordering::Relaxed);
        for idle_thread in self.requests.close() {
            idle_thread.wake(DISMISSED);
        }
    }

    /// Whether the dismissed threads are gone, their thread-locals destroyed. Also true on one of these threads, which
    /// asks in such a destructor and would wait for itself.
    pub(crate) fn is_gone(&self) -> bool {
        self.roster.is_gone() || self.is_here()
    }

    /// After [`is_gone`](Self::is_gone): blocks while the system ends the threads, which runs no user code. Concurrent
    /// callers all block.
    pub(crate) fn join_gone(&self) {
        if !self.is_here() {
            self.roster.join_gone();
        }
    }

    /// The calling thread is one of the cache's.
    fn is_here(&self) -> bool {
        std::ptr::eq(WORDS.with(|words| words.cache.get()), self)
    }

    /// The number of threads in a heirloom wait.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.waiting()
    }

    /// Notified when the last thread is gone.
    pub(crate) fn gone(&self) -> &WakerSet {
        self.roster.gone()
    }

    pub(crate) fn limit(&self) -> usize {
        self.requests.limit()
    }

    pub(crate) fn set_limit(self: &Arc<Self>, limit: usize) {
        self.warned.store(false, Ordering::Relaxed);
        let owed = self.requests.set_limit(limit);
        self.apply_or_refuse(owed);
    }

    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        match self.keep_alive.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_keep_alive(&self, idle: Duration) {
        self.keep_alive.store(nanos(idle), Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> ThreadStats {
        let counts = self.requests.counts();
        ThreadStats {
            live: counts.live,
            idle: counts.idle,
            waiting: counts.waiting,
            wanted: counts.wanted,
            peak: counts.peak,
            started: counts.started,
        }
    }
}
