//! A thread's visit to a pool.

use crate::pool::context::enter;
use crate::pool::context::frame::Brings;
use crate::pool::core::pool::Pool;
use crate::pool::core::queue::Popped;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::running_tasks::{Running, Spare};
use crate::pool::core::task_meta::{Task, TaskMeta};
use crate::pool::run::dispatch::{release_permit, send_if_permit};
use crate::pool::run::task::{end_too_deep, run};
use crate::pool::run::{depth, evict, leave};
use crate::sync::clock::CoarseInstant;
use crate::sync::fork;
use crate::sync::local::while_lent;
use crate::sync::os::{Arc, Ordering};
use crate::task::claimed::Claimed;
use crate::threads::job::{Job, WorkerHandle};
use crate::wait::spin;

/// The number of tasks that a borrowed thread runs for one pool before the jobs in line get the thread.
const FAIR_BUDGET: u32 = 64;

/// When a joiner runs its task instead of waiting for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lend {
    /// While no other task is queued.
    OnlyTask,
    /// While the task is the next to start.
    NextTask,
}

/// A thread's visit to a pool.
pub(crate) struct Session<'a> {
    pool: &'a Arc<Pool>,
    /// Position of the thread's task, or of its last one, in the list of running tasks.
    entry: Option<usize>,
    /// This thread is between two tasks; see [`Permits`](crate::pool::core::permits::Permits). User code that might
    /// block runs only after the search is stopped.
    searching: bool,
    /// Tasks that this thread has ended and not counted out yet. It counts them out in one step when it finds no task.
    /// Until then the task that it runs is counted anyway, so no waiter can see a difference.
    ended: u64,
    brings: Brings,
    spare: Spare,
}

impl<'a> Session<'a> {
    pub(crate) fn new(pool: &'a Arc<Pool>) -> Self {
        Self { pool, entry: None, searching: false, ended: 0, brings: Brings::Permit, spare: Spare::default() }
    }

    fn start_searching(&mut self) {
        if !self.searching {
            self.searching = true;
            self.pool.permits.start_searching();
        }
    }

    /// Called before the thread does anything else. Submitters left the tasks pushed meanwhile to this thread, so it
    /// looks once more.
    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.searching) {
            self.pool.permits.stop_searching();
            if !self.pool.queue.is_empty() {
                send_if_permit(self.pool);
            }
        }
    }

    /// Pops the oldest task. Notes the task as running, and how many tasks its thread has ended and not counted out.
    pub(crate) fn pop(&mut self) -> Popped<TaskMeta> {
        let pool = self.pool;
        let mut note = self.note();
        pool.queue.pop(|stats, task| note(stats, task))
    }

    /// Pops this task, if it is the next to start, and notes it as running.
    fn pop_first(&mut self, task: &Task) -> Popped<TaskMeta> {
        let pool = self.pool;
        let mut note = self.note();
        pool.queue.pop_first(task, |stats, task| note(stats, Some(task)))
    }

    #[inline]
    fn note(&mut self) -> impl FnMut(&mut QueueStats, Option<&Task>) {
        let now = CoarseInstant::now();
        let (entry, owed, spare) = (&mut self.entry, self.ended, &mut self.spare);
        move |stats, task| {
            // A tombstone never counts as started. The models read no statistics, and the look would multiply their
            // interleavings.
            let task = task.filter(|task| cfg!(loom) || task.state().is_queued());
            if task.is_some() {
                stats.popped += 1;
            }
            let running = |task: &Task| Running { id: task.id(), at: task.at(), owed, since: now, task_type: None };
            stats.turn(entry, task.map(running), spare);
            if let (Some(at), Some(task)) = (*entry, task) {
                stats.note_rank(at, task.rank());
            }
        }
    }

    /// Claims a popped task. Drops a tombstone, which another thread has claimed, and returns `None`.
    #[inline]
    pub(crate) fn claim(&self, task: Task) -> Option<Claimed<TaskMeta>> {
        task.claim().map_err(|tombstone| self.drop_tombstone(tombstone)).ok()
    }

    #[cold]
    fn drop_tombstone(&self, tombstone: Task) {
        // The pop noted it as started if the other thread claimed it after that.
        if self.entry.is_some() {
            self.pool.counters.starts_beside_pops.fetch_sub(1, Ordering::Relaxed);
        }
        self.pool.tombstones().fetch_sub(1, Ordering::Relaxed);
        drop(tombstone);
    }

    /// Takes the thread's last task off the list of running tasks, and counts out the ended tasks.
    pub(crate) fn flush(&mut self) {
        if self.entry.is_some() {
            self.pool.queue.with_extra(|stats| stats.turn(&mut self.entry, None, &mut self.spare));
        }
        if self.ended > 0 {
            if self.pool.tracker.is_observed() {
                self.stop_searching();
            }
            self.pool.leave_many(std::mem::take(&mut self.ended));
        }
    }
}

