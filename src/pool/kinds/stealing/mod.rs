//! [`Stealing`]: a rayon pool on the process-wide cache's threads, for as long as its pool has work.
//!
//! Queue, places, frames and the end are as for every pool; rayon has the threads, and what runs inside a task.
//!
//! # The protocol
//! 1. A place is taken for a *visit*: a rayon job that runs one task and then comes again, if more is queued. One task,
//!    because rayon may run a visit on top of whatever waits on that thread, which is to go on soon.
//! 2. Without a rayon pool, the place asks the cache for a thread as a leased pool's does. That thread, the *leader*,
//!    gets the other threads, makes a rayon pool for as many as there are, and becomes its first worker. So the visit
//!    is certain to run, and so is what rayon gives to each of its workers: none of them is missing, whatever the
//!    system refuses.
//! 3. Who gives the last place back lingers a moment and then ends the rayon pool; so does the end of the pool itself.
//!    The threads go back to the cache, and an idle pool has none.
//! 4. A worker inside one of heirloom's waits does nothing for rayon. A rayon pool whose workers all wait is *stuck*:
//!    whoever has a place then ends it, and the places of visits that it has not begun are given back, to be taken for
//!    a new one. What waits goes on with the old one's workers.
//!
//! # The races to fear
//! A visit is sent to a rayon pool that ends. It is sent through a counted handle, so rayon hears of the visit before
//! it hears of the end, and runs it before its threads leave. A place taken later finds no rayon pool and asks for a
//! leader.
//!
//! A visit is sent to a rayon pool that is about to be stuck. It is noted as sent under the same lock under which the
//! last worker notes that it waits. Either that worker sees the visit and gives its place back, or the sender sees that
//! all of them wait.
//!
//! # Where code stands
//! rayon has no hook for each job: what it steals runs on top of whatever waits on that thread. So nothing here may
//! belong to one task alone. Workers and tasks stand at the pool's owner; a task has no node, no span and no ear for
//! its own handle, or a piece of another task that is stolen meanwhile would have them too. What a task only counts in,
//! its submitter's scopes, it keeps.
//!
//! # What keeps what alive
//! A worker holds the pool and its owner until it leaves; a rayon pool ends soon after the last task, so a manager
//! nobody holds any more is closed then.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::time::{Duration, Instant};

use crate::error::task::payload_text;
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::NodeRef;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::block_on_wakers;
use crate::pool::context::frame;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::run::worker::{self, AfterOne};
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::rayon::{Part, Rayon};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::threads::cache::{self, BlockedGuard, Cache, Job, ReservedThread, WorkerHandle};
use crate::wait::waker_set::WakerSet;

/// How long an idle rayon pool stays: making one again costs a wake of each thread. Short, because its threads are
/// missing elsewhere meanwhile.
const LINGER: Duration = Duration::from_millis(10);

/// The rayon pools of one start, made and ended as work comes and goes.
pub(crate) struct Stealing {
    state: Mutex<State>,
    /// Visits that were sent to a rayon pool.
    sent: AtomicUsize,
    /// Whoever lingers is to look again.
    woken: WakerSet,
    gone: WakerSet,
}

struct State {
    stage: Stage,
    /// Of the newest rayon pool.
    number: u64,
    /// Threads that work for a rayon pool of this start.
    inside: usize,
    /// Those of them that have a task and do not wait in heirloom. They may wait in rayon, for a piece.
    tasks: usize,
    /// Those without a task of their own that wait in heirloom, with a piece.
    pieces: usize,
    /// As many of the tasks' threads count as waiting: there may be a piece for each that it waits for.
    blocked_tasks: usize,
}

enum Stage {
    None,
    /// A leader makes one; so many more places wait for it.
    Making(usize),
    Live(Live),
}

/// The rayon pool that visits are sent to.
struct Live {
    rayon: Arc<Rayon>,
    workers: usize,
    /// Those of them inside a wait of heirloom's.
    blocked: usize,
    /// Visits that were sent and have not begun.
    pending: usize,
}

