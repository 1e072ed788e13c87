//! A thread's visit to a pool, and the running of one task.

use std::ptr;

use crate::error::stack::NoRoom;
use crate::error::task::payload_text;
use crate::error::{Refused, SubmitError, TaskError};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::node::{Node, NodeRef, ScopeTrackers};
use crate::names::task_type::TaskType;
use crate::pool::config::PoolKind;
use crate::pool::context::frame::{self, Frame};
use crate::pool::core::pool::{As, Counted, Pool, RareMeta, TaskMeta, leave_tracker};
use crate::pool::core::queue::Popped;
use crate::pool::core::queue_stats::Running;
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::dedicated::state;
use crate::pool::kinds::stealing;
use crate::pool::run::depth;
use crate::pool::run::evict::Evicted;
use crate::subscriber::Scoped;
use crate::sync::clock::{CoarseInstant, spin_for};
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering, thread};
use crate::sync::unwind::{abort_on_panic, swallow, swallow_drop};
use crate::task::cell::{Claimed, Foreign, Payload, TaskRef};
use crate::threads::cache::{Job, WorkerHandle};

/// How many tasks a borrowed thread runs for one pool before it lets others in line have their turn.
const FAIR_BUDGET: u32 = 64;

/// How often a thread looks for the next task before it gives its place back, and how many nanoseconds it pauses in between:
/// looking all the time would take the cache line away from the submitter. Together about 2 µs.
const SPINS: u32 = if cfg!(loom) { 1 } else { 30 };
const SPIN_NANOS: u32 = 70;
/// After so many looks whoever else is on this CPU may go first: somebody on another one would have been here by now.
const YIELD_AT: u32 = 10;

/// A thread's visit to a pool.
struct Session<'a> {
    pool: &'a Arc<Pool>,
    /// This thread is between two tasks; see [`Permits`](crate::pool::core::permits::Permits). Anything of a user's that might
    /// block is run aside.
    searching: bool,
    /// Tasks this thread has ended and not counted out yet. It does that when it runs dry, in one step: until then a
    /// task it runs is counted anyway, so nobody can tell.
    ended: u64,
}

impl Session<'_> {
    fn start_searching(&mut self) {
        if !self.searching {
            self.searching = true;
            self.pool.permits.start_searching();
        }
    }

    /// Before the thread does anything else: what was pushed meanwhile was left to it, so it looks once more.
    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.searching) {
            self.pool.permits.stop_searching();
            if !self.pool.queue.is_empty() {
                self.pool.send_if_permit();
            }
        }
    }

    /// Counts out what has ended.
    fn flush(&mut self) {
        if self.ended > 0 {
            if self.pool.tracker.is_observed() {
                self.stop_searching();
            }
            self.pool.leave_many(std::mem::take(&mut self.ended));
        }
    }
}

impl TaskMeta {
    /// It is not to start any more.
    fn is_dropped_by(&self, pool: &Pool) -> bool {
        let owner = self.rare.as_ref().map(|rare| &rare.owner);
        pool.drops_at(self.place.node()) || owner.is_some_and(|owner| owner.is_counted() && pool.drops_at(owner.node()))
    }

    fn task_type(&self) -> Option<&TaskType> {
        self.rare.as_ref()?.task_type.as_ref()
    }
}

