//! futures' `ThreadPool`: `spawn_with_handle` and `block_on`.

use futures::executor::{ThreadPool, block_on};
use futures::task::SpawnExt;

use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Futures(ThreadPool);

impl Pool for Futures {
    const NAME: &'static str = "futures";

    fn start() -> Self {
        Self(ThreadPool::builder().pool_size(WORKERS).create().expect("a pool"))
    }

    fn round_trip(&self) {
        block_on(self.0.spawn_with_handle(async { noop() }).expect("the pool runs"));
    }

    fn flood(&self, tasks: usize) {
        let submit = |_| self.0.spawn_with_handle(async { noop() }).expect("the pool runs");
        let handles: Vec<_> = (0..tasks).map(submit).collect();
        block_on(async {
            for handle in handles {
                handle.await;
            }
        });
    }

    fn stop(self) {
        // Tells the workers to end and does not wait for it: the crate offers nothing else.
        drop(self.0);
    }
}
