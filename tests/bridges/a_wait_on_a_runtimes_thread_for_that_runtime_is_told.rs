//! With the feature `tokio`: a wait on a runtime's thread for a task that needs that runtime is refused with the circle.
//!
//! This holds in both orders. A wait that leaves the runtime a worker is not refused.

use std::sync::mpsc;

use heirloom::{PoolConfig, PoolManager, Portal, Scope, TaskHandle};
use tokio::runtime::{Builder, Runtime};

use crate::common::pools::started;
use crate::common::{bounded, eventually};

fn runtime(workers: usize) -> Runtime {
    let mut builder = if workers == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(workers.max(1)).build().expect("a runtime starts")
}

/// A task that uses the runtime at a signal.
fn needs(pool: &PoolManager, go: mpsc::Receiver<()>) -> TaskHandle<bool> {
    let portal = Portal::current().expect("in a runtime");
    let task = pool.submit(move || {
        let _ = go.recv();
        portal.block_on(async { 7 }).is_ok()
    });
    task.expect("accepted")
}

/// Blocks on such a task, which uses the runtime before or after.
fn block(pool: &PoolManager, asks_first: bool) -> Result<bool, heirloom::Error> {
    let (go, gate) = mpsc::channel();
    let task = needs(pool, gate);
    if asks_first {
        drop(go);
        eventually("it waits", || pool.stats().waiting == 1);
        return task.join();
    }
    // The join begins meanwhile.
    let later = std::thread::spawn(move || drop(go));
    let out = task.join();
    later.join().expect("ends");
    out
}

#[test]
fn a_join_on_the_only_thread_of_a_runtime_is_told() {
    bounded(|| {
        for asks_first in [true, false] {
            let scope = Scope::new("test");
            let pool = started(&scope, "work", PoolConfig::leased(1));
            let told = runtime(0).block_on(async { block(&pool, asks_first) }).expect_err("the runtime stands still");
            let circle = told.circle().unwrap_or_else(|| panic!("{told}"));
            assert_eq!(circle.links().len(), 2, "{circle}");
            assert!(circle.to_string().contains("which is worker 0 of the tokio runtime"), "{circle}");
            assert!(circle.to_string().contains("a future behind a portal"), "{circle}");
        }
    });
}

#[test]
fn the_task_goes_on_when_the_join_was_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        runtime(0).block_on(async {
            assert!(block(&pool, true).is_err());
            pool.wait_idle_async().await.expect("from outside");
        });
        assert_eq!(pool.stats().completed, 1);
    });
}

#[test]
fn a_join_on_the_last_worker_that_does_not_wait_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let runtime = runtime(1);
        let work = pool.clone();
        let told = runtime.block_on(async { tokio::spawn(async move { block(&work, true) }).await.expect("ends") });
        assert!(told.is_err_and(|error| error.kind() == heirloom::ErrorKind::WouldDeadlock));
    });
}

#[test]
fn a_join_that_leaves_the_runtime_a_worker_is_let_be() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        // The thread in `block_on` is no worker.
        assert!(runtime(1).block_on(async { block(&pool, false) }).expect("the worker is free"));
        let runtime = runtime(2);
        let work = pool.clone();
        let out = runtime.block_on(async { tokio::spawn(async move { block(&work, false) }).await.expect("ends") });
        assert!(out.expect("the other worker is free"));
    });
}

#[test]
fn a_join_where_blocking_is_fine_is_let_be() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let runtime = runtime(1);
        let work = pool.clone();
        let blocking = tokio::task::spawn_blocking;
        let out = runtime.block_on(async { blocking(move || block(&work, false)).await.expect("ends") });
        assert!(out.expect("no worker waits"));
        let in_place = async move { tokio::task::block_in_place(|| block(&pool, false)) };
        let out = runtime.block_on(async { tokio::spawn(in_place).await.expect("ends") });
        assert!(out.expect("its worker goes on elsewhere"));
    });
}
