//! The remote kind: no threads here. Each task is a promise, which the other processes keep.

use std::any::Any;
use std::io;

use crate::pool::config::PoolConfig;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::sync::os::Arc;
use crate::threads::job::{Job, WorkerHandle};
use crate::wire::engine::{Answer, QueueLimits};
use crate::wire::fault::Fault;

pub(super) struct Remote;

impl Remote {
    /// Makes sure that the queue is there. A fault is logged, and again the answer of each job that is sent.
    pub(super) fn new(config: &PoolConfig) -> Self {
        if let Some(remote) = &config.rare().remote {
            let limits = QueueLimits { running: config.limit(), queued: config.rare().queue_limit };
            let queue = remote.queue.clone();
            let declared = move |declared: Result<(), Fault>| {
                if let Err(fault) = declared.as_ref()
                    && *fault != Fault::Away
                {
                    tracing::warn!(queue = %queue.name, engine = queue.link.engine.describe(), "heirloom: no queue: {fault}");
                }
            };
            remote.queue.link.engine.declare(&remote.queue.name, Some(limits), Answer::new(declared));
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