/// A thread that works for a rayon pool.
struct Worker<'a> {
    pool: &'a Arc<Pool>,
    number: u64,
    /// It is counted as blocked.
    blocked: Cell<bool>,
}

thread_local! {
    static HERE: Cell<*const Worker<'static>> = const { Cell::new(ptr::null()) };
}

/// What the calling thread works for.
#[inline]
fn worker<'a>() -> Option<&'a Worker<'a>> {
    // SAFETY: it is further up this thread's stack, with what it borrows, until `serve` clears the pointer; a caller is
    // above it and keeps the reference no longer than it runs.
    unsafe { HERE.get().cast::<Worker<'a>>().as_ref() }
}

/// The work-stealing pool whose thread this is, whatever runs on it.
#[inline]
pub(crate) fn here<'a>() -> Option<&'a Arc<Pool>> {
    worker().map(|worker| worker.pool)
}

/// The pool of a work-stealing crew.
fn of(pool: &Pool) -> &Stealing {
    match &pool.kind {
        Kind::WorkStealing(stealing) => stealing,
        _ => unreachable!("only a work-stealing pool has visits"),
    }
}

impl Live {
    fn is_stuck(&self) -> bool {
        self.blocked == self.workers
    }
}

impl State {
    /// The rayon pool with this number, if visits are sent to it.
    fn live(&mut self, number: u64) -> Option<&mut Live> {
        match &mut self.stage {
            Stage::Live(live) if self.number == number => Some(live),
            _ => None,
        }
    }

    /// Notes a visit that the caller then sends; `None` where a leader is wanted.
    fn note_sent(&mut self) -> Option<(Arc<Rayon>, u64)> {
        let live = match &mut self.stage {
            Stage::Live(live) if !live.is_stuck() => live,
            _ => return None,
        };
        live.pending += 1;
        Some((Arc::clone(&live.rayon), self.number))
    }

    /// After a change of tasks or pieces. True when more threads count as waiting than before, so that one may be owed
    /// to the line.
    fn balance(&mut self, cache: &Cache) -> bool {
        let (before, due) = (self.blocked_tasks, self.tasks.min(self.pieces));
        (before..due).for_each(|_| cache.one_more_blocked());
        (due..before).for_each(|_| cache.one_less_blocked());
        self.blocked_tasks = due;
        due > before
    }

    /// Ends the rayon pool, if there is one. It is to be dropped outside of the lock.
    fn end(&mut self) -> Option<Live> {
        match std::mem::replace(&mut self.stage, Stage::None) {
            Stage::Live(live) => Some(live),
            before => {
                self.stage = before;
                None
            }
        }
    }
}