/// Runs what is queued until nothing is, or it is another pool's turn, which then comes back. The caller holds a place:
/// it is given back, or waits in line.
pub(crate) fn work(pool: &Arc<Pool>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
    let limit = pool.config.limit;
    let mut session = Session { pool, searching: false, ended: 0 };
    let mut entry = None;
    let mut turn = FAIR_BUDGET;
    loop {
        if pool.permits.is_over_limit(limit) {
            pool.queue.with_extra(|stats| stats.turn(&mut entry, None));
            session.flush();
            if pool.permits.release_excess(limit, session.searching) {
                return None;
            }
        }
        let popped = pop(pool, &mut entry, session.ended);
        let Some(task) = popped.task else {
            session.flush();
            if spin_for_work(&mut session, worker) {
                continue;
            }
            // The last place of a pool that is closed and has nothing left: that is its end.
            if pool.permits.release(session.searching) {
                pool.end_if_over();
            }
            if !pool.queue.is_empty() {
                pool.send_if_permit();
            }
            return None;
        };
        if std::mem::take(&mut session.searching) {
            pool.permits.stop_searching();
        }
        if popped.more || !pool.queue.looks_empty() {
            pool.send_if_permit();
        }
        match task.claim() {
            Ok(claimed) => {
                let ran = run_popped(&mut session, claimed, entry, popped.more);
                if !ran && state::has_failed() {
                    // It would fail one task after the other, which others of the pool's threads could run.
                    pool.queue.with_extra(|stats| stats.turn(&mut entry, None));
                    session.flush();
                    worker.retire();
                    if pool.permits.release(session.searching) {
                        pool.end_if_over();
                    }
                    return None;
                }
            }
            Err(tombstone) => drop_tombstone(pool, tombstone),
        }
        turn -= 1;
        if turn == 0 {
            turn = FAIR_BUDGET;
            if worker.others_wait() {
                session.stop_searching();
                pool.queue.with_extra(|stats| stats.turn(&mut entry, None));
                session.flush();
                return Some(worker.next_turn(Arc::clone(pool) as _));
            }
        }
    }
}

/// Takes the oldest, noting that it runs, and how many its thread has ended and not counted out.
fn pop(pool: &Pool, entry: &mut Option<usize>, owed: u64) -> Popped<TaskMeta> {
    let now = CoarseInstant::now();
    pool.queue.pop(|stats, task| {
        if task.is_some() {
            stats.popped += 1;
        }
        let running = |task: &Task| Running { id: task.id(), at: task.at(), owed, since: now, task_type: None };
        stats.turn(entry, task.map(running));
    })
}

/// Somebody else claimed it.
fn drop_tombstone(pool: &Pool, tombstone: Task) {
    pool.counters.tombstones_popped.fetch_add(1, Ordering::Relaxed);
    pool.tombstones_queued.fetch_sub(1, Ordering::Relaxed);
    drop(tombstone);
}

/// What [`run_next`] found.
#[derive(PartialEq, Eq)]
pub(crate) enum RunOutcome {
    RanTask,
    /// It was not to run any more.
    Skipped,
    Nothing,
    /// Another task of the pool, further out on this stack, keeps the only place.
    Busy,
}

/// Runs the oldest task of a local pool, on its thread.
pub(crate) fn run_next(pool: &Arc<Pool>) -> RunOutcome {
    // What is queued is the parent's in a fork, and is run there.
    if fork::is_fork() || pool.queue.looks_empty() {
        return RunOutcome::Nothing;
    }
    if !pool.permits.try_acquire_here(1) {
        // One that has ended may have tombstones left in its queue.
        return if pool.tracker.is_ended() { RunOutcome::Nothing } else { RunOutcome::Busy };
    }
    let mut session = Session { pool, searching: false, ended: 0 };
    let mut entry = None;
    let next = match pop(pool, &mut entry, 0).task.map(Task::claim) {
        None => RunOutcome::Nothing,
        // As if more were queued: this thread does not look for it.
        Some(Ok(claimed)) => {
            if run_popped_inside(&mut session, claimed, entry) {
                RunOutcome::RanTask
            } else {
                RunOutcome::Skipped
            }
        }
        Some(Err(tombstone)) => {
            drop_tombstone(pool, tombstone);
            RunOutcome::Skipped
        }
    };
    pool.queue.with_extra(|stats| stats.turn(&mut entry, None));
    session.flush();
    if pool.permits.release(false) {
        pool.end_if_over();
    }
    next
}

/// What is left after [`run_one`].
#[cfg(feature = "rayon")]
#[derive(PartialEq, Eq)]
pub(crate) enum AfterOne {
    /// The caller's place, because more is queued.
    Permit,
    /// Places of others.
    Others,
    /// Nothing.
    Idle,
}

