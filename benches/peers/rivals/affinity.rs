//! affinitypool: `spawn` and `block_on`.

use affinitypool::Threadpool;
use futures::executor::block_on;

use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Affinity(Threadpool);

impl Pool for Affinity {
    const NAME: &'static str = "affinitypool";

    fn start() -> Self {
        Self(Threadpool::new(WORKERS))
    }

    fn round_trip(&self) {
        block_on(self.0.spawn(noop));
    }

    fn flood(&self, tasks: usize) {
        let handles: Vec<_> = (0..tasks).map(|_| self.0.spawn(noop)).collect();
        block_on(async {
            for handle in handles {
                handle.await;
            }
        });
    }

    fn stop(self) {
        // Waits for the workers' threads.
        drop(self.0);
    }
}