impl Stealing {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::None,
                number: 0,
                inside: 0,
                tasks: 0,
                pieces: 0,
                blocked_tasks: 0,
            }),
            sent: AtomicUsize::new(0),
            woken: WakerSet::new(),
            gone: WakerSet::new(),
        }
    }

    /// Sends a visit for a place that was taken.
    ///
    /// # Errors
    /// The system's, when it refuses the first thread.
    pub(crate) fn request_thread(&self, pool: &Arc<Pool>) -> io::Result<()> {
        let noted = self.state.lock().note_sent();
        match noted {
            Some((rayon, number)) => {
                self.send(&rayon, number, pool);
                Ok(())
            }
            None => pool.kind.cache().request_thread(Arc::clone(pool) as _),
        }
    }

    /// Sends a visit that is noted.
    fn send(&self, rayon: &Rayon, number: u64, pool: &Arc<Pool>) {
        let visits = Arc::clone(pool);
        // Before it is sent: who lingers after this very visit is not to take it for another one, and leave.
        self.sent.fetch_add(1, Ordering::SeqCst);
        rayon.spawn(move || run_one(&visits, number));
        self.woken.wake_all();
    }

    /// A thread that was asked for has come, with a place.
    pub(crate) fn run_leader(&self, pool: &Arc<Pool>) {
        let stuck = {
            let mut state = self.state.lock();
            if let Stage::Making(wait) = &mut state.stage {
                *wait += 1;
                return;
            }
            if let Some((rayon, number)) = state.note_sent() {
                drop(state);
                return self.send(&rayon, number, pool);
            }
            let stuck = state.end();
            state.stage = Stage::Making(0);
            stuck
        };
        if let Some(stuck) = stuck {
            give_back(pool, stuck);
        }
        let (helpers, wake_chain) = gather_threads(pool);
        let (namespace, logs) = (pool.namespace.clone(), pool.config.log_panics);
        let on_panic = move |payload: Box<dyn Any + Send>| {
            if logs {
                report_panic(&namespace, payload.as_ref());
            }
            swallow_drop(payload);
        };
        let (rayon, parts) = match Rayon::new(1 + helpers.len(), on_panic) {
            Ok((rayon, parts)) => (Arc::new(rayon), parts),
            Err(error) => {
                for helper in helpers {
                    helper.assign(Assignment::NotNeeded);
                }
                wake_chain.wake_one();
                return self.give_up(pool, &io::Error::other(error));
            }
        };
        let (number, permits) = {
            let mut state = self.state.lock();
            let permits = if let Stage::Making(wait) = state.stage { wait + 1 } else { 1 };
            let live = Live { rayon: Arc::clone(&rayon), workers: parts.len(), blocked: 0, pending: permits };
            state.stage = Stage::Live(live);
            state.number += 1;
            state.inside += 1;
            (state.number, permits)
        };
        for _ in 0..permits {
            self.send(&rayon, number, pool);
        }
        drop(rayon);
        let mut parts = parts.into_iter();
        let own = parts.next();
        for (helper, part) in helpers.into_iter().zip(parts) {
            helper.assign(Assignment::Part(number, part));
        }
        wake_chain.wake_one();
        if let Some(own) = own {
            self.serve(pool, number, own, cache::block_here());
        }
    }

    /// rayon could not make a pool; nothing of it is left.
    fn give_up(&self, pool: &Arc<Pool>, error: &io::Error) {
        let before = std::mem::replace(&mut self.state.lock().stage, Stage::None);
        let permits = if let Stage::Making(wait) = before { wait + 1 } else { 1 };
        for _ in 0..permits {
            Arc::clone(pool).refused(error);
        }
    }

    /// Counts a helper in. False when it is too late: a rayon pool's leader leaves when its end has come.
    fn joins(&self) -> bool {
        let mut state = self.state.lock();
        let comes = state.inside > 0;
        state.inside += usize::from(comes);
        comes
    }

    /// Works until the rayon pool ends. The caller has counted the thread in.
    ///
    /// Only threads with a task count against the limit of threads: what a task waits for may need one, while rayon has
    /// no use for the others.
    fn serve(&self, pool: &Arc<Pool>, number: u64, part: Part, idle: Option<BlockedGuard>) {
        // What is accepted holds the owner, so it is gone only when there is nothing to do.
        let owner = pool.owner.upgrade().unwrap_or(NodeRef::PROCESS);
        let guard = current::enter(owner, LazyNode::Nothing);
        let worker = Worker { pool, number, blocked: Cell::new(false) };
        HERE.set((&raw const worker).cast());
        part.run();
        drop(idle);
        // The owner's end is user code, when this was the last to hold it.
        swallow(|| guard.exit_to());
        HERE.set(ptr::null());
        let last = {
            let mut state = self.state.lock();
            state.inside -= 1;
            state.inside == 0
        };
        if last {
            self.gone.wake_all();
        }
    }

    /// A visit begins. False when its place was given back.
    fn begins(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let Some(live) = state.live(number) else { return false };
        live.pending -= 1;
        true
    }

    /// Notes a change of tasks or pieces.
    fn note<R>(&self, pool: &Pool, change: impl FnOnce(&mut State) -> R) -> R {
        let cache = pool.kind.cache();
        let (out, more) = {
            let mut state = self.state.lock();
            let out = change(&mut state);
            (out, state.balance(cache))
        };
        if more {
            cache.apply_requests();
        }
        out
    }

    /// Nothing was left to do. Ends the rayon pool, if that stays so for a moment: whichever there is, since the last
    /// task may have been that of an older one.
    fn linger(&self, pool: &Pool) {
        let until = Instant::now() + LINGER;
        let sent = self.sent.load(Ordering::SeqCst);
        let works =
            || pool.permits.is_any_taken() || pool.tracker.is_closed() || self.sent.load(Ordering::SeqCst) != sent;
        let is_wanted = || pool.kind.cache().is_wanted();
        // A visit that is sent now may need this very thread.
        block_on_wakers(&self.woken, Some(until), || works() || is_wanted());
        if !works() {
            self.end_if_idle(pool);
        }
    }

    /// The last place was given back.
    pub(crate) fn end_if_idle(&self, pool: &Pool) {
        let ended = {
            let mut state = self.state.lock();
            // Whoever takes a place from now on looks at the stage after that.
            if pool.permits.is_any_taken() { None } else { state.end() }
        };
        drop(ended);
    }

    /// The pool has ended: the threads leave.
    pub(crate) fn dismiss(&self) {
        // A fork's child has none of the threads, and perhaps their locks.
        if fork::is_fork() {
            return;
        }
        let ended = self.state.lock().end();
        drop(ended);
        self.woken.wake_all();
    }

    /// Whether all threads have left.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().inside == 0
    }

    /// Told when the last thread has left.
    pub(crate) fn gone(&self) -> &WakerSet {
        &self.gone
    }
}

