//! A cancel against a submit: in either order, a cancelled queued task has ended when both are done, though no thread
//! runs it. The pool, its queue and the lists of the nodes are the engine's own.

use crate::error::CancelReason;
use crate::lineage::current::{LazyNode, enter};
use crate::lineage::node::NodeRef;
use crate::model::{model, start};
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::local::LocalPool;
use crate::pool::run::stop;
use crate::sync::os::{Arc, Mutex, thread};

/// A pool whose tasks never run, because its thread does not run them.
fn idle(config: PoolConfig) -> (Arc<Pool>, LocalPool) {
    let pool = start(config);
    (Arc::clone(&pool), LocalPool::new(pool))
}

/// Submits at the node. `None` when that is refused.
fn submit_at(pool: &Arc<Pool>, place: &NodeRef) -> Option<TaskHandle<()>> {
    let here = enter(place.clone(), LazyNode::Nothing);
    let handle = submit::submit_static(&pool, None, || ()).ok();
    drop(here);
    handle
}

/// The same, for another thread.
fn submits(pool: &Arc<Pool>, place: &NodeRef) -> impl FnOnce() -> Option<TaskHandle<()>> + Send + 'static {
    let (pool, place) = (Arc::clone(pool), place.clone());
    move || submit_at(&pool, &place)
}

fn assert_over(handle: Option<TaskHandle<()>>) {
    if let Some(handle) = handle {
        assert!(handle.is_finished(), "a cancelled task is still queued");
        assert!(handle.join().is_err());
    }
}

/// One thread submits at the node, and this one cancels.
fn is_over_whoever_comes_first(config: PoolConfig, place: &NodeRef, cancel: impl FnOnce(&Arc<Pool>)) {
    let (pool, _local) = idle(config);
    let submitter = thread::spawn(submits(&pool, place));
    cancel(&pool);
    assert_over(submitter.join().unwrap());
    assert!(place.node().scopes().all(|scope| scope.of(true).count() + scope.of(false).count() == 0));
    assert_eq!(pool.tracker.count(), 0);
}

#[test]
fn a_task_submitted_while_its_scope_is_cancelled_is_over() {
    model(4, || {
        let scope = NodeRef::scope();
        is_over_whoever_comes_first(PoolConfig::local(), &scope, |_| {
            scope.node().cancel(CancelReason::Request);
        });
    });
}

#[test]
fn the_first_task_below_a_cancelled_scope_is_over() {
    model(4, || {
        let outer = NodeRef::scope();
        is_over_whoever_comes_first(PoolConfig::local(), &outer.scope_below().scope_below(), |_| {
            outer.node().cancel(CancelReason::Request);
        });
    });
}

#[test]
fn a_task_submitted_to_a_daemon_pool_while_its_scope_is_closed_is_over() {
    model(4, || {
        let scope = NodeRef::scope();
        is_over_whoever_comes_first(PoolConfig::local().daemon(), &scope, |_| scope.node().close());
    });
}

fn cancel_pool(pool: &Arc<Pool>) {
    stop::cancel(pool, CancelReason::Request);
}

#[test]
fn a_task_submitted_while_its_pool_is_cancelled_is_over() {
    model(4, || is_over_whoever_comes_first(PoolConfig::local(), &NodeRef::PROCESS, cancel_pool));
}

/// One thread submits to a pool whose tasks stand elsewhere, and this one cancels there.
#[cfg(feature = "rayon")]
fn is_over_where_it_is_to_stand(config: PoolConfig, cancel: fn(&NodeRef)) {
    let outer = NodeRef::scope();
    let owner = outer.scope_below();
    let pool = crate::model::start_at(&owner, config);
    // No worker comes: the only permit is taken.
    assert!(pool.permits.try_acquire(1));
    let submitter = thread::spawn(submits(&pool, &NodeRef::PROCESS));
    cancel(&outer);
    assert_over(submitter.join().unwrap());
    assert!(owner.node().scopes().all(|scope| scope.of(true).count() + scope.of(false).count() == 0));
    assert_eq!(pool.tracker.count(), 0);
    assert!(pool.permits.release(false));
}

