//! The remote kind: no threads here. Each task is a promise, which the other processes keep.

use std::any::Any;
use std::io;

use crate::pool::config::PoolConfig;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::sync::os::Arc;
use crate::threads::job::{Job, WorkerHandle};
use crate::wire::engine::QueueLimits;

pub(super) struct Remote;

impl Remote {
    /// Makes sure that the queue is there.
    pub(super) fn new(config: &PoolConfig) -> Self {
        if let Some(remote) = &config.rare().remote {
            let limits = QueueLimits { running: config.limit(), queued: config.rare().queue_limit };
            remote.queue.declare(Some(limits), drop);
        }
        Self
    }
}

impl Kind<Pool> for Remote {
    fn request_thread(&self, _pool: &Arc<Pool>) -> io::Result<()> {
        Err(io::Error::other("a remote pool has no threads here"))
    }

    fn work(&self, _pool: &Arc<Pool>, _worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        None
    }

    fn refused(&self, _pool: &Arc<Pool>, _error: &io::Error) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}