/// A stuck rayon pool ends: its visits hold no places any more. What is queued for them is sent for anew.
fn give_back(pool: &Arc<Pool>, stuck: Live) {
    let Live { rayon, pending, .. } = stuck;
    drop(rayon);
    for _ in 0..pending {
        if pool.permits.release(false) {
            pool.end_if_over();
        }
    }
    if pending > 0 && !pool.queue.is_empty() {
        pool.send_if_permit();
    }
}

/// While it lives, the calling worker is inside a wait. Not `Send`.
///
/// A task whose piece waits may wait for it in rayon. Its thread then counts as working, and what is waited for here
/// may need its place among the threads.
pub(crate) struct Blocked<'a> {
    worker: &'a Worker<'a>,
    has_task: bool,
    here: PhantomData<*const ()>,
}

/// The calling thread goes into a wait; `None` where it is no worker, or was counted before. Said before places are
/// given, so that whoever takes one of these does not send it here first.
///
/// `has_task` is whether the thread counted as working until now.
pub(crate) fn begin_wait<'a>(has_task: bool) -> Option<Blocked<'a>> {
    let worker: &Worker<'a> = worker()?;
    // A fork's child has none of the other threads, and perhaps their locks.
    if fork::is_fork() || worker.blocked.replace(true) {
        return None;
    }
    let stuck = of(worker.pool).note(worker.pool, |state| {
        if has_task {
            state.tasks -= 1;
        } else {
            state.pieces += 1;
        }
        let live = state.live(worker.number).map(|live| {
            live.blocked += 1;
            live.is_stuck() && live.pending > 0
        });
        if live == Some(true) { state.end() } else { None }
    });
    if let Some(stuck) = stuck {
        give_back(worker.pool, stuck);
    }
    Some(Blocked { worker, has_task, here: PhantomData })
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.worker.blocked.set(false);
        if fork::is_fork() {
            return;
        }
        of(self.worker.pool).note(self.worker.pool, |state| {
            if self.has_task {
                state.tasks += 1;
            } else {
                state.pieces -= 1;
            }
            if let Some(live) = state.live(self.worker.number) {
                live.blocked -= 1;
            }
        });
    }
}

