//! Closing and cancelling pools.

use std::cell::OnceCell;
use std::slice;

use crate::error::{CancelReason, Cancelled, TaskError};
use crate::lineage::node::NodeRef;
use crate::lineage::queued::Claims;
use crate::pool::config::kind::PoolMode;
use crate::pool::core::cause;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::Task;
use crate::pool::core::task_nodes;
use crate::pool::run::evict::{self, Evicted};
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering};

/// [`close`]s several pools as one: the queued tasks of all of them have their outcome before any user code runs. The first
/// user code is `notify`. Queued tasks of daemon pools end for the cause that `why` returns.
pub(crate) fn close_all(
    pools: &[Arc<Pool>],
    mut evicted: Evicted,
    why: &dyn Fn(&Pool) -> Cancelled,
    notify: &mut dyn FnMut(),
) {
    pools.iter().for_each(|pool| begin_close(pool, &mut evicted, why));
    evicted.end(&mut || {
        notify();
        pools.iter().for_each(notify_closed);
    });
    pools.iter().for_each(|pool| pool.end_if_over());
}

/// [`cancel`]s several pools as one, in the same order, for the cause that `why` returns.
pub(crate) fn cancel_all(
    pools: &[Arc<Pool>],
    mut evicted: Evicted,
    why: &dyn Fn(&Pool) -> Cancelled,
    notify: &mut dyn FnMut(),
) {
    let asked: Vec<_> = pools.iter().map(|pool| begin_cancel(pool, &mut evicted, why)).collect();
    evicted.end(&mut || {
        notify();
        pools.iter().zip(&asked).for_each(|(pool, asked)| notify_cancelled(pool, asked));
    });
    pools.iter().for_each(|pool| pool.end_if_over());
}

/// Closes the pool: it refuses new tasks. Queued tasks of a daemon pool finish as cancelled, for this reason.
pub(crate) fn close(pool: &Arc<Pool>, reason: CancelReason) {
    close_all(slice::from_ref(pool), Evicted::new(), &|pool| cause::at_pool(pool, reason), &mut || {});
}

fn begin_close(pool: &Arc<Pool>, evicted: &mut Evicted, why: &dyn Fn(&Pool) -> Cancelled) {
    pool.tracker.close();
    if pool.config.mode == PoolMode::Daemon {
        evict_cancelled(pool, evicted, why);
    }
}

fn notify_closed(pool: &Arc<Pool>) {
    pool.kind.closed();
    if let Some(capacity) = pool.capacity() {
        capacity.notify_all();
    }
}

/// Cancels the pool: it refuses new tasks, queued tasks never start, and running tasks are cancelled.
pub(crate) fn cancel(pool: &Arc<Pool>, reason: CancelReason) {
    cancel_all(slice::from_ref(pool), Evicted::new(), &|pool| cause::at_pool(pool, reason), &mut || {});
}

/// Cancels the pool's tasks. Returns the nodes of running tasks that are to be notified.
fn begin_cancel(pool: &Arc<Pool>, evicted: &mut Evicted, why: &dyn Fn(&Pool) -> Cancelled) -> Vec<NodeRef> {
    let cause = pool.cold().cause.get_or_init(|| why(pool));
    pool.cancelled.store(true, Ordering::SeqCst);
    begin_close(pool, evicted, &|_| cause.clone());
    evict_cancelled(pool, evicted, &|_| cause.clone());
    let mut claims = Claims::new();
    let asked = task_nodes::cancel_running(pool, &mut claims);
    evicted.add_all(claims, cause);
    asked
}

fn notify_cancelled(pool: &Arc<Pool>, asked: &[NodeRef]) {
    asked.iter().for_each(|place| place.node().notify_cancelled());
    // Waiters without a node are notified through the tracker: see `cancel_listener`.
    pool.tracker.notify();
    notify_closed(pool);
}

/// A fork's child has no threads to end anything and must not touch the parent's locks.
fn evict_cancelled(pool: &Arc<Pool>, evicted: &mut Evicted, why: &dyn Fn(&Pool) -> Cancelled) {
    if fork::is_fork() {
        return;
    }
    let cause = OnceCell::new();
    let error = |task: &Task| {
        TaskError::cancelled(task.id(), &pool.namespace, Cancelled::clone(cause.get_or_init(|| why(pool))))
    };
    if !pool.queue.is_empty() {
        evict::evict_queued(pool, evicted, &error);
    }
    evict::evict_promised(pool, evicted, &error);
}
