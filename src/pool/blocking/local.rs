//! The waits of a thread with local pools: it runs their queued tasks meanwhile.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Instant;

use smallvec::SmallVec;

use crate::error::CancelReason;
use crate::pool::blocking::release::{OfTracker, PermitsReleased};
use crate::pool::blocking::woken::Woken;
use crate::pool::blocking::{polled, release};
use crate::pool::context::thread;
use crate::pool::core::cause;
use crate::pool::core::notifier::Notifier;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::pool::run::evict::Evicted;
use crate::pool::run::worker::RunOutcome;
use crate::pool::run::{stop, task, worker};
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target, Waiting};
use crate::wait::park;

/// The pools that are local to the calling thread.
fn all_here() -> SmallVec<[Arc<Pool>; 1]> {
    let mut all = SmallVec::new();
    thread::each_local(|entry| all.push(Arc::clone(&entry.pool)));
    all
}

/// The notifier of a local pool's thread.
pub(crate) fn notifier(pool: &Pool) -> &Notifier {
    match pool.kind.notifier() {
        Some(notifier) => notifier,
        None => unreachable!("only a local pool is on a thread's list"),
    }
}

/// Runs exactly this task, because its join on this thread would wait for this very thread. `waits` is whether the
/// caller would block otherwise. A poll inside a `run_*` does not run the task out of turn, because the `run_*` runs
/// it.
pub(crate) fn run_exactly(task: &Task, pool: *const Pool, waits: bool) -> bool {
    if !thread::is_any_local() || (!waits && thread::is_polling()) {
        return false;
    }
    let Some(pool) = thread::local(pool) else { return false };
    let Ok(claimed) = task.another().claim() else { return false };
    let _released = PermitsReleased::begin();
    // Without a permit of its own, at the bound of waiting tasks, the task runs on its joiner's permit.
    let took = pool.permits.try_acquire_here(1);
    task::run_in_place(&pool, claimed, took);
    if took && pool.permits.release(false) {
        pool.end_if_over();
    }
    true
}

/// Runs the oldest task of a pool that is local here, for a caller that waits for capacity in its queue. Returns false
/// where that would not help.
pub(crate) fn make_room(pool: &Arc<Pool>) -> bool {
    if !thread::is_local(Arc::as_ptr(pool)) {
        return false;
    }
    let _released = PermitsReleased::begin();
    matches!(worker::run_next(pool), RunOutcome::RanTask | RunOutcome::Skipped)
}

/// Waits for the future, and runs the tasks of the pools local here meanwhile, because the future may wait for them.
/// The wait ends with `what`. Returns `None` at the deadline. The error is the circle that the wait would close.
pub(crate) fn run_meanwhile<F: Future>(
    what: OfTracker,
    deadline: Option<Instant>,
    future: F,
) -> Result<Option<F::Output>, ClosesCircle> {
    let OfTracker { on, label, ends } = what;
    drive(|_| Some((on.clone(), label.clone(), ends)), deadline, future)
}

/// Cancels the pools local to this thread. The process ends on this thread, which runs no task any more.
pub(crate) fn cancel_here() {
    let pools = all_here();
    pools.iter().for_each(|pool| notifier(pool).leave());
    stop::cancel_all(&pools, Evicted::new(), &|pool| cause::at_pool(pool, CancelReason::Shutdown), &mut || {});
}

/// Polls the future when it is woken, runs tasks of the pools local here in turn, and sleeps when neither has work.
/// Returns `None` at the deadline. The error is the circle that the wait would close.
///
/// A sleep without a deadline is a wait for the target of `on`, if it returns one. `on` gets the targets that alone can
/// wake the future, or none where other code may wake it.
pub(crate) fn drive<F: Future>(
    on: impl Fn(Vec<Target>) -> Option<(Target, Label, Ends)>,
    deadline: Option<Instant>,
    future: F,
) -> Result<Option<F::Output>, ClosesCircle> {
    let mut out = None;
    drive_any(&on, deadline, pin!(async { out = Some(future.await) }))?;
    Ok(out)
}

/// One function for all futures; see [`drive`]. The future keeps its output.
fn drive_any(
    on: &dyn Fn(Vec<Target>) -> Option<(Target, Label, Ends)>,
    deadline: Option<Instant>,
    mut future: Pin<&mut dyn Future<Output = ()>>,
) -> Result<(), ClosesCircle> {
    let woken = Woken::new(park::waker());
    let waker = Waker::from(Arc::clone(&woken));
    let mut left_with = Vec::new();
    let _released = PermitsReleased::begin_until(deadline);
    loop {
        if woken.take() {
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker));
            let (polled, left) = thread::while_polling(|| polled::polling(&waker, poll));
            if polled.is_ready() {
                return Ok(());
            }
            left_with = left;
        }
        let mut free = all_here();
        let mut runs = false;
        free.retain(|pool| {
            let outcome = worker::run_next(pool);
            runs |= matches!(outcome, RunOutcome::RanTask | RunOutcome::Skipped);
            // Where it is busy, a task further out on this stack holds the permit, and no task runs before its release.
            matches!(outcome, RunOutcome::Nothing)
        });
        if runs {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(());
            }
            continue;
        }
        // With a deadline the wait is no part of a circle: it ends by itself.
        let on = if deadline.is_none() { on(woken.only(&left_with)) } else { None };
        let waits = on.map(|(on, label, ends)| release::begin_driving(on, label, ends)).transpose()?;
        let is_refused = || waits.as_ref().is_some_and(Waiting::is_refused);
        let in_time = park::block_until(deadline, |thread| {
            free.iter().for_each(|pool| {
                notifier(pool).register(thread);
                notifier(pool).rearm();
            });
            // The tasks left in an ended pool's queue are tombstones.
            let has_more = |pool: &Arc<Pool>| !pool.queue.looks_empty() && !pool.tracker.is_ended();
            woken.is_set() || free.iter().any(has_more) || is_refused()
        });
        if !in_time {
            return Ok(());
        }
        if let Some(why) = waits.as_ref().and_then(Waiting::refusal)
            && !woken.is_set()
        {
            return Err(why);
        }
    }
}
