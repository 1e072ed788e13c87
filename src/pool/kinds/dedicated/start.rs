//! Starting a dedicated pool's threads: carries out the decisions of [`Warm`].

use std::io;
use std::time::{Duration, Instant};

use crate::error::CancelReason;
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
use crate::threads::blocked;
use crate::threads::job::{Job, ThreadInfo, WorkerHandle};
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
            // The pool has as many threads as its limit. Some came for tasks, and each of them counts when it is ready.
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

/// Runs the initialiser, before a thread of the pool's own does anything else. Returns true when the thread may go on
/// with its job; otherwise it becomes idle, or ends.
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
    // The job is parked first. If the pool releases parked jobs before this line, `begin` reports that it is too late.
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
    // The thread's job is parked, if no other thread has taken it over.
    false
}

/// Handles the result of an initialiser. Returns whether the thread may work.
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

/// Releases the job of a thread that does not become ready.
fn give_up(own: &Dedicated, pool: &Arc<Pool>, purpose: WorkerPurpose) {
    if purpose == WorkerPurpose::ForTask && own.cache.give_up_preparing().is_some() {
        // A ready idle thread comes for a queued task; if there is none, the spawn policy refuses a new one.
        dispatch::release_permit(pool, false);
    }
}

/// Looks at the queue again, because a ready thread has become idle or ends.
pub(super) fn let_go(pool: &Arc<Pool>, ends: bool) {
    let Some((_, warm)) = warm_of(pool) else { return };
    if ends {
        warm.one_ends();
    }
    if !pool.queue.is_empty() {
        dispatch::send_if_permit(pool);
    }
}

/// Ends the initialiser of a thread whose code ends the process: the thread does not return, and the pool goes on
/// without it.
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

/// Ends a failed start, which the caller has decided: ends the started threads, then publishes the error.
fn end_start(own: &Dedicated, pool: &Arc<Pool>, warm: &Warm, unready: WarmupError) {
    let error = match &unready {
        WarmupError::Init(error) => error.clone(),
        WarmupError::Thread(error) => SharedInitError::from(Arc::clone(error) as Arc<_>),
        WarmupError::TimedOut { .. } => said("the start of the pool timed out"),
        WarmupError::Ended => said("the pool was closed or cancelled"),
    };
    pool.tracker.close();
    dispatch::fail_queued(pool, &WorkerInitFailed(error).into());
    stop::cancel(pool, CancelReason::OwnerEnd);
    abandon_initialisers(own, pool);
    pool.end_if_over();
    warm.publish(Err(unready));
}

/// Handles a ready thread's state that was lost and could not be made again. The thread ends, and for a pause no other
/// thread is made.
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

/// Abandons the threads under way, because no task needs them any more, and releases their parked jobs.
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
    for _permit in own.cache.take_parked() {
        // The caller checks next whether it was the last one.
        let _ = pool.permits.release(false);
    }
}

/// Returns whether no thread is waited for.
#[inline]
pub(crate) fn is_ready(pool: &Pool) -> bool {
    warm_of(pool).is_none_or(|(_, warm)| matches!(warm.outcome(), Some(Ok(()))))
}

/// Waits until a start has its threads or has failed; at the deadline the caller ends the start.
pub(crate) fn wait_ready(pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<(), WarmupError> {
    let Some((_, warm)) = warm_of(pool) else { return Ok(()) };
    if let Some(outcome) = warm.outcome() {
        return outcome;
    }
    // An initialiser that asks for its own pool gets the pool: a wait for itself would never end.
    if is_in(Arc::as_ptr(pool)) {
        return Ok(());
    }
    let _released = PermitsReleased::begin_until(deadline);
    let there = || warm.outcome().is_some();
    if !block_on_wakers(&warm.changed, deadline, there) {
        time_out(pool);
        // Another thread has decided already, and is about to publish.
        block_on_wakers(&warm.changed, None, there);
    }
    warm.outcome().unwrap_or(Err(WarmupError::Ended))
}

/// Ends a start that has taken too long, unless it has just ended.
pub(crate) fn time_out(pool: &Arc<Pool>) {
    if let Some((own, warm)) = warm_of(pool)
        && warm.decide()
    {
        let ready = warm.ready();
        end_start(own, pool, warm, WarmupError::TimedOut { ready });
    }
}

/// As `wait_ready`, without blocking the runtime. A borrowed thread keeps the time, also when the future is dropped
/// meanwhile.
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

/// The deadline of a start that begins now.
pub(crate) fn ready_by(pool: &Pool) -> Option<Instant> {
    warm_of(pool).and_then(|(_, warm)| park::after(warm.timeout))
}

/// The number of threads that a start waits for, and its timeout.
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
        // Ready or not, the thread holds no permit: it becomes idle, or takes a job in line.
        None
    }

    fn refused(self: Arc<Self>, _error: &io::Error) {
        unreachable!("it is never in line")
    }
}

/// Ends a start without a blocked waiter when its time is over.
struct WarmupTimeout {
    pool: Arc<Pool>,
    deadline: Instant,
}

impl Job for WarmupTimeout {
    fn work(self: Arc<Self>, _hand: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        let _waits = blocked::block_here();
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
