//! [`Stealing`]: a rayon pool on the process-wide cache's threads, for as long as its pool has work.
//!
//! Queue, places, frames and the end are as for every pool; rayon has the threads, and what runs inside a task.
//!
//! # The protocol
//! 1. A place is taken for a *visit*: a rayon job that runs one task and then comes again, if more is queued. One task, because
//!    rayon may run a visit on top of whatever waits on that thread, which is to go on soon.
//! 2. Without a rayon pool, the place asks the cache for a thread as a leased pool's does. That thread, the *leader*, makes the
//!    rayon pool, asks the cache for the other threads, and becomes the first worker. So the visit is certain to run, and a
//!    thread that the system refuses later is only one worker fewer.
//! 3. Who gives the last place back lingers a moment and then ends the rayon pool; so does the end of the pool itself. The threads
//!    go back to the cache, and an idle pool has none.
//!
//! # The race to fear
//! A visit is sent to a rayon pool that ends. It is sent through a counted handle, so rayon hears of the visit before it hears of
//! the end, and runs it before its threads leave. A place taken later finds no rayon pool and asks for a leader.
//!
//! # Where code stands
//! rayon has no hook for each job: what it steals runs on top of whatever waits on that thread. So nothing here may belong to one
//! task alone. Workers and tasks stand at the pool's owner; a task has no node, no span and no ear for its own handle, or a piece
//! of another task that is stolen meanwhile would have them too. What a task only counts in, its submitter's scopes, it keeps.
//!
//! # What keeps what alive
//! A worker holds the pool and its owner until it leaves; a rayon pool ends soon after the last task, so a manager nobody holds any
//! more is closed then.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::ptr;
use std::time::{Duration, Instant};

use rayon_core::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use crate::bell::Bell;
use crate::error::payload_text;
use crate::lineage::current::{self, Pending};
use crate::lineage::node::Place;
use crate::pool::crew::Crew;
use crate::pool::exit;
use crate::pool::frame;
use crate::pool::inner::Pool;
use crate::pool::wait::block_on_bell;
use crate::pool::worker::{self, Left};
use crate::quiet::{drop_quietly, quietly};
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::threads::cache::{self, Hand, Job};

/// How long an idle rayon pool stays: making one again costs a wake of each thread. Short, because its threads are missing
/// elsewhere meanwhile.
const LINGER: Duration = Duration::from_millis(10);

/// The rayon pool of one start, made and ended as work comes and goes.
pub(crate) struct Stealing {
    state: Mutex<State>,
    /// Visits that were sent to a rayon pool.
    sent: AtomicUsize,
    /// Whoever lingers is to look again.
    woken: Bell,
    gone: Bell,
}

struct State {
    stage: Stage,
    /// Of the newest rayon pool.
    number: u64,
    /// Threads that work for a rayon pool of this start.
    inside: usize,
}

enum Stage {
    None,
    /// A leader makes one; so many more places wait for it.
    Making(usize),
    Live(Arc<ThreadPool>),
}

/// A thread that works for a rayon pool.
struct Worker<'a> {
    pool: &'a Arc<Pool>,
    number: u64,
}

thread_local! {
    static HERE: Cell<*const Worker<'static>> = const { Cell::new(ptr::null()) };
}

/// What the calling thread works for.
#[inline]
fn worker<'a>() -> Option<&'a Worker<'a>> {
    // SAFETY: it is further up this thread's stack, with what it borrows, until `serve` clears the pointer; a caller is above it
    // and keeps the reference no longer than it runs.
    unsafe { HERE.get().cast::<Worker<'a>>().as_ref() }
}

/// The work-stealing pool whose thread this is, whatever runs on it.
#[inline]
pub(crate) fn here<'a>() -> Option<&'a Arc<Pool>> {
    worker().map(|worker| worker.pool)
}

/// The pool of a work-stealing crew.
fn of(pool: &Pool) -> &Stealing {
    match &pool.crew {
        Crew::WorkStealing(stealing) => stealing,
        _ => unreachable!("only a work-stealing pool has visits"),
    }
}

