//! Closes or cancels a node, with the pools that it owns; [`Lineage::cancel`].

use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeKind, NodeRef};
use crate::lineage::queued::Claims;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::task::CancelOutcome;
use crate::pool::run::evict::Evicted;
use crate::registry::manager::PoolManager;
use crate::registry::slot;
use crate::sync::os::Arc;

/// Nothing more is accepted below a place, if it is a scope.
fn close(node: &Node) {
    if let Some(trackers) = node.trackers() {
        trackers.close();
    }
}

/// Asks a place to stop, ends what is queued below it, and ends the pools it owns if it is a scope. True for the first
/// request.
pub(super) fn cancel(place: &NodeRef) -> bool {
    let node = place.node();
    close(node);
    let mut claims = Claims::new();
    let first = node.begin_cancel(&mut claims);
    if node.trackers().is_none() {
        claims.end(|| node.tell_request());
        return first;
    }
    // Also those below a shielded thread, which hears no request from above.
    node.claim_daemons(&mut claims);
    let mut evicted = Evicted::new();
    evicted.add_all(claims);
    end::cancel_all(&pools_that_end_with(&Lineage(place.clone())), evicted, || node.tell_request());
    first
}

pub(super) fn pools_of(at: &Lineage) -> Vec<Arc<Pool>> {
    slot::all(at.0.node()).filter_map(|manager| manager.pool()).collect()
}

/// The pools that a scope owns, which end with it.
pub(super) fn pools_that_end_with(at: &Lineage) -> Vec<Arc<Pool>> {
    let pool = |manager: PoolManager| {
        manager.ends_with(at);
        manager.pool()
    };
    slot::all(at.0.node()).filter_map(pool).collect()
}

impl Lineage {
    /// As [`cancel`](Self::cancel), but what is queued stays so: of a user's this runs wakers alone. For the timer's
    /// thread, before whoever has the scope cancels it.
    #[cfg(feature = "tower")]
    pub(crate) fn request_stop(&self) {
        close(self.0.node());
        self.0.node().request_cancel();
    }

    /// Asks what stands here, and everything below, to stop. Does not wait.
    ///
    /// Of a scope this is [`Scope::cancel`]. A thread or a task notices where it looks
    /// ([`checkpoint`](crate::checkpoint)). The tasks that it submitted as a node and that are queued have ended when this
    /// returns, in any pool, as for a scope. Nothing else is refused or closed: a thread's or a task's own pools go on,
    /// until it ends.
    ///
    /// ```
    /// use heirloom::{CancelOutcome, Lineage, Scope, thread};
    ///
    /// let request = Scope::new("request 7");
    /// let (stands, place) = std::sync::mpsc::channel();
    /// let reader = request.run(|| thread::spawn(move || {
    ///     stands.send(heirloom::current()).unwrap();
    ///     heirloom::sleep(std::time::Duration::from_secs(3600))
    /// }));
    /// let reader_at = place.recv().unwrap();
    /// assert_eq!(reader_at.cancel(), CancelOutcome::Requested);
    /// assert!(reader.join().unwrap().is_err());
    /// assert!(!request.is_cancelled()); // downward only
    /// assert_eq!(Lineage::process().cancel(), CancelOutcome::NotCancellable);
    /// ```
    pub fn cancel(&self) -> CancelOutcome {
        let node = self.0.node();
        match node.kind() {
            NodeKind::Process => CancelOutcome::NotCancellable,
            NodeKind::Scope if node.is_over() => {
                // Nothing is counted below it, but threads and futures may stand there.
                cancel(&self.0);
                CancelOutcome::AlreadyFinished
            }
            _ if node.is_over() => CancelOutcome::AlreadyFinished,
            _ => {
                let outcome = CancelOutcome::of(cancel(&self.0));
                node.end_if_over();
                outcome
            }
        }
    }
}
