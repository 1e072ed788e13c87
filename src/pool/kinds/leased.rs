//! The leased kind: threads borrowed from the process-wide cache.

use std::any::Any;
use std::io;

use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::run::{dispatch, worker};
use crate::sync::os::Arc;
use crate::threads;
use crate::threads::job::{Job, WorkerHandle};

pub(super) struct Leased;

impl Kind<Pool> for Leased {
    fn request_thread(&self, pool: &Arc<Pool>) -> io::Result<()> {
        threads::leased().request_thread(Arc::clone(pool) as _)
    }

    fn work(&self, pool: &Arc<Pool>, hand: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        if worker::arrive(pool, hand) { worker::work(pool, hand) } else { None }
    }

    fn refused(&self, pool: &Arc<Pool>, error: &io::Error) {
        dispatch::refused(pool, error);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
