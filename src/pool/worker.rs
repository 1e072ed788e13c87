//! A thread's visit to a pool, and the running of one task.

use std::time::Instant;

use crate::error::{SubmitError, TaskError, payload_text};
use crate::lineage::current::{self, Pending};
use crate::lineage::node::Place;
use crate::pool::config::{PoolKind, PoolMode};
use crate::pool::frame::Frame;
use crate::pool::handle::TaskHandle;
use crate::pool::inner::{Book, Memo, Pool, Running, leave_tally};
use crate::pool::places::Places;
use crate::sync::os::{Arc, Ordering};
use crate::tally::Tally;
use crate::task::cell::{Claimed, Payload, TaskRef, drop_quietly};
use crate::task_type::TaskType;
use crate::threads::cache::Hand;

/// How many tasks a borrowed thread runs for one pool before it lets others in line have their turn.
const TURN: u32 = 64;

/// How many shells there must be, at least, before the queue is swept.
const SWEEP: usize = 64;

/// That this thread is between two tasks; see [`Places`]. Anything of a user's that might block is run aside.
struct Looking<'a> {
    places: &'a Places,
    on: bool,
}

impl Looking<'_> {
    fn start(&mut self) {
        if !self.on {
            self.on = true;
            self.places.start_looking();
        }
    }

    fn stop(&mut self) {
        if std::mem::take(&mut self.on) {
            self.places.stop_looking();
        }
    }
}

impl Book {
    fn begin(&mut self, at: &mut Option<usize>, entry: Option<Running>) {
        match (*at, entry) {
            (Some(i), Some(entry)) => self.running[i] = Some(entry),
            (Some(i), None) => {
                self.running[i] = None;
                *at = None;
                if self.running.iter().all(Option::is_none) {
                    // An idle pool keeps no memory for the busiest moment it had.
                    self.running = smallvec::SmallVec::new();
                }
            }
            (None, Some(entry)) => *at = Some(self.note(entry)),
            (None, None) => {}
        }
    }

    fn note(&mut self, entry: Running) -> usize {
        match self.running.iter().position(Option::is_none) {
            Some(free) => {
                self.running[free] = Some(entry);
                free
            }
            None => {
                self.running.push(Some(entry));
                self.running.len() - 1
            }
        }
    }
}

/// Runs what is queued until nothing is, or it is another pool's turn. The caller holds a place; it is given back.
pub(super) fn work(pool: &Arc<Pool>, hand: &mut Hand<'_>) {
    let limit = pool.config.limit;
    let mut looking = Looking { places: &pool.places, on: false };
    let mut entry = None;
    let mut turn = TURN;
    loop {
        if pool.places.shed(limit, looking.on) {
            pool.queue.with_extra(|book| book.begin(&mut entry, None));
            return;
        }
        let now = Instant::now();
        let popped = pool.queue.pop(|book, task| {
            if task.is_some() {
                book.popped += 1;
            }
            book.begin(&mut entry, task.map(|task| Running { id: task.id(), since: now, task_type: None }));
        });
        let Some(task) = popped.task else {
            hand.open();
            // The last place of a pool that is closed and has nothing left: that is its end.
            if pool.places.give(looking.on) {
                pool.end_if_over();
            }
            if !pool.queue.is_empty() {
                pool.send_if_place();
            }
            return;
        };
        looking.stop();
        if popped.more || !pool.queue.inbox_is_empty() {
            pool.send_if_place();
        }
        match task.claim() {
            Ok(claimed) => run_popped(pool, claimed, entry, popped.more, &mut looking),
            Err(shell) => {
                pool.counters.shells.fetch_add(1, Ordering::Relaxed);
                pool.stale.fetch_sub(1, Ordering::Relaxed);
                drop(shell);
            }
        }
        turn -= 1;
        if turn == 0 {
            turn = TURN;
            if hand.others_wait() {
                looking.stop();
                pool.queue.with_extra(|book| book.begin(&mut entry, None));
                pool.crew.cache().requeue(Arc::clone(pool) as _);
                return;
            }
        }
    }
}

