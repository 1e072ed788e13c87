//! [`Cache`]: threads that do whatever job is next in line. One process-wide, and one for each dedicated pool.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::sync::os::thread::{self, JoinHandle, Thread};
use crate::sync::os::{Arc, AtomicBool, AtomicU64, AtomicUsize, LazyLock, Mutex, Ordering, Weak};
use crate::sync::unwind::swallow;
use crate::threads::requests::{Next, Owed, ThreadRequests};
use crate::threads::spin::SpinSlot;
use crate::threads::stats::ThreadStats;
use crate::wait::waker_set::WakerSet;

/// How long the spinner looks for work before it sleeps. Waking a sleeping thread takes 5 to 50 µs, so spinning about
/// as long costs at most twice the best (the ski-rental argument), and an idle process soon uses no CPU.
const SPIN: Duration = Duration::from_micros(if cfg!(loom) { 0 } else { 40 });
/// How often it looks between two looks at the clock.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 64 };

/// What a thread does.
pub(crate) trait Job: Send + Sync {
    /// Works until there is nothing left to do, or it is somebody else's turn.
    ///
    /// What it returns is somebody else's, whose turn it is.
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>>;
    /// The system refused the thread this job was waiting for.
    fn refused(self: Arc<Self>, error: &io::Error);
    /// A thread that was prepared for it has gone idle, so it is found from now on; or it `ends`, and is not.
    fn let_go(self: Arc<Self>, _ends: bool) {}
}

/// Whether a cache may make threads now.
pub(crate) trait SpawnPolicy: Send + Sync {
    /// Why none is to be made, as if the system had refused it.
    fn refuses(&self) -> Option<io::Error>;
}

/// How a cache makes its threads.
pub(crate) struct Settings {
    pub(crate) prefix: Cow<'static, str>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) limit: usize,
    /// Threads inside a wait count against the limit too.
    pub(crate) strict: bool,
    /// It serves one pool: reaching the limit is its normal state.
    pub(crate) private: bool,
    pub(crate) policy: Option<Arc<dyn SpawnPolicy>>,
    /// What each thread does last, before its locals are destroyed.
    pub(crate) at_end: Option<fn()>,
}

/// One thread, as its cache counts it.
pub(crate) struct ThreadInfo {
    number: usize,
    /// Its cache's end waits for it.
    counted: AtomicBool,
    abandoned: AtomicBool,
}

