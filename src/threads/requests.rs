//! [`ThreadRequests`]: the jobs that want a thread, the idle threads, and the rule that brings the two together.
//!
//! # The protocol
//! A job that wants a thread joins the line, and *one* starter is ensured: an idle thread is woken, or a new one made.
//! The started thread takes the first in line. Before it runs user code, it ensures the next starter while the line is
//! not empty. So starting is a chain with one link under way: 2 000 short tasks do not make 2 000 threads, and yet as
//! many threads come as there are pools whose tasks wait for one another.
//!
//! # Invariant
//! While the line is not empty, a starter is under way, or the limit of threads is reached and every thread looks here
//! before it becomes idle. So no job in line is forgotten.
//!
//! # Threads that prepare
//! A thread that initialises before its first job parks the job meanwhile. The first thread to become idle takes it:
//! the thread itself after its initialiser, or another one. There are never more parked jobs than threads still
//! initialising. A thread whose initialiser fails takes the surplus job back. So no parked job is forgotten either.
//!
//! # Memory
//! A burst of pools that want a thread at the same moment makes a long line. The thread that empties it frees its memory.
//!
//! Every method returns the step that its caller owes ([`Owed`]); nothing here wakes or makes a thread.

use std::collections::VecDeque;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// The line. `J` is a job that wants a thread, `S` a thread that can be woken.
#[derive(Debug)]
pub(crate) struct ThreadRequests<J, S> {
    inner: Mutex<Inner<J, S>>,
    /// The line's length, read without the lock.
    length: AtomicUsize,
    /// Threads inside a wait. They count against a strict limit only.
    waiting: AtomicUsize,
    /// Threads inside a wait count against the limit too.
    strict: bool,
}

#[derive(Debug)]
struct Inner<J, S> {
    wanted: VecDeque<Request<J>>,
    idle: Vec<S>,
    /// Jobs whose threads initialise, and the number of these threads.
    parked: VecDeque<J>,
    preparing: usize,
    /// A woken or new thread is under way and will call `thread_started`.
    starter: bool,
    live: usize,
    /// The most that `live` has been.
    peak: usize,
    started: u64,
    limit: usize,
    closed: bool,
}

/// One entry of the line.
#[derive(Debug)]
struct Request<J> {
    job: J,
    /// The job had a thread, which ended its turn and comes back. A refused thread is no loss for the job.
    had_one: bool,
}

/// The step that the caller must do next.
#[derive(Debug)]
#[must_use]
pub(crate) enum Owed<S> {
    Nothing,
    /// Wake this thread; it will call `thread_started`.
    Wake(S),
    /// Make a thread that calls `thread_started`; if the system refuses, call `spawn_failed`.
    Spawn,
    /// The limit is reached; the jobs in line wait for a thread to become idle.
    AtLimit,
}

/// The next step of a thread that has finished its work.
#[derive(Debug)]
pub(crate) enum Next<J> {
    /// A job was in line.
    Job(J),
    /// The thread is on the idle list and may park.
    Idle,
    /// The thread ends.
    End,
}

/// The line's figures at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) live: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
    pub(crate) wanted: usize,
    pub(crate) peak: usize,
    pub(crate) started: u64,
}

/// A line that became empty frees its memory when that has space for more jobs.
const KEEP: usize = 64;

impl<J, S> Inner<J, S> {
    /// Takes the first in line.
    fn take_first(&mut self) -> Option<J> {
        let first = self.wanted.pop_front();
        if self.wanted.is_empty() && self.wanted.capacity() > KEEP {
            self.wanted = VecDeque::new();
        }
        first.map(|wanted| wanted.job)
    }

    fn one_more(&mut self) {
        self.live += 1;
        self.peak = self.peak.max(self.live);
        self.started += 1;
    }

