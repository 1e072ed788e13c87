//! The dedicated kind: threads of a pool's own, with an initialiser and a state each.

mod count;
pub(crate) mod here;
pub(crate) mod init;
pub(crate) mod own;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod warm;

use std::any::Any;
use std::io;

use crate::error::TaskError;
use crate::error::worker_init::WorkerInitFailed;
use crate::names::id::TaskId;
use crate::pool::config::worker_state::StateType;
use crate::pool::context::thread::WorkerPurpose;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::own::Dedicated;
use crate::pool::kinds::dedicated::state::Unstated;
use crate::pool::run::{dispatch, worker};
use crate::sync::os::Arc;
use crate::threads::job::{Job, WorkerHandle};
use crate::wait::waker_set::WakerSet;

impl Kind<Pool> for Dedicated {
    fn request_thread(&self, pool: &Arc<Pool>) -> io::Result<()> {
        self.cache.request_thread(Arc::clone(pool) as _)
    }

    fn work(&self, pool: &Arc<Pool>, hand: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        if start::prepare(self, pool, hand, WorkerPurpose::ForTask) { worker::work(pool, hand) } else { None }
    }

    fn refused(&self, pool: &Arc<Pool>, error: &io::Error) {
        dispatch::refused(pool, error);
    }

    fn let_go(&self, pool: &Arc<Pool>, ends: bool) {
        start::let_go(pool, ends);
    }

    fn has_ready_thread(&self) -> bool {
        self.warm.as_ref().is_some_and(|warm| warm.alive() > self.cache.waiting())
    }

    fn closed(&self) {
        self.warm.iter().for_each(|warm| warm.stop_waiting());
    }

    fn tasks_ended(&self, pool: &Pool) {
        start::abandon_initialisers(self, pool);
    }

    fn dismiss(&self) {
        self.cache.dismiss();
    }

    fn is_gone(&self) -> bool {
        self.cache.is_gone()
    }

    fn gone(&self) -> Option<&WakerSet> {
        Some(self.cache.gone())
    }

    fn join_gone(&self) {
        self.cache.join_gone();
    }

    fn abandoned(&self) -> usize {
        self.warm.as_ref().map_or(0, |warm| warm.abandoned())
    }

    fn state_type(&self) -> Option<StateType> {
        self.states.as_ref().map(|states| states.state_type())
    }

    fn ready_state(&self, pool: &Pool, task: TaskId) -> Result<(), TaskError> {
        let Some(states) = &self.states else { return Ok(()) };
        states.ready().map_err(|unstated| match unstated {
            Unstated::InUse => TaskError::state_in_use(task, &pool.namespace),
            Unstated::Failed(error) => {
                start::state_failed(pool, &error);
                TaskError::no_thread(task, &pool.namespace, &WorkerInitFailed(error).into())
            }
        })
    }

    fn state_is_lent(&self) -> bool {
        state::is_lent()
    }

    fn after_panic(&self) {
        state::drop_lost();
    }

    fn has_failed(&self) -> bool {
        state::has_failed()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