impl ThreadInfo {
    /// The number in the thread's name. Another thread may get it when this one has ended.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

pub(crate) struct Cache {
    requests: ThreadRequests<Arc<dyn Job>, Arc<IdleThread>>,
    slot: SpinSlot<Arc<dyn Job>>,
    prefix: Cow<'static, str>,
    stack_size: Option<usize>,
    /// In nanoseconds; `u64::MAX` is for ever.
    keep_alive: AtomicU64,
    names: Mutex<slab::Slab<()>>,
    /// It serves one pool.
    private: bool,
    policy: Option<Arc<dyn SpawnPolicy>>,
    at_end: Option<fn()>,
    /// Threads that exist and were not abandoned.
    alive: AtomicUsize,
    gone: WakerSet,
    /// Of a private cache's threads.
    handles: Mutex<Vec<(Arc<ThreadInfo>, JoinHandle<()>)>>,
    warned: AtomicBool,
    closing: AtomicBool,
}

/// One sleeping thread.
struct IdleThread {
    thread: Thread,
    woken: AtomicUsize,
    /// What it is woken for, if it was [enlisted](Cache::reserve_idle).
    job: Mutex<Option<Arc<dyn Job>>>,
}

/// A sleeping thread that has a job.
#[cfg(feature = "rayon")]
#[must_use = "nobody else wakes it"]
pub(crate) struct ReservedThread(Arc<IdleThread>);

#[cfg(feature = "rayon")]
impl ReservedThread {
    pub(crate) fn wake(self) {
        self.0.wake(RESERVED);
    }
}

thread_local! {
    /// The cache that the thread belongs to, to compare.
    static MINE: Cell<*const Cache> = const { Cell::new(std::ptr::null()) };
    /// The cache whose thread this is, while it runs and does not wait.
    static WORKS_FOR: RefCell<Option<Arc<Cache>>> = const { RefCell::new(None) };
}

/// The first of a thread's locals to be made, so the last to be destroyed: it tells that the thread is gone.
struct ExitNotifier(RefCell<Option<(Arc<Cache>, Arc<ThreadInfo>)>>);

thread_local! {
    static EXIT_NOTIFIER: ExitNotifier = const { ExitNotifier(RefCell::new(None)) };
}

impl Drop for ExitNotifier {
    fn drop(&mut self) {
        if let Some((cache, info)) = self.0.take() {
            cache.is_gone_now(&info);
        }
    }
}

/// That a thread of a cache waits, so that it does not count against the limit. Not `Send`.
pub(crate) struct BlockedGuard {
    cache: Arc<Cache>,
    here: PhantomData<*const ()>,
}

/// Counts the calling thread as waiting, if it is a cache's and is not counted yet. Dropping what comes back ends that.
pub(crate) fn block_here() -> Option<BlockedGuard> {
    Some(BlockedGuard { cache: count_as_waiting()?, here: PhantomData })
}

fn count_as_waiting() -> Option<Arc<Cache>> {
    let cache = WORKS_FOR.try_with(|works_for| works_for.borrow_mut().take()).ok().flatten()?;
    let owed = cache.requests.begin_wait();
    cache.apply_or_refuse(owed);
    Some(cache)
}

/// The calling thread was [enlisted](Cache::reserve_idle), so it is counted as waiting. Dropping what comes back ends that.
#[cfg(feature = "rayon")]
pub(crate) fn reserved_here() -> Option<BlockedGuard> {
    let cache = WORKS_FOR.try_with(|works_for| works_for.borrow_mut().take()).ok().flatten()?;
    Some(BlockedGuard { cache, here: PhantomData })
}

impl Drop for BlockedGuard {
    fn drop(&mut self) {
        self.cache.requests.end_wait();
        let _ = WORKS_FOR.try_with(|works_for| *works_for.borrow_mut() = Some(Arc::clone(&self.cache)));
    }
}

/// That a thread which is counted as waiting works for a while. Not `Send`.
#[cfg(feature = "rayon")]
pub(crate) struct RunningGuard {
    here: PhantomData<*const ()>,
}

/// Counts the calling thread of the cache as working, if it is counted as waiting. Dropping what comes back ends that.
#[cfg(feature = "rayon")]
pub(crate) fn run_here_again(cache: &Arc<Cache>) -> Option<RunningGuard> {
    let waits = |works_for: &RefCell<Option<Arc<Cache>>>| {
        let mut works_for = works_for.borrow_mut();
        works_for.is_none().then(|| *works_for = Some(Arc::clone(cache)))
    };
    WORKS_FOR.try_with(waits).ok().flatten()?;
    cache.requests.end_wait();
    Some(RunningGuard { here: PhantomData })
}

#[cfg(feature = "rayon")]
impl Drop for RunningGuard {
    fn drop(&mut self) {
        // Goes on waiting, as before.
        let _ = count_as_waiting();
    }
}

const ASLEEP: usize = 0;
const STARTER: usize = 1;
const DISMISSED: usize = 2;
const RESERVED: usize = 3;

impl IdleThread {
    fn wake(&self, why: usize) {
        // Release: pairs with the Acquire in `sleep`.
        self.woken.store(why, Ordering::Release);
        self.thread.unpark();
    }
}

/// A thread's side of the cache while it works.
pub(crate) struct WorkerHandle<'a> {
    cache: &'a Arc<Cache>,
    info: &'a Arc<ThreadInfo>,
    open: bool,
    /// What it was prepared for.
    prepared: Option<Weak<dyn Job>>,
    /// It set a job aside, and will look for one when it rests.
    preparing: bool,
    retired: bool,
}