impl Stealing {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State { stage: Stage::None, number: 0, inside: 0 }),
            sent: AtomicUsize::new(0),
            woken: Bell::new(),
            gone: Bell::new(),
        }
    }

    /// Sends a visit for a place that was taken.
    ///
    /// # Errors
    /// The system's, when it refuses the first thread.
    pub(crate) fn ask(&self, pool: &Arc<Pool>) -> io::Result<()> {
        // Not under the lock: a last handle's drop ends the rayon pool.
        let live = match &self.state.lock().stage {
            Stage::Live(rayon) => Some(Arc::clone(rayon)),
            _ => None,
        };
        match live {
            Some(rayon) => {
                self.send(&rayon, pool);
                Ok(())
            }
            None => pool.crew.cache().ask(Arc::clone(pool) as _),
        }
    }

    fn send(&self, rayon: &ThreadPool, pool: &Arc<Pool>) {
        let visits = Arc::clone(pool);
        rayon.spawn(move || visit(&visits));
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.woken.ring();
    }

    /// A thread that was asked for has come, with a place.
    pub(crate) fn lead(&self, pool: &Arc<Pool>) {
        {
            let mut state = self.state.lock();
            match &mut state.stage {
                Stage::None => state.stage = Stage::Making(0),
                Stage::Making(wait) => {
                    *wait += 1;
                    return;
                }
                Stage::Live(rayon) => {
                    let rayon = Arc::clone(rayon);
                    drop(state);
                    return self.send(&rayon, pool);
                }
            }
        }
        let mut builders = Vec::new();
        let made = make(pool, &mut builders);
        let mut builders = builders.into_iter();
        let (rayon, first) = match (made, builders.next()) {
            (Ok(rayon), Some(first)) => (Arc::new(rayon), first),
            (made, _) => {
                let error =
                    io::Error::other(made.err().map_or_else(|| "rayon made no worker".into(), |e| e.to_string()));
                return self.give_up(pool, &error);
            }
        };
        let (number, places) = {
            let mut state = self.state.lock();
            let Stage::Making(wait) = std::mem::replace(&mut state.stage, Stage::Live(Arc::clone(&rayon))) else {
                unreachable!("only its leader ends the making");
            };
            state.number += 1;
            state.inside += 1;
            (state.number, wait + 1)
        };
        for _ in 0..places {
            self.send(&rayon, pool);
        }
        drop(rayon);
        for builder in builders {
            let helper = Helper { pool: Arc::clone(pool), number, builder: Mutex::new(Some(builder)) };
            // One worker fewer, said once by the helper's end.
            if let Err(error) = pool.crew.cache().ask(Arc::new(helper)) {
                say_refused(pool, &error);
            }
        }
        self.serve(pool, number, first);
    }

    /// rayon could not make a pool; nothing of it is left.
    fn give_up(&self, pool: &Arc<Pool>, error: &io::Error) {
        let before = std::mem::replace(&mut self.state.lock().stage, Stage::None);
        let places = if let Stage::Making(wait) = before { wait + 1 } else { 1 };
        for _ in 0..places {
            Arc::clone(pool).refused(error);
        }
    }

    /// Works until the rayon pool ends. The caller has counted the thread in.
    fn serve(&self, pool: &Arc<Pool>, number: u64, builder: ThreadBuilder) {
        // What is accepted holds the owner, so it is gone only when there is nothing to do.
        let owner = pool.owner.upgrade().unwrap_or(Place::PROCESS);
        let standing = current::stand(owner, Pending::Nothing);
        let worker = Worker { pool, number };
        HERE.set((&raw const worker).cast());
        // Only those with a task count against the limit of threads: what a task waits for may need one, while rayon has no use for
        // the others.
        let idle = cache::wait_here();
        builder.run();
        drop(idle);
        // The owner's end is user code, when this was the last to hold it.
        quietly(|| standing.cut());
        HERE.set(ptr::null());
        let last = {
            let mut state = self.state.lock();
            state.inside -= 1;
            state.inside == 0
        };
        if last {
            self.gone.ring();
        }
    }

    /// Nothing was left to do. Ends the rayon pool if that stays so for a moment.
    fn linger(&self, pool: &Pool, number: u64) {
        let until = Instant::now() + LINGER;
        let sent = self.sent.load(Ordering::SeqCst);
        let works = || pool.places.is_any_taken() || pool.tally.is_closed() || self.sent.load(Ordering::SeqCst) != sent;
        let is_wanted = || pool.crew.cache().is_wanted();
        // A visit that is sent now may need this very thread.
        block_on_bell(&self.woken, Some(until), || works() || is_wanted());
        if works() {
            return;
        }
        let ended = {
            let mut state = self.state.lock();
            // Whoever takes a place from now on looks at the stage after that.
            let idle = state.number == number && !pool.places.is_any_taken();
            if idle && matches!(state.stage, Stage::Live(_)) { state.end() } else { Stage::None }
        };
        drop(ended);
    }

    /// The pool has ended: the threads leave.
    pub(crate) fn dismiss(&self) {
        // A fork's child has none of the threads, and perhaps their locks.
        if exit::is_fork() {
            return;
        }
        let ended = self.state.lock().end();
        drop(ended);
        self.woken.ring();
    }

    /// Whether all threads have left.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().inside == 0
    }

    /// Told when the last thread has left.
    pub(crate) fn gone(&self) -> &Bell {
        &self.gone
    }
}