/// Runs the oldest task of a work-stealing pool, on one of its threads. The caller holds a place: it is given back when
/// nothing more is queued.
#[cfg(feature = "rayon")]
pub(crate) fn run_one(pool: &Arc<Pool>) -> AfterOne {
    // Tasks came back from their waits: whoever of them ends looks at the queue.
    if pool.permits.release_excess(pool.config.limit, false) {
        return AfterOne::Others;
    }
    let mut session = Session { pool, searching: false, ended: 0 };
    let mut entry = None;
    loop {
        let popped = pop(pool, &mut entry, session.ended);
        let Some(task) = popped.task else { break };
        if popped.more {
            pool.send_if_permit();
        }
        match task.claim() {
            Ok(claimed) => {
                // As if more were queued: this thread may do something else first.
                run_popped_inside(&mut session, claimed, entry);
                break;
            }
            Err(tombstone) => drop_tombstone(pool, tombstone),
        }
    }
    pool.queue.with_extra(|stats| stats.turn(&mut entry, None));
    session.flush();
    if !pool.queue.looks_empty() {
        return AfterOne::Permit;
    }
    let last = pool.permits.release(false);
    if last {
        pool.end_if_over();
    }
    if !pool.queue.is_empty() {
        pool.send_if_permit();
    }
    if last { AfterOne::Idle } else { AfterOne::Others }
}

/// The pool's only thread, with nothing queued, waits a moment for the next task before it gives its place back. True
/// when one came.
///
/// It is the one spinner of its cache meanwhile, and goes at once when it is offered work of another pool. Only the
/// only thread may: it looks at the inbox alone, and what another consumer has moved to the list it would not see.
fn spin_for_work(session: &mut Session<'_>, worker: &mut WorkerHandle<'_>) -> bool {
    let pool = session.pool;
    if !worker.open() {
        return false;
    }
    session.start_searching();
    for spin in 0..SPINS {
        if !pool.queue.inbox_is_empty() {
            return worker.close();
        }
        if !pool.permits.is_only_searching() || pool.tracker.is_closed() || worker.is_wanted() {
            return false;
        }
        spin_for(SPIN_NANOS);
        if spin == YIELD_AT {
            // Whoever joined the last task, and is to submit the next, may wait for this very CPU.
            thread::yield_now();
        }
    }
    false
}

/// As [`run_popped`], with more queued, on a thread whose stack may not be empty.
fn run_popped_inside(session: &mut Session<'_>, claimed: Claimed<TaskMeta>, entry: Option<usize>) -> bool {
    let pool = session.pool;
    if depth::has_room(pool) {
        return run_popped(session, claimed, entry, true);
    }
    let mut started = false;
    let unrun = depth::on_more_stack(pool, claimed, |claimed| started = run_popped(session, claimed, entry, true));
    if let Err((claimed, no_room)) = unrun
        && let Some(meta) = claimed.take_meta()
    {
        pool.counters.tombstones_popped.fetch_add(1, Ordering::Relaxed);
        pool.counters.claimed.fetch_add(1, Ordering::Relaxed);
        end_too_deep(pool, claimed, meta, no_room);
    }
    started
}

/// Runs a task that was popped. False when it ended without having run.
fn run_popped(session: &mut Session<'_>, claimed: Claimed<TaskMeta>, entry: Option<usize>, more: bool) -> bool {
    let pool = session.pool;
    let Some(meta) = claimed.take_meta() else { return false };
    if meta.is_dropped_by(pool) {
        pool.counters.tombstones_popped.fetch_add(1, Ordering::Relaxed);
        pool.counters.claimed.fetch_add(1, Ordering::Relaxed);
        let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
        pool.end_unrun_with(claimed, meta, error);
        return false;
    }
    pool.release_capacity();
    if let (Some(task_type), Some(entry)) = (meta.task_type(), entry) {
        let task_type = Some(Box::new(task_type.clone()));
        pool.queue.with_extra(|stats| stats.set_type(entry, task_type));
    }
    let RanTask { claimed, counted, started } = run(pool, claimed, meta, true, session.ended);
    if !started {
        pool.counters.tombstones_popped.fetch_add(1, Ordering::Relaxed);
        pool.counters.claimed.fetch_add(1, Ordering::Relaxed);
    }
    // Seen as looking before the result is seen: whoever joins this task and submits the next finds us ready. Only
    // where nothing of a user's runs in between: no waker, no drop of a result, no node's end.
    if !more && pool.queue.inbox_is_empty() && claimed.task().state().is_quiet() {
        session.start_searching();
    }
    let owed = session.ended;
    claimed.finish(|what, foreign| {
        session.stop_searching();
        pool.counted_as_dropping(what, || Frame::teardown(pool, counted.clone(), true, owed, foreign));
    });
    leave(pool, counted, |left, foreign| {
        session.stop_searching();
        Frame::aside_nowhere(pool, left, true, owed, foreign);
    });
    session.ended += 1;
    started
}

