//! Dispatching many tasks: one admission for all of them, one push for each [part](PART), and a request for each thread that can
//! start at once.
//!
//! # All or nothing
//! A refusal comes before the first task is made, so the jobs are still the caller's. One refusal comes later: the system
//! refuses a thread for the first part, and no other thread looks at the queue. The submitter then claims its tasks again. If it
//! gets all of them, all jobs are refused, as if none had been queued. If a canceller has claimed one meanwhile, the tasks were
//! accepted, and those of the part end with the system's error. Tasks of a later part that gets no thread end with the system's
//! error too.

use std::io;
use std::ops::Deref;

use crate::error::{Refused, SubmitError, SubmitErrorKind, TaskError};
use crate::lineage::node::NodeRef;
use crate::pool::core::chain::Batch;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{As, Counted, Task, TaskMeta};
use crate::pool::core::{cause, claimed, task_nodes};
use crate::pool::run::admit::{EndedBy, acquire_capacity, admit, refuse};
use crate::pool::run::evict::Evicted;
use crate::pool::run::{dispatch, rank};
use crate::sync::os::{Arc, Ordering, fence};
use crate::sync::unwind::swallow;
use crate::task::body::{Body, Job};
use crate::task::cell::HandleRef;
use crate::task::claimed::Claimed;
use crate::task::rank::Rank;
use crate::wait::tracker::TaskTracker;

/// The most tasks of one batch: the trackers' counts have room for them beside others.
const MOST: usize = 1 << 28;

/// So many tasks are queued by one push. The workers run the first ones while the submitter makes the next.
const PART: usize = if cfg!(loom) { 2 } else { 32 };

/// The accepted tasks' handles.
type Handles<F, T> = Vec<HandleRef<TaskMeta, F, T>>;

/// Queues a task for each job, in order. Returns the references of their handles.
///
/// # Errors
/// The reason for which none is accepted, with all jobs.
pub(crate) fn submit_many<F, T>(
    pool: &Arc<Pool>,
    submitted: impl Into<As>,
    scoped: Option<&Arc<TaskTracker>>,
    jobs: Vec<F>,
    body: impl Fn(F) -> Body<F>,
) -> Result<Handles<F, T>, Refused<Vec<F>>>
where
    F: Job<Output = T> + Send,
    T: Send,
{
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let submitted = submitted.into();
    let tasks = jobs.len();
    let (admitted, rank) = match admit_all(pool, &submitted, tasks) {
        Ok(admitted) => admitted,
        Err(reason) => return Err(refuse(pool, tasks, jobs, reason)),
    };
    let node = task_nodes::listing_node(&admitted.place);
    let (mut jobs, mut handles) = (jobs.into_iter(), Handles::with_capacity(tasks));
    while handles.len() < tasks {
        let (mut part, first) = (Batch::new(), handles.len());
        handles.extend(jobs.by_ref().take(PART).map(|job| {
            let counted = Counted { scoped: scoped.cloned(), ..admitted.clone() };
            let (queued, handle) = dispatch::new_task(pool, counted, submitted.clone(), rank, body(job));
            part.push(queued);
            handle
        }));
        // SAFETY: each task's metadata holds the node, and only this thread has seen the tasks.
        if node.is_some_and(|node| unsafe { !task_nodes::list(pool, node, part.links()) }) {
            end_all(pool, &handles[first..], |_| {});
            continue;
        }
        match queue(pool, &admitted.owner, part, &handles[first..]) {
            Ok(()) => {}
            Err(error) => {
                // The tasks of an earlier part were accepted.
                let claims = if first == 0 { claim_all(pool, &handles, &error) } else { None };
                dispatch::fail_queued(pool, &error);
                let Some(claims) = claims else { continue };
                let taken =
                    handles.iter().zip(claims).map(|(handle, claimed)| dispatch::take_back(pool, handle, claimed));
                let mut back = Vec::with_capacity(tasks);
                back.extend(taken);
                pool.release_unused(rank, jobs.len());
                if jobs.len() > 0 {
                    pool.retract(&admitted, jobs.len() as u64);
                }
                back.extend(jobs);
                swallow(|| drop(admitted));
                return Err(refuse(pool, tasks, back, SubmitError::no_thread(&pool.namespace, error)));
            }
        }
    }
    // These may be the last references to the nodes, and a node's end is user code.
    swallow(|| drop(admitted));
    Ok(handles)
}

