//! Many tasks at once: a pushed chain against pops, pushes and sweeps, and a submit of many against a close, a cancel and a
//! refused thread. A part of a batch has two tasks in the models.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use crate::error::CancelReason;
use crate::lineage::current::{LazyNode, enter};
use crate::lineage::node::NodeRef;
use crate::model::{model, no_pool, start};
use crate::names::id::{NodeId, TaskId};
use crate::pool::config::PoolConfig;
use crate::pool::core::chain::Batch;
use crate::pool::core::pool::Pool;
use crate::pool::core::queue::Queue;
use crate::pool::end;
use crate::pool::handle::submit::submit_many_static;
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::local::LocalPool;
use crate::pool::run::stop;
use crate::sync::os::{Arc, thread};
use crate::task::body::Body;
use crate::task::cell::TaskRef;
use crate::task::rank::Rank;

/// The producer and the turn.
type Name = (usize, usize);
type Names = Queue<Name, ()>;

fn task(name: Name) -> TaskRef<Name> {
    let (queued, handle) = TaskRef::new(TaskId::next(), NodeId::next(), name, Body::new(|| ()));
    handle.set_rank(Rank::new(0, 1, name.0 as u64));
    queued
}

fn push_chain(queue: &Names, producer: usize, tasks: usize) {
    let mut batch = Batch::new();
    (0..tasks).for_each(|turn| batch.push(task((producer, turn))));
    queue.push_all(batch);
}

fn run(task: TaskRef<Name>) -> Name {
    let Ok(claimed) = task.claim() else { panic!("one task was popped twice") };
    let name = claimed.take_meta().unwrap();
    claimed.finish(&no_pool());
    name
}

fn pop(queue: &Names) -> Option<Name> {
    queue.pop(|(), _| {}).task.map(run)
}

// 1. The chain.

/// One consumer sees each chain whole and in order, and each other task once.
fn a_chain_stays_whole(queue: Names) {
    let queue = Arc::new(queue);
    let chains = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || push_chain(&queue, 0, 3))
    };
    let pushes = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || queue.push(task((1, 0))))
    };
    let mut seen: Vec<Name> = (0..2).filter_map(|_| pop(&queue)).collect();
    chains.join().unwrap();
    pushes.join().unwrap();
    seen.extend(std::iter::from_fn(|| pop(&queue)));
    assert_eq!(seen.len(), 4);
    let at = seen.iter().position(|name| *name == (0, 0)).unwrap();
    let whole = seen[at..].iter().filter(|name| name.0 == 0).count() == 3;
    assert!(whole && seen.iter().filter(|name| name.0 == 0).map(|name| name.1).is_sorted());
    assert!(queue.is_empty() && queue.looks_empty() && queue.length() == 0);
}

#[test]
fn a_pushed_chain_is_popped_once_and_in_order_beside_other_pushes() {
    model(3, || a_chain_stays_whole(Queue::new((), ())));
}

#[test]
fn a_pushed_chain_is_sorted_into_an_order_once() {
    model(2, || a_chain_stays_whole(Queue::ordered(1, (), ())));
}

#[test]
fn a_sweep_and_two_consumers_beside_a_pushed_chain_lose_no_task() {
    model(3, || {
        let queue: Arc<Names> = Arc::new(Queue::new((), ()));
        queue.push(task((1, 0)));
        let chains = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || push_chain(&queue, 0, 3))
        };
        let sweeps = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut kinds = [true, false].into_iter().cycle();
                queue.take_if(&mut |_| kinds.next().unwrap()).into_iter().map(run).collect::<Vec<_>>()
            })
        };
        let mut seen: Vec<Name> = pop(&queue).into_iter().collect();
        chains.join().unwrap();
        let swept = sweeps.join().unwrap();
        seen.extend(std::iter::from_fn(|| pop(&queue)));
        let own = |names: &[Name]| names.iter().filter(|name| name.0 == 0).map(|name| name.1).is_sorted();
        assert!(own(&seen) && own(&swept), "{seen:?} {swept:?}");
        seen.extend(swept);
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0)]);
    });
}

#[test]
fn a_consumer_that_sees_one_task_of_a_chain_is_told_of_the_others() {
    model(5, || {
        let queue: Arc<Names> = Arc::new(Queue::new((), ()));
        let chains = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || push_chain(&queue, 0, 2))
        };
        let popped = queue.pop(|(), _| {});
        if let Some(first) = popped.task {
            assert!(popped.more && run(first) == (0, 0));
            assert_eq!(pop(&queue), Some((0, 1)));
        }
        chains.join().unwrap();
    });
}