/// Counts a task out of the scopes that wait for it, and lets its places go. Wakers and a node's end are user code: they
/// are run by `foreign`, as a part of what still counts the task, which it is given: a scope's end is not to wait for
/// the scopes above, which wait for it.
fn leave(pool: &Pool, counted: Counted, mut foreign: impl FnMut(Counted, &mut dyn FnMut())) {
    let Counted { place, owner, scoped } = counted;
    if let Some(scoped) = scoped {
        foreign(Counted::default(), &mut || leave_tracker(&scoped));
    }
    // A scope's end drops the values bound there, which is user code too.
    let is_quiet = |scope: &ScopeTrackers| !scope.of(pool.joins()).is_observed() && !scope.is_closed();
    if owner.is_counted() {
        for (node, scope) in owner.node().scopes_beside(place.node()) {
            // Those above are left next, whatever is told here.
            let above = Counted { place: place.clone(), owner: node.parent_place().unwrap_or_default(), scoped: None };
            foreign(above, &mut || pool.leave_scope(node, scope));
        }
        let_go(owner, &mut foreign);
    }
    if place.is_counted() {
        for (node, scope) in place.node().scope_nodes() {
            if is_quiet(scope) {
                pool.leave_scope(node, scope);
            } else {
                let above = Counted { place: node.parent_place().unwrap_or_default(), ..Counted::default() };
                foreign(above, &mut || pool.leave_scope(node, scope));
            }
        }
        let_go(place, &mut foreign);
    }
}

/// Lets go of a place of a task that is counted out of the scopes there.
#[inline]
fn let_go(place: NodeRef, foreign: &mut impl FnMut(Counted, &mut dyn FnMut())) {
    if let Some(node) = place.into_last() {
        let mut node = Some(node);
        foreign(Counted::default(), &mut || drop(node.take()));
    }
}

/// The last steps of a task whose thread does not go on with its pool.
pub(crate) fn leave_after(pool: &Arc<Pool>, counted: Counted, ended: u64) {
    leave(pool, counted, |_, foreign| foreign());
    pool.leave_many(ended);
}

/// The last steps of a task that never ran.
pub(crate) fn leave_unrun(pool: &Arc<Pool>, counted: Counted) {
    leave(pool, counted, |left, foreign| Frame::aside_nowhere(pool, left, false, 0, foreign));
    pool.leave();
}

/// What came of a task's body.
pub(crate) enum Outcome {
    Value,
    /// A value, of a task that was told to stop.
    Interrupted,
    Panic(Payload),
    /// It was never run; the task has its error.
    Unrun,
}

impl From<Result<(), Payload>> for Outcome {
    fn from(ran: Result<(), Payload>) -> Self {
        match ran {
            Ok(()) => Self::Value,
            Err(payload) => Self::Panic(payload),
        }
    }
}

/// A task that has its result and is to be finished.
struct RanTask {
    claimed: Claimed<TaskMeta>,
    counted: Counted,
    /// Its body was run.
    started: bool,
}

