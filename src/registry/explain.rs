//! Completes a pool's refusal: the scope that it ended with, and the running manager that it hides.

use crate::error::{Error, Refused, SubmitError, SubmitErrorKind};
use crate::lineage::handle::Lineage;
use crate::pool::core::pool::Pool;
use crate::registry::manager::PoolManager;
use crate::registry::slot;
use crate::sync::os::Arc;

impl PoolManager {
    /// Completes a refusal of its pool. Costs a look-up if the pool is closed, and nothing otherwise.
    #[cold]
    pub(crate) fn explain(&self, refusal: Error) -> Error {
        match refusal.as_submit().map(SubmitError::kind) {
            Some(SubmitErrorKind::Closed { .. }) => {
                let (ended_with, hides) = (self.ended_with(), self.hides());
                SubmitError::new(self.namespace(), SubmitErrorKind::Closed { ended_with, hides }).into()
            }
            _ => refusal,
        }
    }

    /// [`explain`](Self::explain) for a refusal with the closure.
    pub(super) fn explained<F>(&self, refused: Refused<F>) -> Refused<F> {
        let (task, reason) = refused.into_parts();
        Refused { task, reason: self.explain(reason) }
    }

    /// The pool of the last start.
    pub(super) fn started(&self) -> Result<Arc<Pool>, Error> {
        self.pool().ok_or_else(|| self.not_started())
    }

    #[cold]
    pub(super) fn not_started(&self) -> Error {
        let owner = self.owner().map(|owner| owner.to_string());
        SubmitError::new(self.namespace(), SubmitErrorKind::NotStarted { owner, hides: self.hides() }).into()
    }

    /// The owner, in words, of the nearest running manager of this name above. Look-ups find this nearer one instead.
    fn hides(&self) -> Option<String> {
        let owner = self.owner()?;
        // A manager that was replaced or removed hides nothing: no look-up finds it.
        owner.own(self.namespace()).filter(|own| own.is_same(self))?;
        let above = slot::nearest_running(owner.parent()?.0.node(), self.namespace())?;
        above.owner().as_ref().map(Lineage::to_string)
    }
}
