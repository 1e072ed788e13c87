//! [`ScopeTrackers`]: how a scope counts its tasks.

use crate::lineage::node::scope_share::ScopeShare;
use crate::wait::tracker::TaskTracker;

/// Trackers of the tasks that were submitted at or below a scope, in any pool.
///
/// There are two, because the scope's end waits for one of them only.
pub(crate) struct ScopeTrackers {
    /// Counts tasks of joining pools.
    pub(crate) joining: TaskTracker,
    /// Counts tasks of daemon pools.
    pub(crate) daemon: TaskTracker,
    pub(crate) share: ScopeShare,
}

impl ScopeTrackers {
    pub(crate) fn new() -> Self {
        Self { joining: TaskTracker::new(), daemon: TaskTracker::new(), share: ScopeShare::new() }
    }

    #[inline]
    pub(crate) fn of(&self, joins: bool) -> &TaskTracker {
        if joins { &self.joining } else { &self.daemon }
    }

    pub(crate) fn close(&self) {
        self.joining.close();
        self.daemon.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.joining.is_closed()
    }

    /// Returns true when both trackers are closed and empty, which is final.
    pub(crate) fn is_over(&self) -> bool {
        self.joining.is_ended() && self.daemon.is_ended()
    }

    pub(crate) fn count(&self) -> usize {
        self.joining.count() + self.daemon.count()
    }
}