    fn ensure_starter(&mut self, exempt: usize) -> Owed<S> {
        if self.wanted.is_empty() || self.starter {
            return Owed::Nothing;
        }
        if let Some(newest) = self.idle.pop() {
            self.starter = true;
            return Owed::Wake(newest);
        }
        if self.live.saturating_sub(exempt) >= self.limit {
            return Owed::AtLimit;
        }
        self.starter = true;
        self.one_more();
        Owed::Spawn
    }
}

impl<J, S> ThreadRequests<J, S> {
    pub(crate) fn new(limit: usize, strict: bool) -> Self {
        Self {
            strict,
            inner: Mutex::new(Inner {
                wanted: VecDeque::new(),
                idle: Vec::new(),
                parked: VecDeque::new(),
                preparing: 0,
                starter: false,
                live: 0,
                peak: 0,
                started: 0,
                limit,
                closed: false,
            }),
            length: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A job is in line. A hint, without the lock.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.length.load(Ordering::SeqCst) > 0
    }

    /// Joins the line at its end.
    pub(crate) fn join(&self, job: J) -> Owed<S> {
        let mut inner = self.inner.lock();
        inner.wanted.push_back(Request { job, had_one: false });
        self.length.store(inner.wanted.len(), Ordering::SeqCst);
        inner.ensure_starter(self.exempt())
    }

    /// A starter has begun: takes the first in line, and owes the next starter before it runs anything.
    pub(crate) fn thread_started(&self) -> (Option<J>, Owed<S>) {
        let mut inner = self.inner.lock();
        inner.starter = false;
        let job = inner.take_first();
        self.length.store(inner.wanted.len(), Ordering::SeqCst);
        let owed = inner.ensure_starter(self.exempt());
        (job, owed)
    }

    /// The system refused the thread that was owed. Returns all jobs in line that have no thread, in the line's order.
    pub(crate) fn spawn_failed(&self) -> Vec<J> {
        let mut inner = self.inner.lock();
        inner.starter = false;
        inner.live -= 1;
        inner.started -= 1;
        let (keep, tell) = std::mem::take(&mut inner.wanted).into_iter().partition(|wanted| wanted.had_one);
        inner.wanted = keep;
        self.length.store(inner.wanted.len(), Ordering::SeqCst);
        let tell: VecDeque<Request<J>> = tell;
        tell.into_iter().map(|wanted| wanted.job).collect()
    }

    /// Counts a thread that is made for a job of its own, past the line. False at the limit, and after the close.
    pub(crate) fn reserve(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed || inner.live.saturating_sub(self.exempt()) >= inner.limit {
            return false;
        }
        inner.one_more();
        true
    }

    /// A thread that is [counted](Self::count_wait) as waiting gets a job of its own, past the line: an idle one, or a
    /// new one.
    #[cfg(feature = "rayon")]
    pub(crate) fn reserve_idle(&self) -> (Option<S>, Owed<S>) {
        let mut inner = self.inner.lock();
        let idle = inner.idle.pop();
        if idle.is_none() {
            inner.one_more();
        }
        (idle, inner.ensure_starter(self.exempt()))
    }

    /// The system refused the reserved thread. A job may be in line because of the reservation.
    pub(crate) fn unreserve(&self) -> Owed<S> {
        let mut inner = self.inner.lock();
        inner.live -= 1;
        inner.started -= 1;
        inner.ensure_starter(self.exempt())
    }

    /// A thread ends without becoming idle. It takes no job from the line, which may be owed another thread.
    pub(crate) fn retire(&self) -> Owed<S> {
        let mut inner = self.inner.lock();
        inner.live -= 1;
        inner.ensure_starter(self.exempt())
    }

    /// A thread's turn has ended: its job goes to the end of the line, and the first in line is the thread's next. That
    /// may be the same job. No thread is owed, because the line is as long as before.
    pub(crate) fn next_turn(&self, job: J) -> J {
        let mut inner = self.inner.lock();
        let Some(first) = inner.wanted.pop_front() else { return job };
        inner.wanted.push_back(Request { job, had_one: true });
        first.job
    }

    /// Parks the job of a thread that is about to initialise. Returns false beside the owed step when an idle thread
    /// gets the job, so the calling thread is not needed.
    pub(crate) fn prepare(&self, job: J) -> (bool, Owed<S>) {
        let mut inner = self.inner.lock();
        if inner.idle.is_empty() {
            inner.parked.push_back(job);
            inner.preparing += 1;
            return (true, Owed::Nothing);
        }
        inner.wanted.push_front(Request { job, had_one: false });
        self.length.store(inner.wanted.len(), Ordering::SeqCst);
        (false, inner.ensure_starter(self.exempt()))
    }

    /// A thread failed to initialise. Returns the job that is now one too many, if there is one.
    pub(crate) fn give_up_preparing(&self) -> Option<J> {
        let mut inner = self.inner.lock();
        inner.preparing = inner.preparing.saturating_sub(1);
        if inner.parked.len() > inner.preparing { inner.parked.pop_front() } else { None }
    }

    /// Takes all parked jobs. The initialising threads find none when they become idle.
    pub(crate) fn take_parked(&self) -> VecDeque<J> {
        let mut inner = self.inner.lock();
        inner.preparing = 0;
        std::mem::take(&mut inner.parked)
    }

    /// A thread finished its work, or its initialiser: it takes a parked job, or the first in line, or becomes idle, or
    /// ends.
    pub(crate) fn thread_idle(&self, this: S, has_prepared: bool) -> Next<J> {
        let mut inner = self.inner.lock();
        if has_prepared {
            inner.preparing = inner.preparing.saturating_sub(1);
        }
        // Parked jobs first: there may be as many as initialising threads, and one of these is here.
        if let Some(job) = inner.parked.pop_front() {
            return Next::Job(job);
        }
        if let Some(job) = inner.take_first() {
            self.length.store(inner.wanted.len(), Ordering::SeqCst);
            return Next::Job(job);
        }
        if inner.closed || inner.live.saturating_sub(self.exempt()) > inner.limit {
            inner.live -= 1;
            return Next::End;
        }
        inner.idle.push(this);
        Next::Idle
    }

    /// An idle thread reached its keep-alive. True when it was still on the list, so it may end. Otherwise a wake is on
    /// its way, and the thread must call `thread_started`.
    pub(crate) fn give_up(&self, is_this: impl Fn(&S) -> bool) -> bool {
        let mut inner = self.inner.lock();
        let Some(at) = inner.idle.iter().position(is_this) else { return false };
        inner.idle.remove(at);
        inner.live -= 1;
        true
    }

    /// A thread begins a wait: it no longer counts against the limit, so the line may be owed a thread.
    pub(crate) fn begin_wait(&self) -> Owed<S> {
        self.count_wait();
        self.owed()
    }

    /// Counts one more thread as waiting. The caller asks for the [owed](Self::owed) step.
    pub(crate) fn count_wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the step that the line is owed.
    pub(crate) fn owed(&self) -> Owed<S> {
        if !self.is_wanted() {
            return Owed::Nothing;
        }
        self.inner.lock().ensure_starter(self.exempt())
    }

    pub(crate) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// The number of threads that do not count against the limit.
    fn exempt(&self) -> usize {
        if self.strict { 0 } else { self.waiting() }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn limit(&self) -> usize {
        self.inner.lock().limit
    }

    pub(crate) fn set_limit(&self, limit: usize) -> Owed<S> {
        let mut inner = self.inner.lock();
        inner.limit = limit;
        inner.ensure_starter(self.exempt())
    }

    /// Ends the line. Returns the idle threads, to be woken so that they end.
    pub(crate) fn close(&self) -> Vec<S> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let idle = std::mem::take(&mut inner.idle);
        inner.live -= idle.len();
        idle
    }

    pub(crate) fn counts(&self) -> Counts {
        let inner = self.inner.lock();
        Counts {
            live: inner.live,
            idle: inner.idle.len(),
            waiting: self.waiting.load(Ordering::SeqCst),
            wanted: inner.wanted.len(),
            peak: inner.peak,
            started: inner.started,
        }
    }
}
