//! [`Stealing`]: a rayon pool on the process-wide cache's threads, while its pool has work.
//!
//! Queue, permits, frames and the end are as for every pool. rayon has the threads, and runs the pieces inside a task.
//!
//! # The protocol
//! 1. A submitter acquires a permit for a *visit*: a rayon job that runs one task and then comes again, if more is
//!    queued. A visit runs only one task, because rayon may run the visit on top of a wait on that thread, and the wait
//!    is to go on soon.
//! 2. Without a rayon pool, the submitter requests a thread of the cache for the permit, as for a leased pool. That
//!    thread, the *leader*, reserves the other threads, makes a rayon pool for as many as there are, and becomes its
//!    first worker. So the visit is certain to run, and so is each piece that rayon gives to each of its workers: no
//!    worker is missing, whatever the system refuses.
//! 3. The worker that releases the last permit waits a moment and then ends the rayon pool; so does the end of the pool
//!    itself. The threads go back to the cache, and an idle pool has none.
//! 4. A worker inside one of heirloom's waits does nothing for rayon. A rayon pool whose workers all wait is *stuck*: a
//!    thread with a permit then ends it, and the permits of visits that it has not begun are released, to be acquired
//!    for a new one. The waits go on with the old one's workers.
//!
//! # The races to fear
//! A visit is sent to a rayon pool that ends. It is sent through a counted handle, so rayon receives the visit before
//! the end, and runs it before its threads leave. A permit acquired later finds no rayon pool and asks for a leader.
//!
//! A visit is sent to a rayon pool that is about to be stuck. It is noted as sent under the same lock under which the
//! last worker notes that it waits. Either that worker sees the visit and releases its permit, or the sender sees that
//! all of them wait.
//!
//! # Where code stands
//! rayon has no hook for each job: a stolen piece runs on top of a wait on that thread. So no state here may belong to
//! one task alone. Workers and tasks stand at the pool's owner. A task has no node, no span and no listener for its own
//! handle, or another task's piece that is stolen meanwhile would have them too. A task keeps its counts in its
//! submitter's scopes.
//!
//! # Lifetimes
//! A worker holds the pool and its owner until it leaves. A rayon pool ends soon after the last task, so a manager
//! without a holder is closed then.

mod helper;
mod state;
mod visit;

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::mem;
use std::time::{Duration, Instant};

use crate::error::task::payload_text;
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::NodeRef;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::block_on_wakers;
use crate::pool::context::thread::{StealingThread, while_stealing, with_innermost};
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::stealing::helper::{Assignment, gather_threads};
use crate::pool::kinds::stealing::state::{Live, Stage, State};
use crate::pool::kinds::stealing::visit::{AfterOne, run_oldest};
use crate::pool::run::dispatch;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::rayon::{Part, Rayon};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::threads;
use crate::threads::blocked::{self, BlockedGuard};
use crate::threads::job::{Job, WorkerHandle};
use crate::wait::waker_set::WakerSet;

/// The time that an idle rayon pool stays, because a new one costs a wake of each thread. Short, because its threads
/// are missing elsewhere meanwhile.
const IDLE_TIME: Duration = Duration::from_millis(10);

/// The rayon pools of one start, made and ended as work comes and goes.
pub(crate) struct Stealing {
    state: Mutex<State>,
    /// Visits that were sent to a rayon pool.
    sent: AtomicUsize,
    /// Notified when a worker that waits before it ends the rayon pool has to look again.
    woken: WakerSet,
    gone: WakerSet,
}

impl Kind<Pool> for Stealing {
    fn request_thread(&self, pool: &Arc<Pool>) -> io::Result<()> {
        let noted = self.state.lock().note_sent();
        match noted {
            Some((rayon, number)) => {
                self.send(&rayon, number, pool);
                Ok(())
            }
            None => threads::leased().request_thread(Arc::clone(pool) as _),
        }
    }

    /// Ends the rayon pool when the pool has ended: the threads leave.
    fn dismiss(&self) {
        // A fork's child has none of the threads, and perhaps their locks.
        if fork::is_fork() {
            return;
        }
        let ended = self.state.lock().end();
        drop(ended);
        self.woken.wake_all();
    }

    /// Whether all threads have left.
    fn is_gone(&self) -> bool {
        self.state.lock().inside == 0
    }

    fn work(&self, pool: &Arc<Pool>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        self.run_leader(pool);
        None
    }

    fn refused(&self, pool: &Arc<Pool>, error: &io::Error) {
        dispatch::refused(pool, error);
    }

    fn rest(&self, pool: &Pool) {
        self.end_if_idle(pool);
    }

    fn gone(&self) -> Option<&WakerSet> {
        Some(&self.gone)
    }

    fn begin_wait(&self, pool: &Arc<Pool>, number: u64, has_task: bool) {
        let stuck = self.note(|state| {
            if has_task {
                state.tasks -= 1;
            } else {
                state.pieces += 1;
            }
            let live = state.live(number).map(|live| {
                live.blocked += 1;
                live.is_stuck() && live.pending > 0
            });
            if live == Some(true) { state.end() } else { None }
        });
        if let Some(stuck) = stuck {
            release_visits(pool, stuck);
        }
    }

    fn end_wait(&self, _: &Arc<Pool>, number: u64, has_task: bool) {
        self.note(|state| {
            if has_task {
                state.tasks += 1;
            } else {
                state.pieces -= 1;
            }
            if let Some(live) = state.live(number) {
                live.blocked -= 1;
            }
        });
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Stealing {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            sent: AtomicUsize::new(0),
            woken: WakerSet::new(),
            gone: WakerSet::new(),
        }
    }

