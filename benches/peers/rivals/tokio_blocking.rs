//! tokio: `spawn_blocking` and `block_on`, on the runtime that is quickest to make.

use tokio::runtime::{Builder, Runtime};

use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Tokio(Runtime);

impl Pool for Tokio {
    const NAME: &'static str = "tokio";

    fn start() -> Self {
        Self(Builder::new_current_thread().max_blocking_threads(WORKERS).build().expect("a runtime"))
    }

    fn round_trip(&self) {
        self.0.block_on(self.0.spawn_blocking(noop)).expect("the task ends well");
    }

    fn flood(&self, tasks: usize) {
        let handles: Vec<_> = (0..tasks).map(|_| self.0.spawn_blocking(noop)).collect();
        futures::executor::block_on(async {
            for handle in handles {
                handle.await.expect("the task ends well");
            }
        });
    }

    fn stop(self) {
        // Waits for the threads of `spawn_blocking`.
        drop(self.0);
    }
}
