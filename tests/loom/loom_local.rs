//! A local pool: its thread sleeps only while no task is queued, and every handle resolves when the pool is dropped.
//! The pool, its notifier and the loop of its thread are the engine's own.

use crate::error::CancelReason;
use crate::model::{model, start};
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::submit;
use crate::pool::kinds::local::LocalPool;
use crate::pool::run::stop;
use crate::sync::os::{Arc, thread};

fn local() -> (Arc<Pool>, LocalPool) {
    let pool = start(PoolConfig::local());
    (Arc::clone(&pool), LocalPool::new(pool))
}

/// Submits and waits for the result, on another thread.
fn asks(pool: &Arc<Pool>, n: u32) -> impl FnOnce() -> Option<u32> + Send + 'static {
    let pool = Arc::clone(pool);
    move || match submit::submit_static(&pool, None, move || n) {
        Ok(task) => task.join().ok(),
        Err(_closed) => None,
    }
}

#[test]
fn a_sleeping_thread_is_woken_by_a_task_and_by_the_end() {
    model(2, || {
        let (pool, local) = local();
        let asks = asks(&pool, 7);
        let other = thread::spawn(move || {
            assert_eq!(asks(), Some(7));
            stop::close(&pool, CancelReason::OwnerEnd);
        });
        assert_eq!(local.run_until_stopped().completed, 1);
        other.join().unwrap();
    });
}

#[test]
fn a_future_of_another_thread_wakes_it() {
    model(2, || {
        let (pool, local) = local();
        let work = start(PoolConfig::leased(1));
        let asks = asks(&pool, 7);
        let task = submit::submit_static(&work, None, asks).ok().unwrap();
        assert_eq!(local.run_until(task).unwrap(), Some(7));
        assert!(end::stop(&work, None).unwrap().is_complete());
    });
}

#[test]
fn its_drop_resolves_what_is_queued_and_refuses_the_rest() {
    model(2, || {
        let (pool, local) = local();
        let other = thread::spawn(asks(&pool, 7));
        drop(local);
        assert_eq!(other.join().unwrap(), None);
        assert!(pool.is_over());
    });
}

#[test]
fn a_join_here_and_a_cancel_elsewhere_agree() {
    model(3, || {
        let (pool, local) = local();
        let task = Arc::new(submit::submit_static(&pool, None, || 7).ok().unwrap());
        let other = {
            let task = Arc::clone(&task);
            thread::spawn(move || _ = task.cancel())
        };
        let ran = local.run_pending();
        other.join().unwrap();
        let task = Arc::into_inner(task).unwrap();
        assert_eq!(task.join().is_ok(), ran == 1);
        drop(local);
    });
}