impl State {
    /// To be dropped outside of the lock.
    fn end(&mut self) -> Stage {
        std::mem::replace(&mut self.stage, Stage::None)
    }
}

fn make(pool: &Arc<Pool>, builders: &mut Vec<ThreadBuilder>) -> Result<ThreadPool, rayon_core::ThreadPoolBuildError> {
    let (namespace, logs) = (pool.namespace.clone(), pool.config.log_panics);
    ThreadPoolBuilder::new()
        .num_threads(pool.config.limit)
        .panic_handler(move |payload| {
            if logs {
                report_panic(&namespace, payload.as_ref());
            }
            drop_quietly(payload);
        })
        .spawn_handler(|builder| {
            builders.push(builder);
            Ok(())
        })
        .build()
}

/// A job given to `rayon::spawn` panicked: nobody waits for it.
fn report_panic(namespace: &crate::namespace::Namespace, payload: &(dyn Any + Send)) {
    quietly(|| {
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
        quietly(|| {
            tracing::warn!(
                target: "heirloom",
                namespace = %pool.namespace,
                "the system refused a thread of a work-stealing pool, which goes on with fewer: {error}",
            );
        });
    }
}

/// Runs one task, on a worker.
fn visit(pool: &Arc<Pool>) {
    let counts = cache::work_here(pool.crew.cache());
    let left = worker::run_one(pool);
    drop(counts);
    match left {
        Left::Place => {
            let again = Arc::clone(pool);
            rayon_core::spawn(move || visit(&again));
        }
        // Not on top of a task that waits.
        Left::Idle if frame::innermost().is_none() => {
            if let Some(worker) = worker() {
                of(pool).linger(pool, worker.number);
            }
        }
        Left::Idle | Left::Others => {}
    }
}

/// The way of another worker into a rayon pool.
struct Helper {
    pool: Arc<Pool>,
    number: u64,
    builder: Mutex<Option<ThreadBuilder>>,
}

impl Job for Helper {
    fn work(self: Arc<Self>, _: &mut Hand<'_>) -> Option<Arc<dyn Job>> {
        let builder = self.builder.lock().take()?;
        let stealing = of(&self.pool);
        let comes = {
            let mut state = stealing.state.lock();
            let comes = state.number == self.number && matches!(state.stage, Stage::Live(_));
            state.inside += usize::from(comes);
            comes
        };
        // Otherwise the rayon pool has ended before.
        if comes {
            stealing.serve(&self.pool, self.number, builder);
        }
        None
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        say_refused(&self.pool, error);
    }
}