/// Runs a claimed task on this thread and stores its result. The claim is handed back, to be finished.
fn run(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, brings_permit: bool, owed: u64) -> RanTask {
    let listed = meta.queued();
    let (counted, RareMeta { span, subscriber, task_type, .. }) = meta.into_counted();
    let id = claimed.task().id();
    let (outcome, counted) = Frame::with(pool, &claimed, counted, brings_permit, owed, |frame| {
        let steals = pool.config.steals();
        // What is stolen runs on top of this, and may be another task's: there is nothing here of this one alone.
        let lazy = if steals { LazyNode::Nothing } else { LazyNode::Task(id, ptr::from_ref(frame)) };
        let guard = if steals {
            current::enter(pool.standing(&frame.counted.place), lazy)
        } else {
            // SAFETY: the frame holds the place, and lives, until after the cut.
            unsafe { current::enter_borrowed(&frame.counted.place, lazy) }
        };
        let default = subscriber.as_ref().filter(|_| !steals).and_then(Scoped::enter);
        // A subscriber is user code too.
        let entered = span.as_ref().filter(|_| !steals).and_then(|span| swallow(|| span.enter()));
        let outcome = match &pool.config.gate {
            _ if !pool.has_its_state(&claimed) => Outcome::Unrun,
            None => claimed.run().into(),
            Some(gated) => gated.run(pool, &claimed, &frame.counted),
        };
        let outcome = match outcome {
            Outcome::Value if frame.was_interrupted() => Outcome::Interrupted,
            outcome => outcome,
        };
        swallow_drop(entered);
        if matches!(outcome, Outcome::Panic(_)) {
            state::drop_lost();
        }
        if let Outcome::Panic(payload) = &outcome
            && pool.config.log_panics
        {
            let task_type = task_type.as_ref().or(pool.config.task_type.as_ref());
            report_panic(pool, &claimed, task_type, span.as_ref(), payload);
        }
        swallow_drop(default);
        guard.exit_to();
        outcome
    });
    let started = !matches!(outcome, Outcome::Unrun);
    match outcome {
        Outcome::Value => {
            pool.counters.completed.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Interrupted => {
            pool.counters.interrupted.fetch_add(1, Ordering::Relaxed);
            claimed.task().state().set_interrupted();
        }
        Outcome::Panic(payload) => {
            pool.counters.panicked.fetch_add(1, Ordering::Relaxed);
            claimed.fail(TaskError::panic(id, &pool.namespace, payload));
        }
        Outcome::Unrun => {
            pool.counters.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
    swallow_drop(span);
    drop(subscriber);
    if listed {
        pool.unlist(&counted.place, claimed.task());
    }
    RanTask { claimed, counted, started }
}

fn report_panic(
    pool: &Pool,
    claimed: &Claimed<TaskMeta>,
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
    swallow(|| match span {
        Some(span) => span.in_scope(report),
        None => report(),
    });
}

/// Runs a task that was claimed in the queue within the running one, or on the thread that its pool is local to.
pub(crate) fn run_in_place(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, brings_permit: bool) {
    pool.claimed_in_queue();
    pool.counters.ran_inline.fetch_add(1, Ordering::Relaxed);
    let Some(meta) = claimed.take_meta() else { return };
    run_here(pool, claimed, meta, brings_permit);
}

/// Runs a task within the running one, or on a thread that brings the pool a place: the caller's.
fn run_here(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, brings_permit: bool) {
    if meta.is_dropped_by(pool) {
        // Not started after all, so not counted as run.
        pool.counters.ran_inline.fetch_sub(1, Ordering::Relaxed);
        let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
        pool.end_unrun_with(claimed, meta, error);
        return;
    }
    if depth::has_room(pool) {
        run_on_this_stack(pool, claimed, meta, brings_permit);
        return;
    }
    let unrun = depth::on_more_stack(pool, (claimed, meta), |(claimed, meta)| {
        run_on_this_stack(pool, claimed, meta, brings_permit);
    });
    if let Err(((claimed, meta), no_room)) = unrun {
        // As above.
        pool.counters.ran_inline.fetch_sub(1, Ordering::Relaxed);
        end_too_deep(pool, claimed, meta, no_room);
    }
}

/// Ends a claimed task that there is no stack for.
#[cold]
fn end_too_deep(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, no_room: NoRoom) {
    let error = TaskError::too_deep(claimed.task().id(), &pool.namespace, no_room);
    pool.end_unrun_with(claimed, meta, error);
}

/// Runs a task of [`run_here`]. What comes after it has a frame of its own, which is not there while it runs: tasks
/// that run inside one another are as deep as these frames are small.
#[inline(always)]
fn run_on_this_stack(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, brings_permit: bool) {
    if meta.queued() {
        pool.release_capacity();
    }
    let task_type = meta.task_type().cloned().map(Box::new);
    let task = claimed.task();
    let running = Running { id: task.id(), at: task.at(), owed: 0, since: CoarseInstant::now(), task_type };
    let noted = pool.queue.with_extra(|stats| stats.note(running));
    let ran = run(pool, claimed, meta, brings_permit, 0);
    finish(pool, noted, ran, brings_permit);
}

/// The last steps of a task of [`run_here`].
#[inline(never)]
fn finish(pool: &Arc<Pool>, noted: usize, ran: RanTask, brings_permit: bool) {
    let RanTask { claimed, counted, started } = ran;
    if !started {
        // It was not let in, so not counted as run.
        pool.counters.ran_inline.fetch_sub(1, Ordering::Relaxed);
    }
    pool.queue.with_extra(|stats| stats.erase(noted));
    claimed.finish(|what, foreign| {
        pool.counted_as_dropping(what, || Frame::teardown(pool, counted.clone(), brings_permit, 0, foreign));
    });
    leave(pool, counted, |left, foreign| Frame::aside_nowhere(pool, left, brings_permit, 0, foreign));
    pool.leave();
}

impl Pool {
    /// Whether a task that has not started is not to start any more.
    pub(crate) fn drops(&self, counted: &Counted) -> bool {
        self.drops_at(counted.place.node()) || (counted.owner.is_counted() && self.drops_at(counted.owner.node()))
    }

    #[inline]
    pub(crate) fn drops_at(&self, node: &Node) -> bool {
        self.drops_all() || (!self.joins() && node.scope_closed()) || node.is_cancelled()
    }

    /// Whether none of the pool's tasks is to start any more.
    #[inline]
    pub(crate) fn drops_all(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) || (!self.joins() && self.tracker.is_closed())
    }

    /// Ends a claimed task that never ran: its outcome is there before its closure is dropped, here.
    pub(crate) fn end_unrun(self: &Arc<Self>, claimed: Claimed<TaskMeta>, error: TaskError) {
        if let Some(meta) = claimed.take_meta() {
            self.end_unrun_with(claimed, meta, error);
        }
    }

    pub(crate) fn end_unrun_with(self: &Arc<Self>, claimed: Claimed<TaskMeta>, meta: TaskMeta, error: TaskError) {
        let mut evicted = Evicted::new();
        evicted.add(self, claimed, meta, error);
        evicted.end(|| {});
    }

    /// A task whose closure or result is being dropped has not ended, though its outcome is counted.
    fn counted_as_dropping(&self, what: Foreign, f: impl FnOnce()) {
        let counts = usize::from(what == Foreign::Drop);
        self.counters.dropping.fetch_add(counts, Ordering::SeqCst);
        f();
        self.counters.dropping.fetch_sub(counts, Ordering::SeqCst);
    }
}

/// The reference type that handles hold.
pub(crate) type Task = TaskRef<TaskMeta>;

/// Runs `f` as a task of the pool and waits for it: on this thread if a leased pool has a place free or it is a
/// work-stealing pool's own, else on a worker.
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
    let nested = stealing::here().is_some_and(|own| Arc::ptr_eq(own, pool));
    let lends = pool.config.kind == PoolKind::Leased && !frame::is_on_a_pools_own_thread();
    if nested || lends {
        // SAFETY: the task is run below, and its result taken, before this returns.
        match unsafe { pool.submit_here(task_type.clone(), nested, f) }? {
            Ok((task, claimed)) => {
                // SAFETY: submitted above to this pool, with this result.
                let handle = unsafe { TaskHandle::new(task, pool) };
                if let Some(meta) = claimed.take_meta() {
                    run_here(pool, claimed, meta, lends);
                }
                if nested {
                    return Ok(handle.join());
                }
                if pool.permits.release(false) {
                    pool.end_if_over();
                }
                if !pool.queue.is_empty() {
                    pool.send_if_permit();
                }
                return Ok(handle.join());
            }
            Err(back) => f = back,
        }
    }
    let ran = abort_on_panic(|| {
        // SAFETY: a borrowing join does not return before the task is done, its closure gone and its result taken, and
        // it does not unwind.
        let task = unsafe { pool.submit(As { task_type, borrows: true, ..As::default() }, None, f) }?;
        // SAFETY: submitted above to this pool, with this result.
        Ok(unsafe { TaskHandle::new(task, pool) }.join_borrowing())
    });
    // Outside of the guard: the closure's drop is user code.
    ran.map_err(|refused: Refused<F>| refused.reason)
}
