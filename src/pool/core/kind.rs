//! [`Kind`]: the source of a pool's threads.
//!
//! The trait is generic over the pool, which holds its kind, so that this file knows no pool.

use std::any::Any;
use std::io;

use crate::error::TaskError;
use crate::names::id::TaskId;
use crate::pool::config::worker_state::StateType;
use crate::pool::core::notifier::Notifier;
use crate::sync::os::Arc;
use crate::threads::job::{Job, WorkerHandle};
use crate::wait::waker_set::WakerSet;

/// The source of a pool's threads. The kinds of pool differ nowhere else.
///
/// The pool calls its kind for each thread request and at its end, not for each task.
pub(crate) trait Kind<P>: Send + Sync {
    /// Requests a thread for an acquired permit.
    ///
    /// # Errors
    /// The system's, when no thread comes.
    fn request_thread(&self, pool: &Arc<P>) -> io::Result<()>;

    /// Works with an acquired permit, on a requested thread.
    fn work(&self, pool: &Arc<P>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>>;

    /// No thread comes for a request. The permit is the pool's again.
    fn refused(&self, pool: &Arc<P>, error: &io::Error);

    /// Another thread than the pool's own released the last permit.
    fn rest(&self, _pool: &P) {}

    /// A thread of the pool's own has become idle, or ends.
    fn let_go(&self, _pool: &Arc<P>, _ends: bool) {}

    /// A thread is about to look at the queue, although no permit is acquired.
    fn has_ready_thread(&self) -> bool {
        false
    }

    /// Notifies the one thread that runs the tasks; `None` where submitters request threads.
    fn notifier(&self) -> Option<&Notifier> {
        None
    }

    /// The pool refuses new tasks from now on.
    fn closed(&self) {}

    /// All accepted tasks of a closed pool have finished.
    fn tasks_ended(&self, _pool: &P) {}

    /// The pool has ended: threads of its own end too.
    fn dismiss(&self) {}

    /// Threads of the pool's own have ended, or have gone back to their cache.
    fn is_gone(&self) -> bool {
        true
    }

    /// Wakers of the waits for [`is_gone`](Self::is_gone); `None` where that is always true.
    fn gone(&self) -> Option<&WakerSet> {
        None
    }

    /// Waits, after `is_gone`, until the system has ended the threads.
    fn join_gone(&self) {}

    /// Abandoned initialisers that have not returned.
    fn abandoned(&self) -> usize {
        0
    }

    /// The type of the state that each worker lends to tasks.
    fn state_type(&self) -> Option<StateType> {
        None
    }

    /// Prepares the calling thread's state for a task.
    ///
    /// # Errors
    /// The task's, which then does not start.
    fn ready_state(&self, _pool: &P, _task: TaskId) -> Result<(), TaskError> {
        Ok(())
    }

    /// A task further out on this stack uses the calling thread's state.
    fn state_is_lent(&self) -> bool {
        false
    }

    /// Drops the state that a task lost by a panic.
    fn after_panic(&self) {}

    /// The calling thread lost its state and could not make another one.
    fn has_failed(&self) -> bool {
        false
    }

    /// A worker of the rayon pool `number` begins to wait. `has_task`: in a task of its own, not in a piece of one.
    fn begin_wait(&self, _pool: &Arc<P>, _number: u64, _has_task: bool) {}

    /// The wait of [`begin_wait`](Self::begin_wait) ends.
    fn end_wait(&self, _pool: &Arc<P>, _number: u64, _has_task: bool) {}

    /// The kind itself, for code above the engine that knows its type.
    fn as_any(&self) -> &dyn Any;
}