fn run_popped(pool: &Arc<Pool>, claimed: Claimed<Memo>, entry: Option<usize>, more: bool, looking: &mut Looking<'_>) {
    let Some(memo) = claimed.take_memo() else { return };
    if pool.drops(&memo) {
        pool.counters.shells.fetch_add(1, Ordering::Relaxed);
        pool.counters.elsewhere.fetch_add(1, Ordering::Relaxed);
        let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
        pool.end_unrun_with(claimed, memo, error);
        return;
    }
    pool.give_room();
    if let (Some(task_type), Some(entry)) = (&memo.task_type, entry)
        && pool.config.task_type.is_none()
    {
        let task_type = Some(task_type.clone());
        pool.queue.with_extra(|book| {
            if let Some(Some(running)) = book.running.get_mut(entry) {
                running.task_type = task_type;
            }
        });
    }
    let (claimed, place, scoped) = run(pool, claimed, memo, true);
    // Seen as looking before the result is seen: whoever joins this task and submits the next finds us ready. Only where
    // nothing of a user's runs in between: no waker, no drop of a result, no node's end.
    if !more && pool.queue.inbox_is_empty() && claimed.task().state().is_quiet() {
        looking.start();
    }
    claimed.finish(|| looking.stop());
    leave(pool, place, scoped, looking);
}

/// The last steps of a task that ran: it is counted out.
fn leave(pool: &Arc<Pool>, place: Place, scoped: Option<Arc<Tally>>, looking: &mut Looking<'_>) {
    if let Some(scoped) = scoped {
        looking.stop();
        leave_tally(&scoped);
    }
    if place.is_counted() {
        if place.node().scopes().any(|scope| scope.is_observed()) {
            looking.stop();
        }
        Pool::leave_scopes(&place);
        place.let_go(|| looking.stop());
    }
    if pool.tally.is_observed() {
        looking.stop();
    }
    pool.leave();
}

/// [`leave`] for a task whose thread does not go on.
pub(super) fn leave_after(pool: &Arc<Pool>, place: Place, scoped: Option<Arc<Tally>>) {
    leave(pool, place, scoped, &mut Looking { places: &pool.places, on: false });
}

/// Runs a claimed task on this thread and stores its result. The claim is handed back, to be finished.
fn run(
    pool: &Arc<Pool>,
    claimed: Claimed<Memo>,
    memo: Memo,
    brings_place: bool,
) -> (Claimed<Memo>, Place, Option<Arc<Tally>>) {
    let Memo { place, span, task_type, scoped, .. } = memo;
    let id = claimed.task().id();
    let (outcome, place, scoped) = Frame::with(pool, &claimed, place, scoped, brings_place, |frame| {
        let standing = current::stand(frame.place.clone(), Pending::Task(id));
        let entered = span.as_ref().map(|span| span.enter());
        let outcome = claimed.run();
        drop(entered);
        standing.cut();
        outcome
    });
    match outcome {
        Ok(()) => {
            pool.counters.completed.fetch_add(1, Ordering::Relaxed);
        }
        Err(payload) => {
            if pool.config.log_panics {
                report_panic(pool, &claimed, task_type.as_ref(), span.as_deref(), &payload);
            }
            pool.counters.panicked.fetch_add(1, Ordering::Relaxed);
            claimed.fail(TaskError::panic(id, &pool.namespace, payload));
        }
    }
    drop_quietly(span);
    (claimed, place, scoped)
}

fn report_panic(
    pool: &Pool,
    claimed: &Claimed<Memo>,
    task_type: Option<&TaskType>,
    span: Option<&tracing::Span>,
    payload: &Payload,
) {
    let report = || {
        tracing::error!(
            target: "heirloom",
            namespace = %pool.namespace,
            task_type = task_type.map(tracing::field::display),
            task_id = claimed.task().id().as_u64(),
            "a task panicked: {}",
            payload_text(payload.as_ref()).unwrap_or("(a payload that is no text)"),
        );
    };
    // A subscriber is user code; its panic must not take the worker along.
    let report = std::panic::AssertUnwindSafe(|| match span {
        Some(span) => span.in_scope(report),
        None => report(),
    });
    let _ = std::panic::catch_unwind(report);
}

