//! [`Shares`]: how many queued tasks each tenant of a fair pool has, where the pool bounds them.
//!
//! Only pools with [`queue_limit_each`](crate::PoolConfig::queue_limit_each) have the table. A tenant without queued tasks is not
//! in it.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::pool::core::turns::{KEEP, Mix};
use crate::sync::os::Mutex;

/// Why a submitter acquired no capacity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Queue,
    /// The submitter's tenant is at its limit.
    Tenant,
}

/// The numbers of queued tasks by tenants.
pub(super) struct Shares {
    limit: usize,
    queued: Mutex<HashMap<usize, usize, BuildHasherDefault<Mix>>>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, queued: Mutex::new(HashMap::default()) }
    }

    /// Counts tasks that are about to be queued, if the tenant stays within its limit and `acquire` succeeds. Both happen in
    /// one step, so a refused submitter takes nothing that another one would miss.
    pub(super) fn try_acquire(&self, tenant: usize, tasks: usize, acquire: impl FnOnce() -> bool) -> Result<(), Full> {
        let mut queued = self.queued.lock();
        let before = queued.get(&tenant).copied().unwrap_or(0);
        if tasks > self.limit.saturating_sub(before) {
            return Err(Full::Tenant);
        }
        if !acquire() {
            return Err(Full::Queue);
        }
        queued.insert(tenant, before + tasks);
        Ok(())
    }

    pub(super) fn has_some(&self, tenant: usize) -> bool {
        self.queued.lock().get(&tenant).is_none_or(|tasks| *tasks < self.limit)
    }

    /// Counts a task that is no longer queued.
    pub(super) fn release(&self, tenant: usize) {
        let mut queued = self.queued.lock();
        let Some(tasks) = queued.get_mut(&tenant) else { return };
        *tasks -= 1;
        if *tasks == 0 {
            queued.remove(&tenant);
            // A burst of tenants leaves no memory behind.
            let used = queued.len();
            if queued.capacity() > KEEP.max(4 * used) {
                queued.shrink_to(2 * used);
            }
        }
    }
}
