//! Dispatching a task: from its admission to the request for a thread.

use std::{io, iter};

use crate::error::{CancelReason, Error, Refused, SubmitError, TaskError};
use crate::lineage::node::NodeRef;
use crate::names::id::TaskId;
use crate::names::task_type::TaskType;
use crate::pool::core::claimed;
use crate::pool::core::notifier::Notifier;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{As, Counted, Task, TaskMeta};
use crate::pool::core::task_nodes;
use crate::pool::run::admit::{EndedBy, acquire_capacity, admit, meta, refuse};
use crate::pool::run::evict::Evicted;
use crate::pool::run::{evict, rank, stop};
use crate::sync::cpus;
use crate::sync::os::{Arc, Ordering, fence};
use crate::sync::unwind::swallow;
use crate::task::body::{Body, Job};
use crate::task::cell::{HandleRef, TaskRef};
use crate::task::claimed::Claimed;
use crate::task::rank::Rank;
use crate::wait::tracker::TaskTracker;

/// A task that the calling thread runs, with its handle's reference; or the closure, when it cannot run here now.
pub(crate) type Here<F, T> = Result<(HandleRef<TaskMeta, F, T>, Claimed<TaskMeta>), Body<F>>;

/// Queues a task. Returns its handle's reference.
pub(crate) fn submit<F, T>(
    pool: &Arc<Pool>,
    submitted: impl Into<As>,
    scoped: Option<Arc<TaskTracker>>,
    f: Body<F>,
) -> Result<HandleRef<TaskMeta, F, T>, Refused<F>>
where
    F: Job<Output = T> + Send,
    T: Send,
{
    let submitted = submitted.into();
    let admitted = match admit(pool, submitted.task_type.as_ref(), 1, EndedBy::Pool) {
        Ok(admitted) => admitted,
        Err(reason) => return Err(refuse(pool, 1, f.into_inner(), reason)),
    };
    let rank = rank::of(pool, &admitted.place, submitted.priority);
    if let Err(reason) = acquire_capacity(pool, &admitted.place, rank, 1) {
        pool.retract(&admitted, 1);
        return Err(refuse(pool, 1, f.into_inner(), reason));
    }
    let node = task_nodes::listing_node(&admitted.place);
    let owner = admitted.owner.clone();
    let (queued, handle) = new_task(pool, Counted { scoped, ..admitted }, submitted, rank, f);
    if let Some(node) = node {
        // SAFETY: the metadata holds the node that lists the task, and only this thread has seen the task.
        if !unsafe { task_nodes::list(pool, node, iter::once(queued.link())) } {
            end_at_once(pool, queued);
            return Ok(handle);
        }
    }
    pool.queue.push(queued);
    // Both sequentially consistent: a close precedes the closer's look at the queue, and the push precedes this look at
    // the tracker. So one of the two sees the other.
    if pool.tracker.is_closed() {
        pushed_late(pool, &handle);
    }
    if owner.is_counted() {
        pushed_for(pool, owner, &handle);
    }
    if !reserve_request(pool) {
        notify_own_thread(pool);
        return Ok(handle);
    }
    let Err(error) = pool.kind.request_thread(pool) else { return Ok(handle) };
    if !unreserve(pool) {
        return Ok(handle);
    }
    let ours = handle.another().claim();
    fail_queued(pool, &error);
    match ours {
        // Another thread has claimed it, and runs or cancels it.
        Err(_) => Ok(handle),
        Ok(claimed) => {
            let f = take_back(pool, &handle, claimed);
            Err(refuse(pool, 1, f, SubmitError::no_thread(&pool.namespace, error)))
        }
    }
}

/// Makes an admitted task, for the queue. Returns the queue's reference and the handle's.
#[inline]
pub(super) fn new_task<F, T>(
    pool: &Arc<Pool>,
    counted: Counted,
    submitted: As,
    rank: Option<Rank>,
    f: Body<F>,
) -> (Task, HandleRef<TaskMeta, F, T>)
where
    F: Job<Output = T> + Send,
    T: Send,
{
    let As { task_type, stateful, borrows, .. } = submitted;
    let meta = meta(pool, counted, task_type, true);
    let (queued, handle) = TaskRef::new(TaskId::next(), meta.place.node().id(), meta, f);
    if let Some(rank) = rank {
        handle.set_rank(rank);
    }
    if stateful {
        handle.state().set_stateful();
    }
    if borrows {
        handle.state().set_borrows();
    }
    (queued, handle)
}