impl WorkerHandle<'_> {
    /// Which thread this is.
    pub(crate) fn info(&self) -> &Arc<ThreadInfo> {
        self.info
    }

    /// What a private cache's pool does on each thread before anything else was done here.
    #[inline]
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    pub(crate) fn set_prepared(&mut self, job: &Arc<dyn Job>) {
        self.prepared = Some(Arc::downgrade(job));
    }

    fn let_go(&self, ends: bool) {
        if let Some(job) = self.prepared.as_ref().and_then(Weak::upgrade) {
            job.let_go(ends);
        }
    }

    /// Before a preparation that may take long: somebody else may do the job meanwhile. False when an idle thread does
    /// it at once, and this one is not needed.
    pub(crate) fn park_job(&mut self, job: Arc<dyn Job>) -> bool {
        let (prepares, owed) = self.cache.requests.prepare(job);
        self.preparing = prepares;
        self.cache.apply_or_refuse(owed);
        prepares
    }

    /// The thread is to end as soon as it lets go of the present job.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Offers this thread for the next job, before it lets go of the present one. False when another thread spins
    /// already, when jobs are in line, or when spinning does not help.
    #[inline]
    pub(crate) fn open(&mut self) -> bool {
        if !self.open && can_spin() && !self.cache.requests.is_wanted() {
            self.open = self.cache.slot.open();
        }
        self.open
    }

    /// Takes the offer back. False when a job was handed over meanwhile; the thread must let go and do that one.
    #[inline]
    pub(crate) fn close(&mut self) -> bool {
        self.open = !self.cache.slot.retract();
        !self.open
    }

    /// A job was handed over, or others wait in line for a thread.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.cache.slot.is_given() || self.cache.requests.is_wanted()
    }

    /// Puts a job with more to do at the end of the line, and takes the first in line.
    pub(crate) fn next_turn(&self, job: Arc<dyn Job>) -> Arc<dyn Job> {
        self.cache.requests.next_turn(job)
    }

    /// Other jobs wait in line for a thread.
    #[inline]
    pub(crate) fn others_wait(&self) -> bool {
        self.cache.requests.is_wanted()
    }
}

