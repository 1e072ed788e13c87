//! [`Job`]: the work of a cache's thread, and [`WorkerHandle`], the job's way to talk to that thread's cache.

use std::io;
use std::time::{Duration, Instant};

use crate::sync::os::thread::{self, Thread};
use crate::sync::os::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Weak};
use crate::threads::requests::{Owed, ThreadRequests};
use crate::threads::spin::SpinSlot;
use crate::wait::spin::can_spin;

/// A pool, as the cache sees it.
pub(crate) trait Job: Send + Sync {
    /// Works until there is nothing left to do, or until other jobs in line are to have their turn. Then it returns the
    /// first of those, which the thread works on next.
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>>;
    /// The system refused the thread this job was waiting for.
    fn refused(self: Arc<Self>, error: &io::Error);
    /// A thread that was prepared for the job has become idle, so its cache finds it from now on; or it `ends`.
    fn let_go(self: Arc<Self>, _ends: bool) {}
}

/// One thread, as its cache counts it.
pub(crate) struct ThreadInfo {
    number: usize,
    /// The cache's end waits for the thread.
    pub(super) counted: AtomicBool,
    pub(super) abandoned: AtomicBool,
}

impl ThreadInfo {
    pub(super) fn new(number: usize) -> Self {
        Self { number, counted: AtomicBool::new(true), abandoned: AtomicBool::new(false) }
    }

    /// The number in the thread's name. Another thread may get it when this one has ended.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

/// The line of a cache: jobs that want a thread, and its idle threads.
pub(super) type Requests = ThreadRequests<Arc<dyn Job>, Arc<IdleThread>>;

/// One parked thread of a cache.
pub(crate) struct IdleThread {
    thread: Thread,
    woken: AtomicUsize,
    /// The job it is woken for, if it was reserved.
    pub(super) job: Mutex<Option<Arc<dyn Job>>>,
}

const ASLEEP: usize = 0;
/// Woken to take the first job in line.
pub(super) const STARTER: usize = 1;
/// Woken to end.
pub(super) const DISMISSED: usize = 2;
/// Woken for a job of its own.
pub(super) const RESERVED: usize = 3;

impl IdleThread {
    /// The calling thread.
    pub(super) fn here() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicUsize::new(ASLEEP), job: Mutex::new(None) })
    }

    pub(super) fn wake(&self, why: usize) {
        // Release: pairs with the Acquire in `sleep`.
        self.woken.store(why, Ordering::Release);
        self.thread.unpark();
    }

    /// On the idle list: parks until woken, and returns the reason. Without a wake it is dismissed after the
    /// keep-alive.
    pub(super) fn sleep(self: &Arc<Self>, requests: &Requests, keep_alive: Option<Duration>) -> usize {
        let until = keep_alive.and_then(|d| Instant::now().checked_add(d));
        loop {
            // Acquire: pairs with the Release in `wake`.
            match self.woken.swap(ASLEEP, Ordering::Acquire) {
                ASLEEP => {}
                why => return why,
            }
            match until {
                None => thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if !left.is_zero() {
                        thread::park_timeout(left);
                    } else if requests.give_up(|other| Arc::ptr_eq(other, self)) {
                        return DISMISSED;
                    } else {
                        // Another thread took it off the list a moment ago, so a wake is on its way.
                        thread::park();
                    }
                }
            }
        }
    }
}

/// A thread's side of its cache while it works on a job.
pub(crate) struct WorkerHandle<'a> {
    requests: &'a Requests,
    slot: &'a SpinSlot<Arc<dyn Job>>,
    /// Does the step that the cache's line is owed.
    apply: &'a dyn Fn(Owed<Arc<IdleThread>>),
    info: &'a Arc<ThreadInfo>,
    pub(super) open: bool,
    /// The job that the thread was prepared for.
    prepared: Option<Weak<dyn Job>>,
    /// The thread parked a job, and takes one when it becomes idle.
    pub(super) preparing: bool,
    pub(super) retired: bool,
    /// The last job needed no thread when this one came.
    pub(super) in_vain: bool,
}

impl<'a> WorkerHandle<'a> {
    pub(super) fn new(
        requests: &'a Requests,
        slot: &'a SpinSlot<Arc<dyn Job>>,
        apply: &'a dyn Fn(Owed<Arc<IdleThread>>),
        info: &'a Arc<ThreadInfo>,
    ) -> Self {
        Self {
            requests,
            slot,
            apply,
            info,
            open: false,
            prepared: None,
            preparing: false,
            retired: false,
            in_vain: false,
        }
    }

    /// Which thread this is.
    pub(crate) fn info(&self) -> &Arc<ThreadInfo> {
        self.info
    }

    /// The pool of a private cache has prepared this thread, which it does before anything else runs here.
    #[inline]
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    pub(crate) fn set_prepared(&mut self, job: &Arc<dyn Job>) {
        self.prepared = Some(Arc::downgrade(job));
    }

    pub(super) fn let_go(&self, ends: bool) {
        if let Some(job) = self.prepared.as_ref().and_then(Weak::upgrade) {
            job.let_go(ends);
        }
    }

    /// Parks the job before a preparation that may take long: a thread that is idle sooner may take it. False when an
    /// idle thread takes it at once, so the calling thread need not prepare.
    pub(crate) fn park_job(&mut self, job: Arc<dyn Job>) -> bool {
        let (prepares, owed) = self.requests.prepare(job);
        self.preparing = prepares;
        (self.apply)(owed);
        prepares
    }

    /// The thread is to end as soon as it returns from the present job.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Offers this thread for the next job, before it returns from the present one. False when another thread spins
    /// already, when jobs are in line, or when spinning does not help.
    #[inline]
    pub(crate) fn open(&mut self) -> bool {
        if !self.open && can_spin() && !self.requests.is_wanted() {
            self.open = self.slot.open();
        }
        self.open
    }

    /// Withdraws the offer. False when a job was handed over meanwhile: the thread must return and work on that one.
    #[inline]
    pub(crate) fn close(&mut self) -> bool {
        self.open = !self.slot.retract();
        !self.open
    }

    /// Withdraws the offer, if there is one. False as for [`close`](Self::close).
    pub(crate) fn withdraw(&mut self) -> bool {
        self.in_vain = false;
        !self.open || self.close()
    }

    /// A job was handed over, or others wait in line for a thread.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.slot.is_given() || self.requests.is_wanted()
    }

    /// Puts a job with more to do at the end of the line, and returns the first in line.
    pub(crate) fn next_turn(&self, job: Arc<dyn Job>) -> Arc<dyn Job> {
        self.requests.next_turn(job)
    }

    /// The job needed no thread any more. The thread offers itself for the next one, and gives that job's joiner more time
    /// (`Cache::spin`).
    #[inline]
    pub(crate) fn came_in_vain(&mut self) {
        self.in_vain = true;
        self.open();
    }

    /// Other jobs wait in line for a thread.
    #[inline]
    pub(crate) fn others_wait(&self) -> bool {
        self.requests.is_wanted()
    }
}