/// Counts out a task that was queued and claimed again by its submitter. Returns its closure.
#[cold]
pub(super) fn take_back<F: Job, T>(
    pool: &Arc<Pool>,
    handle: &HandleRef<TaskMeta, F, T>,
    claimed: Claimed<TaskMeta>,
) -> F {
    // The queue's reference was dropped with the other queued tasks.
    let meta = claimed.take_meta();
    if let Some(meta) = &meta {
        task_nodes::unlist(pool, &meta.place, claimed.task());
    }
    pool.release_capacity(claimed.task());
    let f = handle.reclaim(claimed, pool);
    pool.retract(&meta.map_or_else(Counted::default, |meta| meta.into_counted().0), 1);
    match f {
        Some(f) => f,
        // The closure is there until a claimer takes it, and the caller is the claimer.
        None => unreachable!("a claimed task lost its closure"),
    }
}

/// Notifies the thread of a local pool.
fn notify_own_thread(pool: &Arc<Pool>) {
    if pool.config.limit() == 0 && !pool.kind.notifier().is_none_or(Notifier::notify) {
        // The task was accepted just before the thread left, and pushed just after.
        stop::cancel(pool, CancelReason::OwnerEnd);
    }
}

/// Accepts a task for the calling thread to run at once, if a permit is free and no task is queued. A `nested` task
/// uses its caller's permit.
pub(crate) fn submit_here<F, T>(
    pool: &Arc<Pool>,
    task_type: Option<TaskType>,
    nested: bool,
    f: Body<F>,
) -> Result<Here<F, T>, Error>
where
    F: Job<Output = T> + Send,
    T: Send,
{
    let admitted = match admit(pool, task_type.as_ref(), 1, EndedBy::Pool) {
        Ok(admitted) => admitted,
        Err(reason) => return Err(refuse(pool, 1, f.into_inner(), reason).reason),
    };
    if !nested && (!pool.queue.is_empty() || !pool.permits.try_acquire_here(pool.config.limit())) {
        pool.retract(&admitted, 1);
        return Ok(Err(f));
    }
    let meta = meta(pool, admitted, task_type, false);
    let (ours, handle) = TaskRef::new(TaskId::next(), meta.place.node().id(), meta, f);
    match ours.claim() {
        Ok(claimed) => Ok(Ok((handle, claimed))),
        // No other thread has seen the task yet.
        Err(_) => unreachable!("a new task was claimed"),
    }
}

/// Ends a task that was accepted at a cancelled node. It is in no queue.
#[cold]
pub(crate) fn end_at_once(pool: &Arc<Pool>, task: Task) {
    if let Ok(claimed) = task.claim() {
        evict::end_cancelled(pool, claimed);
    }
}

/// Ends a task that was pushed while its pool was cancelled, or closed as a daemon pool: the canceller may have looked
/// at the queue before the push.
#[cold]
pub(crate) fn pushed_late(pool: &Arc<Pool>, handle: &Task) {
    if pool.drops_all() {
        end_pushed(pool, handle);
    }
}

/// Ends a task that was pushed while the owner of its pool was cancelled: the canceller may have looked at the queue
/// before the push.
#[cold]
pub(crate) fn pushed_for(pool: &Arc<Pool>, owner: NodeRef, handle: &Task) {
    // The push precedes this look. The canceller stores its request first, and looks at the queue then.
    fence(Ordering::SeqCst);
    if pool.drops_at(owner.node()) {
        end_pushed(pool, handle);
    }
    // This may be the owner's last reference, and the owner's end is user code.
    swallow(|| drop(owner));
}

/// Ends a pushed task, if no other thread has claimed it.
fn end_pushed(pool: &Arc<Pool>, handle: &Task) {
    if let Ok(claimed) = handle.another().claim() {
        claimed::note(pool);
        evict::end_cancelled(pool, claimed);
    }
}