// 2. The submit.

type Handles = Vec<TaskHandle<usize>>;

fn submit(pool: &Arc<Pool>, tasks: usize) -> Option<Handles> {
    submit_many_static(pool, None, (0..tasks).map(|n| move || n).collect()).ok()
}

fn submit_at(pool: &Arc<Pool>, place: &NodeRef, tasks: usize) -> Option<Handles> {
    let here = enter(place.clone(), LazyNode::Nothing);
    let handles = submit(pool, tasks);
    drop(here);
    handles
}

#[test]
fn many_tasks_are_run_by_the_threads_that_are_sent() {
    model(1, || {
        let pool = start(PoolConfig::leased(2));
        let handles = submit(&pool, 3).unwrap();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n);
        }
        assert!(end::stop(&pool, None).unwrap().is_complete());
    });
}

#[test]
fn many_tasks_are_all_refused_or_all_end_before_the_stop() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let ran = Arc::new(Count::new(0));
        let submitter = {
            let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            thread::spawn(move || {
                let task = || {
                    let ran = Arc::clone(&ran);
                    move || ran.fetch_add(1, SeqCst)
                };
                submit_many_static(&pool, None, vec![task(), task()]).map_or(0, |handles| handles.len())
            })
        };
        let report = end::stop(&pool, None).unwrap();
        let ran_before = ran.load(SeqCst);
        assert!(pool.is_over() && report.remaining == 0);
        assert_eq!(ran_before, submitter.join().unwrap());
    });
}

fn assert_over(handles: Option<Handles>) {
    for handle in handles.into_iter().flatten() {
        assert!(handle.is_finished(), "a cancelled task is still queued");
        assert!(handle.join().is_err());
    }
}

/// One thread submits at the node to a pool whose tasks never run, and this one cancels.
fn are_over_whichever_comes_first(config: PoolConfig, place: &NodeRef, tasks: usize, cancel: impl FnOnce(&Arc<Pool>)) {
    let pool = start(config);
    let _local = LocalPool::new(Arc::clone(&pool));
    let submitter = {
        let (pool, place) = (Arc::clone(&pool), place.clone());
        thread::spawn(move || submit_at(&pool, &place, tasks))
    };
    cancel(&pool);
    assert_over(submitter.join().unwrap());
    assert!(place.node().scopes().all(|scope| scope.of(true).count() + scope.of(false).count() == 0));
    assert_eq!(pool.tracker.count(), 0);
}

#[test]
fn many_tasks_submitted_while_their_scope_is_cancelled_are_over() {
    model(3, || {
        let scope = NodeRef::scope();
        are_over_whichever_comes_first(PoolConfig::local(), &scope, 2, |_| {
            scope.node().cancel(CancelReason::Request);
        });
    });
}

#[test]
fn many_tasks_submitted_in_parts_while_their_scope_is_cancelled_are_over() {
    model(2, || {
        let scope = NodeRef::scope();
        are_over_whichever_comes_first(PoolConfig::local(), &scope, 3, |_| {
            scope.node().cancel(CancelReason::Request);
        });
    });
}

#[test]
fn many_tasks_of_a_daemon_pool_submitted_while_their_scope_is_closed_are_over() {
    model(3, || {
        let scope = NodeRef::scope();
        are_over_whichever_comes_first(PoolConfig::local().daemon(), &scope, 2, |_| scope.node().close());
    });
}

#[test]
fn many_tasks_submitted_while_their_pool_is_cancelled_are_over() {
    model(3, || {
        let cancel = |pool: &Arc<Pool>| stop::cancel(pool, CancelReason::Request);
        are_over_whichever_comes_first(PoolConfig::local(), &NodeRef::PROCESS, 2, cancel);
    });
}

#[test]
fn a_refused_thread_refuses_many_tasks_or_ends_each() {
    model(1, || {
        let pool = start(PoolConfig::leased(1));
        thread::refuse(1);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                submit(&pool, 3).map_or(0, |handles| handles.into_iter().map(|one| one.join()).count())
            })
        };
        let ours = submit(&pool, 3).map_or(0, |handles| handles.into_iter().map(|one| one.join()).count());
        assert_eq!((ours % 3, other.join().unwrap() % 3), (0, 0));
        // The system has threads again.
        assert!(submit(&pool, 1).unwrap().into_iter().all(|one| one.join().is_ok()));
        assert!(end::stop(&pool, None).unwrap().is_complete());
    });
}