/// A job given to `rayon::spawn` panicked: nobody waits for it.
fn report_panic(namespace: &Namespace, payload: &(dyn Any + Send)) {
    swallow(|| {
        tracing::error!(
            target: "heirloom",
            namespace = %namespace,
            "a job that a task gave to `rayon::spawn` panicked: {}",
            payload_text(payload).unwrap_or("(a payload that is no text)"),
        );
    });
}

fn say_refused(pool: &Pool, error: &io::Error) {
    if !pool.warned.swap(true, Ordering::Relaxed) {
        swallow(|| {
            tracing::warn!(
                target: "heirloom",
                namespace = %pool.namespace,
                "the system refused a thread of a work-stealing pool, which goes on with fewer: {error}",
            );
        });
    }
}

/// Runs one task, on a worker.
fn run_one(pool: &Arc<Pool>, number: u64) {
    let stealing = of(pool);
    if !stealing.begins(number) {
        return;
    }
    let counts = cache::run_here_again(pool.kind.cache());
    let tasks = usize::from(counts.is_some());
    stealing.note(pool, |state| state.tasks += tasks);
    let left = worker::run_one(pool);
    stealing.note(pool, |state| state.tasks -= tasks);
    drop(counts);
    match left {
        AfterOne::Permit => {
            if let Err(error) = stealing.request_thread(pool) {
                Arc::clone(pool).refused(&error);
            }
        }
        AfterOne::Idle if frame::innermost().is_none() => stealing.linger(pool),
        // On top of a task that waits, which is not to wait for nothing.
        AfterOne::Idle => stealing.end_if_idle(pool),
        AfterOne::Others => {}
    }
}

/// Another worker of a rayon pool: a thread that waits for its part.
struct Helper {
    pool: Arc<Pool>,
    assignment: Mutex<Assignment>,
    changed: WakerSet,
    wake_chain: Arc<WakeChain>,
}

/// Helpers to be woken. Each wakes the next one first of all, so that it costs the leader one wake.
struct WakeChain(Mutex<Vec<ReservedThread>>);

impl WakeChain {
    fn wake_one(&self) {
        let next = self.0.lock().pop();
        if let Some(next) = next {
            next.wake();
        }
    }
}

enum Assignment {
    Nothing,
    Part(u64, Part),
    NotNeeded,
}

/// Gets the other threads of a rayon pool: as many as the pool may have, or as the system gives. They do not count
/// against the limit of threads until they have a task.
fn gather_threads(pool: &Arc<Pool>) -> (Vec<Arc<Helper>>, Arc<WakeChain>) {
    let mut helpers = Vec::new();
    let wake_chain = Arc::new(WakeChain(Mutex::new(Vec::new())));
    for _ in 1..pool.config.limit {
        let helper = Arc::new(Helper {
            pool: Arc::clone(pool),
            assignment: Mutex::new(Assignment::Nothing),
            changed: WakerSet::new(),
            wake_chain: Arc::clone(&wake_chain),
        });
        match pool.kind.cache().reserve_idle(Arc::clone(&helper) as _) {
            Ok(sleeper) => wake_chain.0.lock().extend(sleeper),
            Err(error) => {
                say_refused(pool, &error);
                break;
            }
        }
        helpers.push(helper);
    }
    (helpers, wake_chain)
}

impl Helper {
    fn assign(&self, assignment: Assignment) {
        *self.assignment.lock() = assignment;
        self.changed.wake_all();
    }
}

impl Job for Helper {
    fn work(self: Arc<Self>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        let idle = cache::reserved_here();
        self.wake_chain.wake_one();
        let is_assigned = || !matches!(*self.assignment.lock(), Assignment::Nothing);
        block_on_wakers(&self.changed, None, is_assigned);
        let assignment = std::mem::replace(&mut *self.assignment.lock(), Assignment::NotNeeded);
        if let Assignment::Part(number, part) = assignment
            && of(&self.pool).joins()
        {
            of(&self.pool).serve(&self.pool, number, part, idle);
        }
        None
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        say_refused(&self.pool, error);
    }
}
