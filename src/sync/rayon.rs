//! The part of rayon that a work-stealing pool uses. The models have a small one in its place.

use std::any::Any;

use rayon_core::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

/// A rayon pool. Once it is dropped, and every job has run, its workers leave.
pub(crate) struct Rayon(ThreadPool);

/// The part of one worker, to be run on a thread.
pub(crate) struct Part(ThreadBuilder);

impl Rayon {
    /// Makes a pool of this many workers, and their parts.
    ///
    /// # Errors
    /// Rayon's own.
    pub(crate) fn new(
        workers: usize,
        on_panic: impl Fn(Box<dyn Any + Send>) + Send + Sync + 'static,
    ) -> Result<(Self, Vec<Part>), String> {
        let mut parts = Vec::with_capacity(workers);
        let made = ThreadPoolBuilder::new()
            .num_threads(workers)
            .panic_handler(on_panic)
            .spawn_handler(|part| {
                parts.push(Part(part));
                Ok(())
            })
            .build();
        made.map(|pool| (Self(pool), parts)).map_err(|error| error.to_string())
    }

    /// Spawns a job. On one of the pool's own workers that worker runs it, unless another steals it.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn(job);
    }
}

impl Part {
    /// Works until the pool has ended.
    pub(crate) fn run(self) {
        self.0.run();
    }
}