    /// Sends a visit that is noted.
    fn send(&self, rayon: &Rayon, number: u64, pool: &Arc<Pool>) {
        let visits = Arc::clone(pool);
        // Counted before it is sent: a worker that waits after this very visit would take it for another one, and
        // leave.
        self.sent.fetch_add(1, Ordering::SeqCst);
        rayon.spawn(move || run_one(&visits, number));
        self.woken.wake_all();
    }

    /// Works as the requested thread, which has come with a permit.
    fn run_leader(&self, pool: &Arc<Pool>) {
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
            release_visits(pool, stuck);
        }
        let (helpers, wake_chain) = gather_threads(pool);
        let (namespace, logs) = (pool.namespace.clone(), !pool.config.rare().hides_panics);
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
            let pool = Arc::clone(pool);
            helper.assign(Assignment::Part(Box::new(move |idle| {
                if let Some(stealing) = Stealing::of(&pool)
                    && stealing.joins()
                {
                    stealing.serve(&pool, number, part, idle);
                }
            })));
        }
        wake_chain.wake_one();
        if let Some(own) = own {
            self.serve(pool, number, own, blocked::block_here());
        }
    }

    /// Releases the permits when rayon could not make a pool.
    fn give_up(&self, pool: &Arc<Pool>, error: &io::Error) {
        let before = mem::replace(&mut self.state.lock().stage, Stage::None);
        let permits = if let Stage::Making(wait) = before { wait + 1 } else { 1 };
        for _ in 0..permits {
            dispatch::refused(pool, error);
        }
    }

    /// Counts a helper in. Returns false when it is too late: a rayon pool's leader leaves at the pool's end.
    fn joins(&self) -> bool {
        let mut state = self.state.lock();
        let comes = state.inside > 0;
        state.inside += usize::from(comes);
        comes
    }

    /// Works until the rayon pool ends. The caller has counted the thread in.
    ///
    /// Only threads with a task count against the limit of threads: a task may wait for work that needs one, while
    /// rayon has no use for the others.
    fn serve(&self, pool: &Arc<Pool>, number: u64, part: Part, idle: Option<BlockedGuard>) {
        // An accepted task holds the owner, so the owner is gone only when there is no task.
        let owner = pool.owner.upgrade().unwrap_or(NodeRef::PROCESS);
        let guard = current::enter(owner, LazyNode::Nothing);
        let thread = StealingThread { pool, number, blocked: Cell::new(false) };
        while_stealing(&thread, || {
            part.run();
            drop(idle);
            // The owner's end is user code, when this was its last reference.
            swallow(|| guard.exit_to());
        });
        let last = {
            let mut state = self.state.lock();
            state.inside -= 1;
            state.inside == 0
        };
        if last {
            self.gone.wake_all();
        }
    }

    /// Begins a visit. Returns false when its permit was released.
    fn begins(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let Some(live) = state.live(number) else { return false };
        live.pending -= 1;
        true
    }

    /// Notes a change of tasks or pieces.
    fn note<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let cache = threads::leased();
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

    /// Waits a moment without a task, then ends the rayon pool if there is still none. It ends the newest rayon pool,
    /// since the last task may have been that of an older one.
    fn end_after_idle_time(&self, pool: &Pool) {
        let until = Instant::now() + IDLE_TIME;
        let sent = self.sent.load(Ordering::SeqCst);
        let works =
            || pool.permits.is_any_taken() || pool.tracker.is_closed() || self.sent.load(Ordering::SeqCst) != sent;
        let is_wanted = || threads::leased().is_wanted();
        // A visit that is sent now may need this very thread.
        block_on_wakers(&self.woken, Some(until), || works() || is_wanted());
        if !works() {
            self.end_if_idle(pool);
        }
    }

    /// Ends the rayon pool after the last permit was released.
    fn end_if_idle(&self, pool: &Pool) {
        let ended = {
            let mut state = self.state.lock();
            // A thread that acquires a permit from now on looks at the stage after that.
            if pool.permits.is_any_taken() { None } else { state.end() }
        };
        drop(ended);
    }

    fn of(pool: &Pool) -> Option<&Self> {
        pool.kind.as_any().downcast_ref()
    }
}

/// Releases the permits of a stuck rayon pool's visits, and requests a thread for queued tasks.
fn release_visits(pool: &Arc<Pool>, stuck: Live) {
    let Live { rayon, pending, .. } = stuck;
    drop(rayon);
    for _ in 0..pending {
        if pool.permits.release(false) {
            pool.end_if_over();
        }
    }
    if pending > 0 && !pool.queue.is_empty() {
        dispatch::send_if_permit(pool);
    }
}

/// Logs the panic of a job given to `rayon::spawn`, because no code waits for that job.
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

/// Runs one task, on a worker.
fn run_one(pool: &Arc<Pool>, number: u64) {
    let Some(stealing) = Stealing::of(pool) else { return };
    if !stealing.begins(number) {
        return;
    }
    let counts = blocked::run_here_again(threads::leased());
    let tasks = usize::from(counts.is_some());
    stealing.note(|state| state.tasks += tasks);
    let left = run_oldest(pool);
    stealing.note(|state| state.tasks -= tasks);
    drop(counts);
    match left {
        AfterOne::Permit => {
            if let Err(error) = stealing.request_thread(pool) {
                dispatch::refused(pool, &error);
            }
        }
        AfterOne::Idle if with_innermost(|inner| inner.is_none()) => stealing.end_after_idle_time(pool),
        // On top of a task that waits, and whose wait is not to last longer for this.
        AfterOne::Idle => stealing.end_if_idle(pool),
        AfterOne::Others => {}
    }
}
