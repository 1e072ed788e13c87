//! Admission of a task: the pool accepts it, or refuses it with a reason.

use tracing::level_filters::LevelFilter;

use crate::error::{Refused, SubmitError, SubmitErrorKind};
use crate::lineage::current;
use crate::lineage::handle::closed_scope;
use crate::lineage::node::NodeRef;
use crate::names::task_type::TaskType;
#[cfg(feature = "remote")]
use crate::pool::config::kind::PoolKind;
use crate::pool::context::{interrupted, thread};
use crate::pool::core::pool::{NotAccepted, Pool};
use crate::pool::core::shares::Full;
use crate::pool::core::task_meta::{Counted, PoolAddress, RareMeta, TaskMeta};
use crate::pool::run::rank;
use crate::subscriber::Scoped;
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering};
use crate::sync::unwind::swallow;
use crate::task::rank::Rank;

/// The code that ends a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// A thread of the pool, which runs the task.
    Pool,
    /// The holder of a promise. No thread runs the task, so it stands at its submitter's node in a pool of any kind.
    Holder,
}

/// Admits tasks, at least one, before the queue is touched. Returns the nodes and trackers that count each of them.
// One function for all callers: each submit would pay for calls of its parts.
pub(super) fn admit(
    pool: &Arc<Pool>,
    task_type: Option<&TaskType>,
    tasks: u64,
    by: EndedBy,
) -> Result<Counted, SubmitError> {
    if fork::is_fork() {
        return Err(SubmitError::new(&pool.namespace, SubmitErrorKind::Forked));
    }
    if thread::initialises(Arc::as_ptr(pool)) {
        return Err(SubmitError::new(&pool.namespace, SubmitErrorKind::FromInitialiser));
    }
    check_type(pool, task_type)?;
    let place = place(pool)?;
    #[cfg(feature = "remote")]
    if pool.config.kind == PoolKind::Remote && by == EndedBy::Pool {
        return Err(SubmitError::new(&pool.namespace, SubmitErrorKind::NeedsJob));
    }
    let counted = match pool.config.steals() && by == EndedBy::Pool {
        true => Counted::new(place, live_owner(pool)?),
        false => Counted { place, ..Counted::default() },
    };
    match pool.accept(&counted, tasks) {
        Ok(()) => Ok(counted),
        Err(NotAccepted::ScopeEnded(place)) => Err(scope_has_ended(pool, &place)),
        Err(NotAccepted::Closed) => {
            Err(SubmitError::new(&pool.namespace, SubmitErrorKind::Closed { ended_with: None, hides: None }))
        }
    }
}

#[inline]
fn check_type(pool: &Pool, given: Option<&TaskType>) -> Result<(), SubmitError> {
    match &pool.config.rare().task_type {
        Some(allowed) if given != Some(allowed) => Err(SubmitError::new(
            &pool.namespace,
            SubmitErrorKind::UnknownTaskType { given: given.cloned(), allowed: allowed.clone() },
        )),
        _ => Ok(()),
    }
}

/// The node below which a task submitted now stands.
#[inline]
fn place(pool: &Pool) -> Result<NodeRef, SubmitError> {
    if pool.config.rare().detached { live_owner(pool) } else { Ok(current::nearest()) }
}

fn live_owner(pool: &Pool) -> Result<NodeRef, SubmitError> {
    pool.owner.upgrade().ok_or_else(|| SubmitError::new(&pool.namespace, SubmitErrorKind::OwnerEnded))
}

#[cold]
pub(crate) fn scope_has_ended(pool: &Pool, place: &NodeRef) -> SubmitError {
    interrupted::note_if_cancelled();
    let (scope, cause) = closed_scope(place);
    SubmitError::new(&pool.namespace, SubmitErrorKind::ScopeEnded { scope, cause })
}

/// Takes the queue's capacity for so many tasks, or for none. A queue without a limit always has some.
#[inline]
pub(super) fn acquire_capacity(
    pool: &Pool,
    place: &NodeRef,
    rank: Option<Rank>,
    tasks: usize,
) -> Result<(), SubmitError> {
    match pool.capacity() {
        Some(capacity) => capacity.try_acquire(rank, tasks).map_err(|full| queue_full(pool, place, full)),
        None => Ok(()),
    }
}

#[cold]
fn queue_full(pool: &Pool, place: &NodeRef, full: Full) -> SubmitError {
    let rare = pool.config.rare();
    let (limit, tenant) = match full {
        Full::Queue => (rare.queue_limit, None),
        Full::Tenant => (rare.order.as_ref().and_then(|order| order.limit_each), rank::tenant_in_words(pool, place)),
    };
    let kind = SubmitErrorKind::QueueFull { limit: limit.unwrap_or(usize::MAX), tenant };
    SubmitError::new(&pool.namespace, kind)
}

pub(super) fn meta(
    pool: &Arc<Pool>,
    Counted { place, owner, scoped }: Counted,
    task_type: Option<TaskType>,
    queued: bool,
) -> TaskMeta {
    // Without a subscriber there is no span, and the check costs one load.
    let span = (LevelFilter::current() != LevelFilter::OFF).then(|| swallow(tracing::Span::current)).flatten();
    let span = span.filter(|span| !span.is_none());
    // All tasks of a typed pool have the pool's type. Elsewhere the type is the task's own.
    let task_type = task_type.filter(|_| pool.config.rare().task_type.is_none());
    let subscriber = Scoped::here();
    let traced = span.is_some() || subscriber.is_some();
    let plain = !traced && task_type.is_none() && scoped.is_none() && !owner.is_counted();
    let rare =
        (!plain).then(|| Box::new(RareMeta { span, subscriber, task_type, scoped, owner, ..RareMeta::default() }));
    let address = if queued { PoolAddress::of(pool) } else { PoolAddress::NONE };
    TaskMeta { place, rare, pool: address, accepted: pool.totals.accepted() }
}

/// Counts the refusal of so many tasks.
pub(super) fn refuse<F>(pool: &Pool, tasks: usize, task: F, reason: SubmitError) -> Refused<F> {
    pool.cold().refused.fetch_add(tasks as u64, Ordering::Relaxed);
    Refused { task, reason: reason.into() }
}
