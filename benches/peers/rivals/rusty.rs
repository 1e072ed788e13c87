//! rusty_pool: `evaluate` and `await_complete`.

use std::time::Duration;

use rusty_pool::{JoinHandle, ThreadPool};

use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Rusty(ThreadPool);

impl Pool for Rusty {
    const NAME: &'static str = "rusty_pool";

    fn start() -> Self {
        Self(ThreadPool::new(WORKERS, WORKERS, Duration::from_secs(60)))
    }

    fn round_trip(&self) {
        self.0.evaluate(noop).await_complete();
    }

    fn flood(&self, tasks: usize) {
        let handles: Vec<JoinHandle<()>> = (0..tasks).map(|_| self.0.evaluate(noop)).collect();
        handles.into_iter().for_each(JoinHandle::await_complete);
    }

    fn stop(self) {
        // Waits until the workers are idle; their threads end some time after it.
        self.0.shutdown_join();
    }
}
