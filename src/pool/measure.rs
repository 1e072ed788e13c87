//! A pool's page in its family's ledger (feature `metrics`).

use crate::lineage::family::{Family, SlotValue};
use crate::pool::inner::Pool;
use crate::sync::os::{Arc, Weak};
use crate::sync::weak_list::Registration;
use crate::totals::Ends;

/// Where a pool is listed while it lives, and written down when it is gone.
pub(crate) struct Measured {
    family: Family,
    _listed: Registration<SlotValue>,
}

impl Pool {
    /// Enters the family's list. Once, before the first task.
    pub(crate) fn measure(self: &Arc<Self>, family: &Family) {
        let this: Weak<Self> = Arc::downgrade(self);
        let listed = family.index().totals.pools.insert(this);
        let _ = self.measured.set(Measured { family: family.clone(), _listed: listed });
    }

    /// How its tasks ended so far.
    pub(crate) fn ends(&self) -> Ends {
        let stats = self.stats();
        Ends {
            completed: stats.completed,
            interrupted: stats.interrupted,
            panicked: stats.panicked,
            cancelled: stats.cancelled,
            refused: stats.refused,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(measured) = self.measured.get() {
            let totals = &measured.family.index().totals;
            totals.write(&self.namespace, self.config.task_type.as_ref(), self.ends());
        }
    }
}