/// Queues a part of the tasks, and requests threads for them.
///
/// # Errors
/// The system's, when no thread comes for the tasks, and none looks at the queue.
fn queue<H: Deref<Target = Task>>(
    pool: &Arc<Pool>,
    owner: &NodeRef,
    part: Batch<TaskMeta>,
    handles: &[H],
) -> io::Result<()> {
    pool.queue.push_all(part);
    // Sequentially consistent, as in `dispatch::submit`: a closer sees the tasks, or its close is seen here.
    if pool.tracker.is_closed() && pool.drops_all() {
        end_all(pool, handles, claimed::note);
    }
    if owner.is_counted() {
        // As in `dispatch::pushed_for`: the push precedes this look at the request, which the canceller stores before it
        // looks at the queue.
        fence(Ordering::SeqCst);
        if pool.drops_at(owner.node()) {
            end_all(pool, handles, claimed::note);
        }
    }
    dispatch::request_many(pool, handles.len())
}

/// Counts the tasks, and takes capacity for all of them. Returns the counts and the rank of each task.
fn admit_all(pool: &Arc<Pool>, submitted: &As, tasks: usize) -> Result<(Counted, Option<Rank>), SubmitError> {
    let limit = most(pool);
    if tasks > limit {
        return Err(SubmitError::new(&pool.namespace, SubmitErrorKind::TooMany { tasks, limit }));
    }
    let admitted = admit(pool, submitted.task_type.as_ref(), tasks as u64, EndedBy::Pool)?;
    let rank = rank::of(pool, &admitted.place, submitted.priority);
    match acquire_capacity(pool, &admitted.place, rank, tasks) {
        Ok(()) => Ok((admitted, rank)),
        Err(reason) => {
            pool.retract(&admitted, tasks as u64);
            Err(reason)
        }
    }
}

/// Returns the most tasks that the queue ever has capacity for.
fn most(pool: &Pool) -> usize {
    let rare = pool.config.rare();
    let each = rare.order.as_ref().and_then(|order| order.limit_each);
    rare.queue_limit.unwrap_or(MOST).min(each.unwrap_or(MOST)).min(MOST)
}

/// Ends those of the tasks that no other thread has claimed, as cancelled. `note` notes each claim.
#[cold]
fn end_all<H: Deref<Target = Task>>(pool: &Arc<Pool>, handles: &[H], note: impl Fn(&Pool)) {
    let mut evicted = Evicted::new();
    for handle in handles {
        let Ok(claimed) = handle.another().claim() else { continue };
        note(pool);
        if let Some(meta) = claimed.take_meta() {
            let cause = cause::of_queued(pool, &meta);
            evicted.add(pool, claimed, meta, TaskError::cancelled(handle.id(), &pool.namespace, cause));
        }
    }
    evicted.end(&mut || {});
}

/// Claims tasks for which no thread comes. `None` when another thread has claimed one of them: then they were accepted, and the
/// rest of them ends with the system's error.
#[cold]
fn claim_all<H: Deref<Target = Task>>(
    pool: &Arc<Pool>,
    handles: &[H],
    error: &io::Error,
) -> Option<Vec<Claimed<TaskMeta>>> {
    let claims: Vec<_> = handles.iter().filter_map(|handle| handle.another().claim().ok()).collect();
    if claims.len() == handles.len() {
        return Some(claims);
    }
    let mut evicted = Evicted::new();
    for claimed in claims {
        if let Some(meta) = claimed.take_meta() {
            let error = TaskError::no_thread(claimed.task().id(), &pool.namespace, error);
            evicted.add(pool, claimed, meta, error);
        }
    }
    evicted.end(&mut || {});
    None
}