#[cfg(feature = "rayon")]
#[test]
fn a_task_submitted_while_a_scope_is_cancelled_in_which_it_is_to_stand_is_over() {
    model(3, || {
        is_over_where_it_is_to_stand(PoolConfig::work_stealing(1), |outer| {
            outer.node().cancel(CancelReason::Request);
        });
    });
}

#[cfg(feature = "rayon")]
#[test]
fn a_daemon_pools_task_submitted_while_a_scope_is_closed_in_which_it_is_to_stand_is_over() {
    model(3, || is_over_where_it_is_to_stand(PoolConfig::work_stealing(1).daemon(), |outer| outer.node().close()));
}

#[test]
fn the_first_two_tasks_below_a_cancelled_scope_are_over() {
    model(2, || {
        let outer = NodeRef::scope();
        let inner = outer.scope_below();
        let (pool, _local) = idle(PoolConfig::local());
        let other = thread::spawn(submits(&pool, &inner));
        let canceller = thread::spawn(move || outer.node().cancel(CancelReason::Request));
        let handle = submit_at(&pool, &inner);
        canceller.join().unwrap();
        assert_over(handle);
        assert_over(other.join().unwrap());
    });
}

#[test]
fn a_task_submitted_after_its_place_declined_is_left_alone() {
    model(4, || {
        let place = NodeRef::scope();
        let (pool, local) = idle(PoolConfig::local());
        let canceller = {
            let place = place.clone();
            thread::spawn(move || place.node().cancel(CancelReason::Request))
        };
        let mut kept = None;
        if place.node().cancel_requested() {
            place.node().acknowledge();
            kept = submit_at(&pool, &place);
        }
        canceller.join().unwrap();
        if let Some(kept) = kept {
            assert_eq!(local.run_pending(), 1, "a declined request ended a later task");
            assert!(kept.join().is_ok());
        }
    });
}

#[test]
fn two_cancels_end_each_task_once() {
    model(3, || {
        let outer = NodeRef::scope();
        let inner = outer.scope_below();
        let (pool, _local) = idle(PoolConfig::local());
        let handles = [&outer, &inner].map(|place| submit_at(&pool, place));
        let other = {
            let inner = inner.clone();
            thread::spawn(move || inner.node().cancel(CancelReason::Request))
        };
        outer.node().cancel(CancelReason::Request);
        other.join().unwrap();
        handles.into_iter().for_each(assert_over);
        assert_eq!((pool.tracker.count(), end::report(&pool).cancelled), (0, 2));
    });
}

#[test]
fn a_task_cancelled_while_it_is_pushed_gives_its_room_back() {
    model(3, || {
        let scope = NodeRef::scope();
        let (pool, _local) = idle(PoolConfig::local().queue_limit(1));
        let submitter = thread::spawn(submits(&pool, &scope));
        scope.node().cancel(CancelReason::Request);
        assert_over(submitter.join().unwrap());
        assert!(submit::submit_static(&pool, None, || ()).is_ok(), "nothing that is to run is queued");
    });
}

/// Joins another task when it is dropped.
struct Joins(Arc<Mutex<Option<TaskHandle<()>>>>);

impl Drop for Joins {
    fn drop(&mut self) {
        let other = self.0.lock().take();
        if let Some(other) = other {
            assert!(other.join().is_err());
        }
    }
}

#[test]
fn two_cancels_of_tasks_that_join_each_other_when_dropped_end() {
    model(2, || {
        let outer = NodeRef::scope();
        let inner = outer.scope_below();
        let (pool, _local) = idle(PoolConfig::local());
        let slots = [(); 2].map(|()| Arc::new(Mutex::new(None)));
        for (at, place) in [&outer, &inner].into_iter().enumerate() {
            let joins = Joins(Arc::clone(&slots[1 - at]));
            let here = enter(place.clone(), LazyNode::Nothing);
            *slots[at].lock() = submit::submit_static(&pool, None, move || drop(joins)).ok();
            drop(here);
        }
        drop(slots);
        let other = thread::spawn(move || inner.node().cancel(CancelReason::Request));
        outer.node().cancel(CancelReason::Request);
        other.join().unwrap();
        assert_eq!((pool.tracker.count(), end::report(&pool).cancelled), (0, 2));
    });
}