/// Spinning helps only where another CPU can do what is spun for.
pub(crate) fn can_spin() -> bool {
    static MANY: LazyLock<bool> = LazyLock::new(|| thread::available_parallelism().is_ok_and(|n| n.get() > 1));
    *MANY
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
            names: Mutex::new(slab::Slab::new()),
            private: settings.private,
            policy: settings.policy,
            at_end: settings.at_end,
            alive: AtomicUsize::new(0),
            gone: WakerSet::new(),
            handles: Mutex::new(Vec::new()),
            warned: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        })
    }

    /// Sends a thread to the job: the spinner, or the next in turn.
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

    /// Does what the line says is owed. On failure, who was in line.
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

    fn apply_or_refuse(self: &Arc<Self>, owed: Owed<Arc<IdleThread>>) {
        if let Err((error, told)) = self.apply(owed) {
            for job in told {
                job.refused(&error);
            }
        }
    }

    /// Makes a thread that begins with the job, past the line and the gate. False when there are as many as there may
    /// be.
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

    /// Gets a thread for a job past the line and the limit: the thread counts as waiting from now on, and says so as
    /// the first thing ([`reserved_here`]). It is under way, or asleep and to be woken.
    ///
    /// # Errors
    /// The system's.
    #[cfg(feature = "rayon")]
    pub(crate) fn reserve_idle(self: &Arc<Self>, job: Arc<dyn Job>) -> io::Result<Option<ReservedThread>> {
        // First of all, because the thread may stop waiting as soon as it has the job.
        self.requests.count_wait();
        let job = match self.slot.offer(job) {
            Ok(()) => {
                let owed = self.requests.owed();
                self.apply_or_refuse(owed);
                return Ok(None);
            }
            Err(job) => job,
        };
        let (idle, owed) = self.requests.reserve_idle();
        self.apply_or_refuse(owed);
        if let Some(idle_thread) = idle {
            *idle_thread.job.lock() = Some(job);
            return Ok(Some(ReservedThread(idle_thread)));
        }
        self.spawn(Some(job)).map(|()| None).inspect_err(|_| {
            self.requests.end_wait();
            let owed = self.requests.unreserve();
            self.apply_or_refuse(owed);
        })
    }

    /// One more thread counts as waiting, whichever. The caller then asks for what is [owed](Self::apply_requests),
    /// holding no lock.
    #[cfg(feature = "rayon")]
    pub(crate) fn one_more_blocked(&self) {
        self.requests.count_wait();
    }

    /// Takes that back.
    #[cfg(feature = "rayon")]
    pub(crate) fn one_less_blocked(&self) {
        self.requests.end_wait();
    }

    /// Does what is owed to the line.
    #[cfg(feature = "rayon")]
    pub(crate) fn apply_requests(self: &Arc<Self>) {
        let owed = self.requests.owed();
        self.apply_or_refuse(owed);
    }

    /// A thread's first job is `first`, or else the first in line.
    fn spawn(self: &Arc<Self>, first: Option<Arc<dyn Job>>) -> io::Result<()> {
        let number = self.names.lock().insert(());
        let info = Arc::new(ThreadInfo { number, counted: AtomicBool::new(true), abandoned: AtomicBool::new(false) });
        let mut builder = thread::Builder::new().name(format!("{}-{number}", self.prefix));
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let (cache, its) = (Arc::clone(self), Arc::clone(&info));
        self.alive.fetch_add(1, Ordering::SeqCst);
        let started = builder.spawn(move || {
            let last =
                EXIT_NOTIFIER.try_with(|last| *last.0.borrow_mut() = Some((Arc::clone(&cache), Arc::clone(&its))));
            cache.run(&its, first);
            if let Some(at_end) = cache.at_end {
                swallow(at_end);
            }
            cache.names.lock().remove(number);
            if last.is_err() {
                cache.is_gone_now(&its);
            }
        });
        match started {
            Ok(handle) if self.private => {
                let mut handles = self.handles.lock();
                handles.retain(|(_, handle)| !handle.is_finished());
                handles.push((info, handle));
                Ok(())
            }
            Ok(_detached) => Ok(()),
            Err(error) => {
                self.names.lock().remove(number);
                self.is_gone_now(&info);
                Err(error)
            }
        }
    }

    /// Once for each thread: at its end, or when it is abandoned.
    fn is_gone_now(&self, info: &ThreadInfo) {
        if info.counted.swap(false, Ordering::SeqCst) && self.alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gone.wake_all();
        }
    }

    /// A thread that set a job aside failed to prepare. If nobody is left who would do a job that is aside, it comes
    /// back.
    pub(crate) fn give_up_preparing(&self) -> Option<Arc<dyn Job>> {
        self.requests.give_up_preparing()
    }

    /// Takes all jobs that were set aside.
    pub(crate) fn take_parked(&self) -> impl Iterator<Item = Arc<dyn Job>> {
        self.requests.take_parked().into_iter()
    }

    /// Waits for this thread no more: it is in code that may never come back. It ends when it does.
    pub(crate) fn abandon(&self, info: &ThreadInfo) {
        // Before the count falls, so that whoever sees that all are gone does not join it.
        info.abandoned.store(true, Ordering::SeqCst);
        self.is_gone_now(info);
    }

    /// A thread's life.
    fn run(self: &Arc<Self>, info: &Arc<ThreadInfo>, first: Option<Arc<dyn Job>>) {
        MINE.set(Arc::as_ptr(self));
        let _ = WORKS_FOR.try_with(|works_for| *works_for.borrow_mut() = Some(Arc::clone(self)));
        let idle_thread =
            Arc::new(IdleThread { thread: thread::current(), woken: AtomicUsize::new(ASLEEP), job: Mutex::new(None) });
        let mut worker =
            WorkerHandle { cache: self, info, open: false, prepared: None, preparing: false, retired: false };
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
            if worker.open {
                job = self.spin();
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
                    match self.sleep(&idle_thread) {
                        STARTER => self.thread_started(),
                        RESERVED => idle_thread.job.lock().take(),
                        _ => return worker.let_go(true),
                    }
                }
            };
        }
    }

    /// A thread will take no job any more.
    pub(crate) fn retire(self: &Arc<Self>) {
        let owed = self.requests.retire();
        self.apply_or_refuse(owed);
    }

    fn thread_started(self: &Arc<Self>) -> Option<Arc<dyn Job>> {
        let (job, owed) = self.requests.thread_started();
        self.apply_or_refuse(owed);
        job
    }

    /// With the slot open: waits a little for an offer.
    fn spin(&self) -> Option<Arc<dyn Job>> {
        let mut until = None;
        loop {
            for _ in 0..LOOKS {
                if let Some(job) = self.slot.collect() {
                    return Some(job);
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            let until = *until.get_or_insert(now + SPIN);
            if now >= until || self.requests.is_wanted() || self.closing.load(Ordering::Relaxed) {
                return self.slot.close();
            }
            // Whoever is to offer something may wait for this very CPU.
            thread::yield_now();
        }
    }

    /// On the idle list: sleeps until woken, or ends after the keep-alive.
    fn sleep(&self, idle_thread: &Arc<IdleThread>) -> usize {
        let keep_alive = match self.keep_alive.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        };
        let until = keep_alive.and_then(|d| Instant::now().checked_add(d));
        loop {
            // Acquire: pairs with the Release in `wake`.
            match idle_thread.woken.swap(ASLEEP, Ordering::Acquire) {
                ASLEEP => {}
                why => return why,
            }
            match until {
                None => thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if !left.is_zero() {
                        thread::park_timeout(left);
                    } else if self.requests.give_up(|other| Arc::ptr_eq(other, idle_thread)) {
                        return DISMISSED;
                    } else {
                        // Taken off the list a moment ago: the wake is on its way.
                        thread::park();
                    }
                }
            }
        }
    }

    /// Lets every thread end as soon as it is idle.
    pub(crate) fn dismiss(&self) {
        self.closing.store(true, Ordering::Relaxed);
        for idle_thread in self.requests.close() {
            idle_thread.wake(DISMISSED);
        }
    }

    /// Whether the dismissed threads are gone, their thread-locals destroyed; also for one of them itself, which asks
    /// in such a destructor and would wait for ever.
    pub(crate) fn is_gone(&self) -> bool {
        self.alive.load(Ordering::SeqCst) == 0 || std::ptr::eq(MINE.get(), self)
    }

    /// After [`is_gone`](Self::is_gone): waits for what the system has still to do for the threads' end, which runs no
    /// user code. Concurrent callers all wait.
    pub(crate) fn join_gone(&self) {
        if !std::ptr::eq(MINE.get(), self) {
            for (info, handle) in self.handles.lock().drain(..) {
                if !info.abandoned.load(Ordering::SeqCst) {
                    // A thread of ours catches every panic of a task; there is nothing to learn from its result.
                    let _ = handle.join();
                }
            }
        }
    }

    /// Jobs wait in line for a thread.
    #[cfg(feature = "rayon")]
    pub(crate) fn is_wanted(&self) -> bool {
        self.requests.is_wanted()
    }

    /// How many threads are in one of heirloom's waits.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.waiting()
    }

    /// Told when the last thread is gone.
    pub(crate) fn gone(&self) -> &WakerSet {
        &self.gone
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