/// Runs a task within the running one, or on a thread that brings the pool a place: the caller's.
pub(super) fn run_here(pool: &Arc<Pool>, claimed: Claimed<Memo>, brings_place: bool) {
    let Some(memo) = claimed.take_memo() else { return };
    if pool.drops(&memo) {
        // Not started after all, so not counted as run.
        pool.counters.in_place.fetch_sub(1, Ordering::Relaxed);
        let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
        pool.end_unrun_with(claimed, memo, error);
        return;
    }
    if memo.queued {
        pool.give_room();
    }
    let task_type = memo.task_type.clone();
    let running = Running { id: claimed.task().id(), since: Instant::now(), task_type };
    let at = pool.queue.with_extra(|book| book.note(running));
    let (claimed, place, scoped) = run(pool, claimed, memo, brings_place);
    let mut at = Some(at);
    pool.queue.with_extra(|book| book.begin(&mut at, None));
    claimed.finish(|| {});
    leave_after(pool, place, scoped);
}

impl Pool {
    /// Whether a task that has not started is not to start any more.
    fn drops(&self, memo: &Memo) -> bool {
        self.cancelled.load(Ordering::Acquire)
            || (self.config.mode == PoolMode::Daemon && self.tally.is_closed())
            || memo.place.node().is_cancelled()
    }

    /// Ends a claimed task that never ran.
    pub(crate) fn end_unrun(self: &Arc<Self>, claimed: Claimed<Memo>, error: TaskError) {
        if let Some(memo) = claimed.take_memo() {
            self.end_unrun_with(claimed, memo, error);
        }
    }

    fn end_unrun_with(self: &Arc<Self>, claimed: Claimed<Memo>, memo: Memo, error: TaskError) {
        if memo.queued {
            self.give_room();
        }
        self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
        // Whatever the closure held is dropped here, standing where the task would have stood.
        let standing = current::stand(memo.place.clone(), Pending::Nothing);
        claimed.fail(error);
        standing.cut();
        claimed.finish(|| {});
        Self::leave_scopes(&memo.place);
        if let Some(scoped) = &memo.scoped {
            leave_tally(scoped);
        }
        drop_quietly(memo);
        self.leave();
    }

    /// A task was claimed by somebody who did not pop it; its shell stays queued. When shells are most of the queue they are
    /// swept out, so that cancelling a long queue behind a long task gives its memory back.
    pub(crate) fn claimed_in_queue(&self) {
        self.counters.elsewhere.fetch_add(1, Ordering::Relaxed);
        let stale = self.stale.fetch_add(1, Ordering::Relaxed) + 1;
        if stale.cast_unsigned().is_multiple_of(SWEEP) && stale.cast_unsigned() >= self.stats().queued {
            let swept = self.queue.take_if(|task| !task.state().is_queued());
            self.stale.fetch_sub(swept.len().cast_signed(), Ordering::Relaxed);
        }
    }
}

/// The reference type that handles hold.
pub(crate) type Task = TaskRef<Memo>;

/// Runs `f` as a task of the pool and waits for it: on this thread if a leased pool has a place free, else on a worker.
pub(crate) fn run_and_wait<F, T>(
    pool: &Arc<Pool>,
    task_type: Option<TaskType>,
    f: F,
) -> Result<Result<T, TaskError>, SubmitError>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let mut f = f;
    if pool.config.kind == PoolKind::Leased {
        // SAFETY: the task is run below, and its result taken, before this returns.
        match unsafe { pool.submit_here(task_type.clone(), f) }? {
            Ok((task, claimed)) => {
                // SAFETY: submitted above to this pool, with this result.
                let handle = unsafe { TaskHandle::new(task, pool) };
                run_here(pool, claimed, true);
                if pool.places.give(false) {
                    pool.end_if_over();
                }
                if !pool.queue.is_empty() {
                    pool.send_if_place();
                }
                return Ok(handle.join());
            }
            Err(back) => f = back,
        }
    }
    // SAFETY: an untimed join does not return before the task is done, its closure gone and its result taken; it does not
    // unwind, and this handle's task is on no frame of this thread, so it is not refused either.
    let task = unsafe { pool.submit(task_type, None, f) }.map_err(|refused| refused.reason)?;
    // SAFETY: submitted above to this pool, with this result.
    Ok(unsafe { TaskHandle::new(task, pool) }.join())
}