/// Releases a permit of a thread that goes: the last one may be the pool's end, and a queued task gets a thread. Returns
/// whether it was the last permit.
pub(crate) fn release_permit(pool: &Arc<Pool>, searching: bool) -> bool {
    let last = pool.permits.release(searching);
    if last {
        pool.end_if_over();
    }
    if !pool.queue.is_empty() {
        send_if_permit(pool);
    }
    last
}

/// Returns whether the caller is to request a thread for a queued task: a permit is free, and no worker is searching.
///
/// The thread of a leased pool is [sent](crate::pool::core::permits::Permits::send) for, and acquires its permit when it
/// arrives. For the other kinds the permit is acquired here.
#[inline]
fn reserve_request(pool: &Pool) -> bool {
    let limit = pool.config.limit();
    if pool.sends() { pool.permits.send(limit) } else { pool.permits.try_acquire(limit) }
}

/// Requests a thread for a queued task, if a permit is free and no worker is searching.
///
/// # Errors
/// The system's. The request is still reserved.
fn request(pool: &Arc<Pool>) -> io::Result<()> {
    if reserve_request(pool) { pool.kind.request_thread(pool) } else { Ok(()) }
}

/// Requests threads for tasks that were just queued: one for each free permit, unless a worker is searching. A leased pool gets
/// no more than the system has CPUs, because each worker that arrives sends for the next.
///
/// # Errors
/// The system's, if no thread looks at the queue.
pub(super) fn request_many(pool: &Arc<Pool>, tasks: usize) -> io::Result<()> {
    let limit = pool.config.limit();
    // Each permit is acquired on its own, since the limit of a pool with threads of its own is small.
    let mut left = if pool.sends() { pool.permits.send_many(limit, tasks.min(cpus())) } else { tasks };
    if left == 0 {
        return Ok(());
    }
    if !pool.sends() && !pool.permits.try_acquire(limit) {
        notify_own_thread(pool);
        return Ok(());
    }
    loop {
        if let Err(error) = pool.kind.request_thread(pool) {
            let reserved = if pool.sends() { left } else { 1 };
            let stranded = (0..reserved).fold(false, |_, _| unreserve(pool));
            return if stranded { Err(error) } else { Ok(()) };
        }
        left -= 1;
        if left == 0 || !(pool.sends() || pool.permits.try_acquire(limit)) {
            return Ok(());
        }
    }
}

/// Requests a thread for a queued task, if a permit is free and no worker is searching.
pub(crate) fn send_if_permit(pool: &Arc<Pool>) {
    if let Err(error) = request(pool) {
        refused(pool, &error);
    }
}

/// Releases a permit for a wait, and requests a thread if a task is queued. Returns false when no thread comes: the caller
/// then holds a permit again.
pub(crate) fn release_to_next(pool: &Arc<Pool>) -> bool {
    let _ = pool.permits.release(false);
    if pool.queue.is_empty() || request(pool).is_ok() {
        return true;
    }
    if pool.sends() {
        // In this order, so that a request that is refused meanwhile sees a permit, and fails no queued task.
        pool.permits.reacquire();
        let _ = pool.permits.unsend();
    }
    false
}

/// A requested thread will not come.
pub(crate) fn refused(pool: &Arc<Pool>, error: &io::Error) {
    if unreserve(pool) {
        fail_queued(pool, error);
    }
}

/// Undoes [`reserve_request`], for a thread that will not come. Returns whether no other thread looks at the queue.
fn unreserve(pool: &Pool) -> bool {
    let none_acquired = if pool.sends() { pool.permits.unsend() } else { pool.permits.release(false) };
    if !none_acquired {
        // Other workers hold permits. The last one to release its permit looks at the queue after that.
        return false;
    }
    pool.kind.rest(pool);
    let ready = pool.kind.has_ready_thread();
    if ready {
        pool.end_if_over();
    }
    !ready
}

/// Fails the queued tasks of a pool that has no permit taken and gets no thread, because no worker would pop them.
/// Tasks pushed from now on request threads of their own.
pub(crate) fn fail_queued(pool: &Arc<Pool>, error: &io::Error) {
    pool.end_if_over();
    let mut evicted = Evicted::new();
    evict::evict_queued(pool, &mut evicted, &|task| TaskError::no_thread(task.id(), &pool.namespace, error));
    evicted.end(&mut || {});
}
