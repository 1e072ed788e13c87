//! Running one claimed task to its end.

use std::ptr;

use crate::error::TaskError;
use crate::error::stack::NoRoom;
use crate::error::task::payload_text;
use crate::lineage::current::{self, LazyNode};
use crate::names::task_type::TaskType;
use crate::pool::context::enter;
use crate::pool::context::frame::{Brings, Frame};
use crate::pool::core::claimed;
use crate::pool::core::pool::Pool;
use crate::pool::core::running_tasks::{Running, Spare};
use crate::pool::core::task_meta::{RareMeta, TaskMeta};
use crate::pool::core::task_nodes;
use crate::pool::run::gate::Outcome;
use crate::pool::run::{deadline, depth, evict, gate, leave};
use crate::subscriber::Scoped;
use crate::sync::clock::CoarseInstant;
use crate::sync::os::{Arc, Ordering};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::task::cell::Payload;
use crate::task::claimed::Claimed;
use crate::threads::show;

/// Runs the body of a frame's task and stores its result; the caller then [ends](leave::end) the task. Returns whether the
/// body was run. `listed`: the task came through the queue.
pub(super) fn run(frame: &Frame<'_>, listed: bool, rare: RareMeta) -> bool {
    let RareMeta { span, subscriber, task_type, accepted, .. } = rare;
    let (pool, Some(claimed)) = (frame.pool(), &frame.claimed) else { return false };
    let id = claimed.task().id();
    let times = pool.totals.started(&**pool, accepted);
    let own_type = || task_type.as_ref().or(pool.config.rare().task_type.as_ref()).map(|own| own as _);
    let _own_name = show::task(&pool.namespace, own_type());
    let outcome = enter::body(frame, || {
        let steals = pool.config.steals();
        // A stolen piece runs on top of this frame, and may be another task's. So nothing here belongs to one task
        // alone.
        let lazy =
            if steals { LazyNode::Nothing } else { LazyNode::Task(id, ptr::from_ref(frame).cast::<Frame<'static>>()) };
        let guard = if steals {
            current::enter(pool.standing(&frame.counted.place), lazy)
        } else {
            // SAFETY: the frame holds the node, and lives, until after the guard's exit.
            unsafe { current::enter_borrowed(&frame.counted.place, lazy) }
        };
        let default = subscriber.as_ref().filter(|_| !steals).and_then(Scoped::enter);
        // A subscriber is user code too.
        let entered = span.as_ref().filter(|_| !steals).and_then(|span| swallow(|| span.enter()));
        deadline::begin(pool, claimed);
        let outcome = match &pool.config.rare().gate {
            _ if !has_its_state(pool, claimed) => Outcome::Unrun,
            None => claimed.run().into(),
            Some(gated) => gate::run(gated, pool, claimed, &frame.counted),
        };
        let outcome = match outcome {
            Outcome::Value if frame.was_interrupted() => Outcome::Interrupted,
            outcome => outcome,
        };
        swallow_drop(entered);
        if matches!(outcome, Outcome::Panic(_)) {
            pool.kind.after_panic();
        }
        if let Outcome::Panic(payload) = &outcome
            && !pool.config.rare().hides_panics
            && !is_reported(payload)
        {
            let task_type = task_type.as_ref().or(pool.config.rare().task_type.as_ref());
            report_panic(pool, claimed, task_type, span.as_ref(), payload);
        }
        swallow_drop(default);
        guard.exit_to();
        outcome
    });
    let started = !matches!(outcome, Outcome::Unrun);
    times.ended(started);
    match outcome {
        Outcome::Value => {
            pool.counters.completed.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Interrupted => {
            pool.cold().interrupted.fetch_add(1, Ordering::Relaxed);
            claimed.task().state().set_interrupted();
        }
        Outcome::Panic(payload) => {
            pool.cold().panicked.fetch_add(1, Ordering::Relaxed);
            claimed.fail(TaskError::panic(id, &pool.namespace, payload));
        }
        Outcome::Unrun => {
            // The task did not enter its gate or has no state, so it does not count as started.
            pool.counters.starts_beside_pops.fetch_sub(1, Ordering::Relaxed);
            pool.cold().cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
    swallow_drop(span);
    drop(subscriber);
    if listed {
        task_nodes::unlist(pool, &frame.counted.place, claimed.task());
    }
    started
}

/// The payload of a panic that the task's own code has reported.
#[cfg(feature = "remote")]
pub(crate) struct Reported;

#[cfg(feature = "remote")]
fn is_reported(payload: &Payload) -> bool {
    payload.is::<Reported>()
}

#[cfg(not(feature = "remote"))]
fn is_reported(_: &Payload) -> bool {
    false
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

/// Runs a task that was claimed in the queue, within the running task or on the thread that its pool is local to.
pub(crate) fn run_in_place(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, brings_permit: bool) {
    claimed::note(pool);
    let Some(meta) = claimed.take_meta() else { return };
    run_here(pool, claimed, meta, brings_permit);
}

/// Runs a task within the running one, or on a thread that brings the pool a permit: the caller's thread.
pub(crate) fn run_here(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, brings_permit: bool) {
    if pool.drops_task(&meta) {
        evict::end_cancelled_with(pool, claimed, meta);
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
        end_too_deep(pool, claimed, meta, no_room);
    }
}

/// Ends a claimed task for which the stack has no room.
#[cold]
pub(super) fn end_too_deep(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, no_room: NoRoom) {
    let error = TaskError::too_deep(claimed.task().id(), &pool.namespace, no_room);
    evict::end_unrun(pool, claimed, meta, error);
}

/// Runs a task of [`run_here`]. The steps after the run have a frame of their own, which is not on the stack during the
/// run: nested tasks are as deep as these frames are small.
#[inline(always)]
fn run_on_this_stack(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, brings_permit: bool) {
    let listed = meta.queued();
    if listed {
        pool.release_capacity(claimed.task());
    }
    pool.counters.starts_beside_pops.fetch_add(1, Ordering::Relaxed);
    let task_type = meta.task_type().cloned().map(Box::new);
    let task = claimed.task();
    let running = Running { id: task.id(), at: task.at(), owed: 0, since: CoarseInstant::now(), task_type };
    let noted = pool.queue.with_extra(|stats| {
        let at = stats.note(running, &mut Spare::default());
        stats.note_rank(at, task.rank());
        at
    });
    let (counted, rare) = meta.into_counted();
    let brings = if brings_permit { Brings::Permit } else { Brings::Nothing };
    enter::with_new_frame(pool, Some(claimed), counted, brings, 0, |frame| {
        run(frame, listed, rare);
        finish(pool, frame, noted);
    });
}

/// The last steps of a task of [`run_here`].
#[inline(never)]
fn finish(pool: &Arc<Pool>, frame: &mut Frame<'_>, noted: usize) {
    let mut spare = Spare::default();
    pool.queue.with_extra(|stats| stats.erase(noted, &mut spare));
    drop(spare);
    leave::end(pool, frame, || {});
    pool.leave();
}

/// Prepares the worker's state for a task that uses it. Returns false when the task has its error instead and has lost
/// its closure.
fn has_its_state(pool: &Pool, claimed: &Claimed<TaskMeta>) -> bool {
    if !claimed.task().state().is_stateful() {
        return true;
    }
    let ready = pool.kind.ready_state(pool, claimed.task().id());
    ready.map_err(|error| claimed.fail(error)).is_ok()
}