/// A requested thread of a leased pool is there. Acquires a permit, unless the queue is empty or no permit is free.
///
/// The thread holds a permit while it looks, so that a refused request beside it fails no queued task.
pub(crate) fn arrive(pool: &Arc<Pool>, worker: &mut WorkerHandle<'_>) -> bool {
    if !pool.permits.arrive(pool.config.limit()) {
        // The thread that releases a permit looks at the queue.
        return false;
    }
    if !pool.queue.looks_empty() || !pool.queue.is_empty() {
        return true;
    }
    // A joiner has run the task. The thread offers itself first, so a submitter that finds the permit free finds it too.
    worker.came_in_vain();
    if pool.permits.release(false) {
        pool.end_if_over();
    }
    if pool.queue.is_empty() {
        return false;
    }
    // A submitter has left its task to this permit.
    if worker.withdraw() && pool.permits.try_acquire_here(pool.config.limit()) {
        return true;
    }
    send_if_permit(pool);
    false
}

/// Releases the permit of a worker whose turn is over, if its pool's kind does. Returns whether the pool's job goes to the back
/// of the line.
fn requeue(pool: &Pool) -> bool {
    if !pool.sends() {
        // The job takes the permit along.
        return true;
    }
    let last = pool.permits.requeue();
    if last == Some(true) {
        pool.end_if_over();
    }
    last.is_some()
}

/// Runs queued tasks until the queue is empty, or until another pool's job gets the thread, which is returned then. The
/// caller holds a permit: it is released, or waits in line.
pub(crate) fn work(pool: &Arc<Pool>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
    let limit = pool.config.limit();
    let mut session = Session::new(pool);
    let mut turn = FAIR_BUDGET;
    loop {
        if pool.permits.is_over_limit(limit) {
            session.flush();
            if pool.permits.release_excess(limit, session.searching) {
                return None;
            }
        }
        let popped = session.pop();
        let Some(task) = popped.task else {
            session.flush();
            if spin_for_work(&mut session, worker) {
                continue;
            }
            release_permit(pool, session.searching);
            return None;
        };
        if std::mem::take(&mut session.searching) {
            pool.permits.stop_searching();
        }
        // Before the thread request, which may take long: a joiner would take the task for a queued one meanwhile.
        let claimed = session.claim(task);
        if popped.more || !pool.queue.looks_empty() {
            send_if_permit(pool);
        }
        if let Some(claimed) = claimed
            && !run_popped(&mut session, claimed, popped.more)
            && pool.kind.has_failed()
        {
            // A thread without a state would fail one task after the other, and the pool's other threads could run them.
            session.flush();
            worker.retire();
            if pool.permits.release(session.searching) {
                pool.end_if_over();
            }
            return None;
        }
        turn -= 1;
        if turn == 0 {
            turn = FAIR_BUDGET;
            if worker.others_wait() {
                session.stop_searching();
                session.flush();
                if requeue(pool) {
                    return Some(worker.next_turn(Arc::clone(pool) as _));
                }
            }
        }
    }
}

/// The outcome of [`run_next`].
#[derive(PartialEq, Eq)]
pub(crate) enum RunOutcome {
    RanTask,
    /// The task was cancelled before it started, or a tombstone.
    Skipped,
    Nothing,
    /// Another task of the pool, further out on this stack, keeps the only permit.
    Busy,
}

/// Runs the oldest task of a local pool, on its thread.
pub(crate) fn run_next(pool: &Arc<Pool>) -> RunOutcome {
    // In a fork the queued tasks are the parent's, and run there.
    if fork::is_fork() || pool.queue.looks_empty() {
        return RunOutcome::Nothing;
    }
    if !pool.permits.try_acquire_here(1) {
        // An ended pool may have tombstones left in its queue.
        return if pool.tracker.is_ended() { RunOutcome::Nothing } else { RunOutcome::Busy };
    }
    let mut session = Session::new(pool);
    let next = match session.pop().task.map(|task| session.claim(task)) {
        None => RunOutcome::Nothing,
        // As if more were queued: this thread does not search for the next task.
        Some(claimed) => {
            let ran = claimed.is_some_and(|claimed| run_popped_inside(&mut session, claimed));
            if ran { RunOutcome::RanTask } else { RunOutcome::Skipped }
        }
    };
    session.flush();
    if pool.permits.release(false) {
        pool.end_if_over();
    }
    next
}

