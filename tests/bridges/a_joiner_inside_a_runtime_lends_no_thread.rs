//! A blocking join inside a tokio runtime's context leaves the task to a worker: the task would find the runtime otherwise.
//! `run` has its closure at hand, and uses the calling thread there too.

use heirloom::{PoolConfig, PoolManager, Scope};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::common::bounded;
use crate::common::pools::{started, this_thread};

fn runtimes() -> [Runtime; 2] {
    let built = [Builder::new_current_thread().build(), Builder::new_multi_thread().worker_threads(1).build()];
    built.map(|runtime| runtime.expect("builds"))
}

/// Joins some tasks here. Each runs on another thread, and finds no runtime.
fn joins(pool: &PoolManager) {
    for _ in 0..50 {
        let task = pool.submit(|| (this_thread(), Handle::try_current().is_ok())).expect("accepted");
        let (ran_on, has_runtime) = task.join().expect("runs");
        assert_ne!(ran_on, this_thread());
        assert!(!has_runtime);
    }
}

fn with_pool(test: impl FnOnce(PoolManager) + Send + 'static) {
    bounded(|| {
        let scope = Scope::new("test");
        test(started(&scope, "pool", PoolConfig::leased(2)));
    });
}

#[test]
fn neither_does_a_future_of_either_runtime() {
    with_pool(|pool| {
        for runtime in runtimes() {
            let pool = pool.clone();
            runtime.block_on(async move { tokio::spawn(async move { joins(&pool) }).await }).expect("ends well");
        }
    });
}

#[test]
fn nor_a_blocking_thread_of_either_runtime() {
    with_pool(|pool| {
        for runtime in runtimes() {
            let pool = pool.clone();
            runtime.block_on(runtime.spawn_blocking(move || joins(&pool))).expect("ends well");
        }
    });
}

#[test]
fn nor_a_thread_that_has_entered_a_runtime_until_it_leaves() {
    with_pool(|pool| {
        for runtime in runtimes() {
            let entered = runtime.enter();
            joins(&pool);
            drop(entered);
            // Some of many: a worker may be quicker.
            let lends = |_| pool.submit(this_thread).expect("accepted").join().expect("runs") == this_thread();
            assert!((0..10_000).any(lends));
        }
    });
}

#[test]
fn a_run_uses_the_calling_thread_there_too() {
    with_pool(|pool| {
        for runtime in runtimes() {
            let _entered = runtime.enter();
            let ran = pool.run(|| (this_thread(), Handle::try_current().is_ok()));
            assert_eq!(ran.expect("runs"), (this_thread(), true));
        }
    });
}
