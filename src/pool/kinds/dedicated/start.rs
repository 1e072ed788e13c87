//! Starting threads of a pool's own: what a [`Warm`] decides is done here.

use std::io;
use std::time::{Duration, Instant};

use crate::error::worker_init::{Said, SharedInitError, WorkerInitFailed};
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::context::thread::{WorkerPurpose, is_in};
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::init;
use crate::pool::kinds::dedicated::own::Dedicated;
use crate::pool::kinds::dedicated::warm::{After, Warm, WarmupError};
use crate::pool::run::{dispatch, stop};
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::threads::cache::{self, Job, ThreadInfo, WorkerHandle};
use crate::wait::park;

/// The threads of the pool's own and their initialisation, if there is one.
fn warm_of(pool: &Pool) -> Option<(&Dedicated, &Warm)> {
    let own = Dedicated::of(pool)?;
    Some((own, own.warm.as_deref()?))
}

/// Makes the first threads that a start waits for.
pub(crate) fn warm_up(pool: &Arc<Pool>) {
    if let Some((own, warm)) = warm_of(pool) {
        let threads = warm.make_more(&mut warm.state.lock());
        make(own, pool, warm, threads);
    }
}

fn make(own: &Dedicated, pool: &Arc<Pool>, warm: &Warm, threads: usize) {
    for made in 0..threads {
        match own.cache.start(Arc::new(WarmUp(Arc::clone(pool)))) {
            Ok(true) => {}
            // As many as there may be: some came for tasks, and each of them counts when it is ready.
            Ok(false) => warm.was_not_made(),
            Err(error) => {
                (made..threads).for_each(|_| warm.was_not_made());
                if warm.decide() {
                    end_start(own, pool, warm, WarmupError::Thread(Arc::new(error)));
                }
                return;
            }
        }
    }
}

/// Before a thread of the pool's own does anything: runs the initialiser. True when the thread may go on with what
/// it came for; otherwise it rests, or ends.
pub(super) fn prepare(
    own: &Dedicated,
    pool: &Arc<Pool>,
    worker: &mut WorkerHandle<'_>,
    purpose: WorkerPurpose,
) -> bool {
    if worker.is_prepared() {
        return true;
    }
    let info = Arc::clone(worker.info());
    let Some(warm) = &own.warm else {
        init::attach(pool, &own.below, &info);
        worker.set_prepared(&(Arc::clone(pool) as _));
        return true;
    };
    if purpose == WorkerPurpose::ForTask && !worker.park_job(Arc::clone(pool) as _) {
        // An idle thread is there after all.
        worker.retire();
        return false;
    }
    // Aside first: if the pool lets go of what is aside before this, it is said here that it is too late.
    if !warm.begin(&info, purpose) {
        release_parked(own, pool);
        pool.end_if_over();
        worker.retire();
        return false;
    }
    init::attach(pool, &own.below, &info);
    let result = warm.hook.as_ref().map_or(Ok(()), |hook| init::initialise(pool, hook, &info, purpose));
    if has_initialised(own, pool, warm, &info, purpose, result.map_err(SharedInitError::from)) {
        worker.set_prepared(&(Arc::clone(pool) as _));
    } else {
        worker.retire();
    }
    // What it came for is aside, if nobody has taken it over.
    false
}

/// What follows an initialiser. Whether the thread may work.
fn has_initialised(
    own: &Dedicated,
    pool: &Arc<Pool>,
    warm: &Warm,
    info: &Arc<ThreadInfo>,
    purpose: WorkerPurpose,
    result: Result<(), SharedInitError>,
) -> bool {
    match warm.end(info, result) {
        After::Ready { make: threads } => {
            make(own, pool, warm, threads);
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
                    namespace = %pool.namespace,
                    worker = info.number(),
                    %error,
                    "a worker's initialiser failed; the worker ends without having had a task",
                );
            });
            give_up(own, pool, purpose);
            if decides {
                end_start(own, pool, warm, WarmupError::Init(error));
            }
            false
        }
    }
}

/// A thread will not become ready.
fn give_up(own: &Dedicated, pool: &Arc<Pool>, purpose: WorkerPurpose) {
    if purpose == WorkerPurpose::ForTask && own.cache.give_up_preparing().is_some() {
        if pool.permits.release(false) {
            pool.end_if_over();
        }
        if !pool.queue.is_empty() {
            // A ready thread that is idle comes; if there is none, the gate refuses a new one.
            dispatch::send_if_permit(pool);
        }
    }
}

/// A ready thread has gone idle, or ends.
pub(super) fn let_go(pool: &Arc<Pool>, ends: bool) {
    let Some((_, warm)) = warm_of(pool) else { return };
    if ends {
        warm.one_ends();
    }
    if !pool.queue.is_empty() {
        dispatch::send_if_permit(pool);
    }
}

/// Code in an initialiser ends the process: its thread does not come back, and the pool goes on without it.
pub(crate) fn initialiser_exits(pool: &Arc<Pool>, info: &Arc<ThreadInfo>, purpose: WorkerPurpose) {
    let Some((own, warm)) = warm_of(pool) else { return };
    let error = said("it ended the process");
    if let After::Failed { error, decides } = warm.end(info, Err(error)) {
        give_up(own, pool, purpose);
        own.cache.retire();
        if decides {
            end_start(own, pool, warm, WarmupError::Init(error));
        }
    }
}