/// Runs a queued task on the calling thread, which is to wait for the task: if a permit is free, and the task is the next to
/// start, so that it overtakes none. Returns whether the task was run or ended.
///
/// The caller's own permits are released meanwhile, by the guard that `lent` returns.
pub(crate) fn lend<G>(pool: &Arc<Pool>, task: &Task, when: Lend, lent: impl FnOnce() -> G) -> bool {
    if when == Lend::OnlyTask && !pool.queue.seems_only(task) {
        return false;
    }
    if !pool.permits.try_acquire_here(pool.config.limit()) {
        return false;
    }
    let mut session = Session { brings: Brings::PermitToJoiner, ..Session::new(pool) };
    let popped = session.pop_first(task);
    let claimed = popped.task.and_then(|task| session.claim(task));
    let ran = claimed.is_some();
    if let Some(claimed) = claimed {
        if popped.more {
            send_if_permit(pool);
        }
        let _lent = lent();
        while_lent(|| run_popped_inside(&mut session, claimed));
    }
    session.flush();
    release_permit(pool, false);
    ran
}

/// Spins for the next task before the permit is released, on the pool's only thread, with nothing queued. Returns true
/// when a task came.
///
/// The thread is the one spinner of its cache meanwhile, and stops at once when it is offered work of another pool.
/// Only the pool's only thread may spin: it reads the inbox alone, and would not see tasks that another consumer has
/// moved to the list.
fn spin_for_work(session: &mut Session<'_>, worker: &mut WorkerHandle<'_>) -> bool {
    let pool = session.pool;
    if !worker.open() {
        return false;
    }
    session.start_searching();
    let found = spin::WORK.until(
        || {
            if !pool.queue.inbox_is_empty() {
                return Some(true);
            }
            let stops = !pool.permits.is_only_searching() || pool.tracker.is_closed() || worker.is_wanted();
            stops.then_some(false)
        },
        || false,
    );
    found == Some(true) && worker.close()
}

/// As [`run_popped`], with more queued, on a thread whose stack may not be empty.
pub(crate) fn run_popped_inside(session: &mut Session<'_>, claimed: Claimed<TaskMeta>) -> bool {
    let pool = session.pool;
    if depth::has_room(pool) {
        return run_popped(session, claimed, true);
    }
    let mut started = false;
    let unrun = depth::on_more_stack(pool, claimed, |claimed| started = run_popped(session, claimed, true));
    if let Err((claimed, no_room)) = unrun
        && let Some(meta) = claimed.take_meta()
    {
        pool.counters.starts_beside_pops.fetch_sub(1, Ordering::Relaxed);
        end_too_deep(pool, claimed, meta, no_room);
    }
    started
}

/// Runs a popped task. Returns false when it ended without having run.
fn run_popped(session: &mut Session<'_>, claimed: Claimed<TaskMeta>, more: bool) -> bool {
    let pool = session.pool;
    let Some(meta) = claimed.take_meta() else { return false };
    if pool.drops_task(&meta) {
        pool.counters.starts_beside_pops.fetch_sub(1, Ordering::Relaxed);
        evict::end_cancelled_with(pool, claimed, meta);
        return false;
    }
    pool.release_capacity(claimed.task());
    if let (Some(task_type), Some(entry)) = (meta.task_type(), session.entry) {
        let task_type = Some(Box::new(task_type.clone()));
        pool.queue.with_extra(|stats| stats.set_type(entry, task_type));
    }
    let (counted, rare) = meta.into_counted();
    let started = enter::with_new_frame(pool, Some(claimed), counted, session.brings, session.ended, |frame| {
        let started = run(frame, true, rare);
        // The thread counts as searching before the result is visible: a joiner that submits the next task finds it ready.
        // Only where no user code runs in between: no waker, no drop of a result, no node's end.
        if !more && pool.queue.inbox_is_empty() && frame.task().is_some_and(|task| task.state().is_quiet()) {
            session.start_searching();
        }
        leave::end(pool, frame, || session.stop_searching());
        started
    });
    session.ended += 1;
    started
}
