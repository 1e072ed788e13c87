//! A promised task: whichever of its submit, its begin, its end and a cancel comes first, the task ends once, and nothing of it is
//! left. The pool, its lists and the lists of the nodes are the engine's own.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use crate::error::CancelReason;
use crate::lineage::current::{LazyNode, enter};
use crate::lineage::node::NodeRef;
use crate::model::{model, start};
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_nodes;
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::promise::{self, Meeting, Pledge, Submitted};
use crate::pool::run::stop;
use crate::sync::os::{Arc, thread};

/// A value that counts its drops.
struct Value(Arc<Count>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What `pool/handle/promise.rs` is made of.
struct Promise {
    pledge: Pledge,
    meeting: Arc<Meeting<Value>>,
}

impl Promise {
    fn complete(mut self, drops: &Arc<Count>) {
        self.meeting.put(Value(Arc::clone(drops)));
        drop(self.meeting.close());
        self.pledge.end(Ok(()), &|| drop(self.meeting.take_node()));
        drop(self.meeting.take());
    }
}

fn promise_at(pool: &Arc<Pool>, place: &NodeRef) -> Option<(Promise, TaskHandle<Value>)> {
    let here = enter(place.clone(), LazyNode::Nothing);
    let submitted = promise::submit(pool, None).ok();
    drop(here);
    let Submitted { pledge, meeting, task } = submitted?;
    Some((Promise { pledge, meeting }, TaskHandle::new(task, pool)))
}

fn assert_nothing_is_left(pool: &Pool, place: &NodeRef) {
    assert!(task_nodes::promised(pool).is_empty(), "the pool lists an ended task");
    assert!(place.node().scopes().all(|scope| scope.of(true).count() + scope.of(false).count() == 0));
    assert_eq!(pool.tracker.count(), 0);
}

/// One thread submits, and this one cancels: the task has ended when both are done.
fn is_over_whoever_comes_first(config: PoolConfig, place: &NodeRef, cancel: impl FnOnce(&Arc<Pool>)) {
    let pool = start(config);
    let submitter = {
        let (pool, place) = (Arc::clone(&pool), place.clone());
        thread::spawn(move || promise_at(&pool, &place))
    };
    cancel(&pool);
    if let Some((promise, task)) = submitter.join().unwrap() {
        assert!(task.is_finished() && task.join().is_err(), "a cancelled task has not ended");
        assert!(!promise.pledge.begin());
    }
    assert_nothing_is_left(&pool, place);
}

#[test]
fn a_task_promised_while_its_pool_is_cancelled_is_over() {
    model(2, || {
        is_over_whoever_comes_first(PoolConfig::leased(1), &NodeRef::PROCESS, |pool| {
            stop::cancel(pool, CancelReason::Request);
        });
    });
}

#[test]
fn a_task_promised_while_its_daemon_pool_is_closed_is_over() {
    model(2, || {
        is_over_whoever_comes_first(PoolConfig::leased(1).daemon(), &NodeRef::PROCESS, |pool| {
            stop::close(pool, CancelReason::OwnerEnd);
        });
    });
}

#[test]
fn a_task_promised_while_its_scope_is_cancelled_is_over() {
    model(2, || {
        let scope = NodeRef::scope();
        is_over_whoever_comes_first(PoolConfig::leased(1), &scope, |_| {
            scope.node().cancel(CancelReason::Request);
        });
    });
}

#[test]
fn a_task_promised_to_a_daemon_pool_while_its_scope_is_closed_is_over() {
    model(2, || {
        let scope = NodeRef::scope();
        is_over_whoever_comes_first(PoolConfig::leased(1).daemon(), &scope, |_| scope.node().close());
    });
}

/// The holder completes the task, with a begin before or without, while this thread cancels.
fn ends_once(begins: bool, config: PoolConfig, cancel: fn(&Arc<Pool>, &NodeRef, &TaskHandle<Value>)) {
    let pool = start(config);
    let scope = NodeRef::scope();
    let drops = Arc::new(Count::new(0));
    let Some((promise, task)) = promise_at(&pool, &scope) else { panic!("the pool runs") };
    let holder = {
        let drops = Arc::clone(&drops);
        thread::spawn(move || {
            let begun = begins && promise.pledge.begin();
            promise.complete(&drops);
            begun
        })
    };
    cancel(&pool, &scope, &task);
    let begun = holder.join().unwrap();
    assert!(task.is_finished());
    let value = task.join();
    assert!(!begun || value.is_ok(), "a task that has begun was evicted");
    drop(value);
    assert_eq!(drops.load(SeqCst), 1);
    assert_nothing_is_left(&pool, &scope);
}

#[test]
fn it_ends_once_against_a_cancel_by_its_handle() {
    for begins in [false, true] {
        model(2, move || {
            ends_once(begins, PoolConfig::leased(1), |_, _, task| {
                let _ = task.cancel();
            })
        });
    }
}

#[test]
fn it_ends_once_against_a_cancel_of_its_scope() {
    for begins in [false, true] {
        model(2, move || {
            ends_once(begins, PoolConfig::leased(1).queue_limit(1), |_, scope, _| {
                scope.node().cancel(CancelReason::Request);
            });
        });
    }
}

#[test]
fn it_ends_once_against_a_cancel_of_its_pool() {
    for begins in [false, true] {
        model(2, move || {
            ends_once(begins, PoolConfig::leased(1), |pool, _, _| stop::cancel(pool, CancelReason::Request));
        });
    }
}

#[test]
fn one_of_two_threads_begins_it() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let drops = Arc::new(Count::new(0));
        let Some((promise, task)) = promise_at(&pool, &NodeRef::PROCESS) else { panic!("the pool runs") };
        let promise = Arc::new(promise);
        let other = {
            let promise = Arc::clone(&promise);
            thread::spawn(move || promise.pledge.begin())
        };
        let here = promise.pledge.begin();
        assert_ne!(other.join().unwrap(), here);
        let Some(promise) = Arc::into_inner(promise) else { panic!("the other thread has ended") };
        promise.complete(&drops);
        assert!(task.join().is_ok());
        assert_nothing_is_left(&pool, &NodeRef::PROCESS);
    });
}