/// The start failed, which the caller has decided: ends what was started, then says so.
fn end_start(own: &Dedicated, pool: &Arc<Pool>, warm: &Warm, unready: WarmupError) {
    let error = match &unready {
        WarmupError::Init(error) => error.clone(),
        WarmupError::Thread(error) => SharedInitError::from(Arc::clone(error) as Arc<_>),
        WarmupError::TimedOut { .. } => said("the start of the pool timed out"),
        WarmupError::Ended => said("the pool was told to end"),
    };
    pool.tracker.close();
    dispatch::fail_queued(pool, &WorkerInitFailed(error).into());
    stop::cancel(pool);
    abandon_initialisers(own, pool);
    pool.end_if_over();
    warm.publish(Err(unready));
}

/// A ready thread's state was lost and could not be made anew. The thread ends, and for a pause no other is made.
pub(super) fn state_failed(pool: &Pool, error: &SharedInitError) {
    let Some((_, warm)) = warm_of(pool) else { return };
    let before = warm.state.lock().backoff(error);
    drop(before);
    swallow(|| {
        tracing::warn!(
            target: "heirloom",
            namespace = %pool.namespace,
            %error,
            "a worker's state was lost in a panic and could not be made anew; the worker ends",
        );
    });
}

/// Nobody needs the threads under way any more: lets go of them and of what they have set aside.
pub(super) fn abandon_initialisers(own: &Dedicated, pool: &Pool) {
    let Some(warm) = &own.warm else { return };
    for info in warm.close() {
        own.cache.abandon(&info);
    }
    if let Some(states) = &own.states {
        states.close();
    }
    release_parked(own, pool);
}

fn release_parked(own: &Dedicated, pool: &Pool) {
    for _place in own.cache.take_parked() {
        // Whether it was the last one is what the caller looks at next.
        let _ = pool.permits.release(false);
    }
}

/// No thread is waited for.
#[inline]
pub(crate) fn is_ready(pool: &Pool) -> bool {
    warm_of(pool).is_none_or(|(_, warm)| matches!(warm.outcome(), Some(Ok(()))))
}

/// Waits until a start has its threads, or has failed; at the deadline the caller ends it.
pub(crate) fn wait_ready(pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<(), WarmupError> {
    let Some((_, warm)) = warm_of(pool) else { return Ok(()) };
    if let Some(outcome) = warm.outcome() {
        return outcome;
    }
    // An initialiser that asks for its own pool has it: waiting for itself would help nobody.
    if is_in(Arc::as_ptr(pool)) {
        return Ok(());
    }
    let _released = PermitsReleased::begin_until(deadline);
    let there = || warm.outcome().is_some();
    if !block_on_wakers(&warm.changed, deadline, there) {
        time_out(pool);
        // Whoever has decided already is about to publish.
        block_on_wakers(&warm.changed, None, there);
    }
    warm.outcome().unwrap_or(Err(WarmupError::Ended))
}

/// The start has taken too long, unless it has just ended.
pub(crate) fn time_out(pool: &Arc<Pool>) {
    if let Some((own, warm)) = warm_of(pool)
        && warm.decide()
    {
        let ready = warm.ready();
        end_start(own, pool, warm, WarmupError::TimedOut { ready });
    }
}

/// Waits for what `wait_ready` waits for without blocking the runtime. A borrowed thread keeps the time, also when
/// the future is dropped meanwhile.
pub(crate) async fn await_ready(pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<(), WarmupError> {
    let Some((_, warm)) = warm_of(pool) else { return Ok(()) };
    if let Some(outcome) = warm.outcome() {
        return outcome;
    }
    if let Some(deadline) = deadline {
        let keeper = Arc::new(WarmupTimeout { pool: Arc::clone(pool), deadline });
        if let Err(error) = crate::threads::leased().request_thread(Arc::clone(&keeper) as _) {
            keeper.refused(&error);
        }
    }
    warm.changed.until(|| warm.outcome().is_some()).await;
    warm.outcome().unwrap_or(Err(WarmupError::Ended))
}

/// When a start that begins now has taken too long.
pub(crate) fn ready_by(pool: &Pool) -> Option<Instant> {
    warm_of(pool).and_then(|(_, warm)| park::after(warm.timeout))
}

/// How many threads a start waits for, and how long.
pub(crate) fn warm_wanted(pool: &Pool) -> (usize, Duration) {
    warm_of(pool).map_or((0, Duration::ZERO), |(_, warm)| (warm.wanted, warm.timeout))
}

fn said(text: &str) -> SharedInitError {
    SharedInitError::from(Box::new(Said(text.into())) as Box<_>)
}

/// The first job of a thread that a start made.
struct WarmUp(Arc<Pool>);

impl Job for WarmUp {
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        if let Some(own) = Dedicated::of(&self.0) {
            prepare(own, &self.0, worker, WorkerPurpose::ForStart);
        }
        // Ready or not, it holds no place: it rests, or takes who is in line.
        None
    }

    fn refused(self: Arc<Self>, _error: &io::Error) {
        unreachable!("it is never in line")
    }
}

/// Ends a start that nobody blocks for when its time is over.
struct WarmupTimeout {
    pool: Arc<Pool>,
    deadline: Instant,
}

impl Job for WarmupTimeout {
    fn work(self: Arc<Self>, _hand: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        let _waits = cache::block_here();
        let _ = wait_ready(&self.pool, Some(self.deadline));
        None
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        if let Some((own, warm)) = warm_of(&self.pool)
            && warm.decide()
        {
            let copy = io::Error::new(error.kind(), error.to_string());
            end_start(own, &self.pool, warm, WarmupError::Thread(Arc::new(copy)));
        }
    }
}
