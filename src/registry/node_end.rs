//! Closes or cancels a node, with the pools that it owns; [`Lineage::cancel`].

use crate::error::CancelReason;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeKind, NodeRef};
use crate::lineage::queued::Claims;
use crate::pool::core::pool::Pool;
use crate::pool::report::CancelOutcome;
use crate::pool::run::evict::Evicted;
use crate::pool::run::stop;
use crate::registry::manager::PoolManager;
use crate::registry::slot;
use crate::sync::os::Arc;

/// Closes the trackers of a scope. A node of another kind has none.
fn close(node: &Node) {
    if let Some(trackers) = node.trackers() {
        trackers.close();
    }
}

/// Cancels a node and the queued tasks below it, and the pools that it owns if it is a scope. True for the first request.
pub(super) fn cancel(at: &NodeRef, reason: CancelReason) -> bool {
    close(at.node());
    let mut claims = Claims::new();
    let first = at.node().begin_cancel(&mut claims, reason);
    finish_cancel(at, reason, claims);
    first
}

/// Cancels what is below a scope at its deadline, whose request is noted: the second half of a [`cancel`].
pub(super) fn carry_deadline(at: NodeRef) {
    carry(&at);
    at.node().end_if_over();
}

/// As [`carry_deadline`], where a future still stands in the scope: its owner ends the scope.
pub(crate) fn carry(at: &NodeRef) {
    let mut claims = Claims::new();
    at.node().claim_cancelled(&mut claims);
    finish_cancel(at, CancelReason::Deadline, claims);
}

fn finish_cancel(at: &NodeRef, reason: CancelReason, mut claims: Claims) {
    let node = at.node();
    let cause = || node.cancelled_for(reason);
    if node.trackers().is_none() {
        claims.end(cause, || node.notify_cancelled());
        return;
    }
    // Also the tasks below a shielded thread, which no request from above reaches.
    node.claim_daemons(&mut claims);
    let pools = pools_that_end_with(&Lineage(at.clone()));
    if claims.is_empty() && pools.is_empty() {
        node.notify_cancelled();
        return;
    }
    let (cause, mut evicted) = (cause(), Evicted::new());
    evicted.add_all(claims, &cause);
    stop::cancel_all(&pools, evicted, &|_| cause.clone(), &mut || node.notify_cancelled());
}

pub(super) fn pools_of(at: &Lineage) -> Vec<Arc<Pool>> {
    slot::all(at.0.node()).filter_map(|manager| manager.pool()).collect()
}

/// The pools that a scope owns, noted as ending with it.
pub(super) fn pools_that_end_with(at: &Lineage) -> Vec<Arc<Pool>> {
    if at.0.node().managers.is_empty() {
        return Vec::new();
    }
    let pool = |manager: PoolManager| {
        manager.ends_with(at);
        manager.pool()
    };
    slot::all(at.0.node()).filter_map(pool).collect()
}

impl Lineage {
    /// Cancels the code at this node and below it. Does not wait.
    ///
    /// For a scope this is [`Scope::cancel`](crate::Scope::cancel). A thread or a task sees the request at its next
    /// [`checkpoint`](crate::checkpoint). The queued tasks that were submitted below the node have ended as cancelled when
    /// this returns, in any pool. Nothing else is refused or closed: the pools that a thread or a task owns go on until
    /// their owner ends.
    ///
    /// Returns whether the request is new; the process cannot be cancelled. Costs as
    /// [`Scope::cancel`](crate::Scope::cancel).
    ///
    /// ```
    /// use heirloom::{CancelOutcome, Lineage, Scope, thread};
    ///
    /// let request = Scope::new("request 7");
    /// let (stands, place) = std::sync::mpsc::channel();
    /// let reader = request.run(|| thread::spawn(move || {
    ///     stands.send(heirloom::current()).unwrap();
    ///     heirloom::sleep(std::time::Duration::from_secs(3600))
    /// }))?;
    /// let reader_at = place.recv().unwrap();
    /// assert_eq!(reader_at.cancel(), CancelOutcome::Requested);
    /// assert!(reader.join()?.is_err());
    /// assert!(!request.is_cancelled()); // downward only
    /// assert_eq!(Lineage::process().cancel(), CancelOutcome::NotCancellable);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn cancel(&self) -> CancelOutcome {
        self.cancel_for(CancelReason::Request)
    }

    /// As [`cancel`](Self::cancel), for that reason.
    pub(crate) fn cancel_for(&self, reason: CancelReason) -> CancelOutcome {
        let node = self.0.node();
        match node.kind() {
            NodeKind::Process => CancelOutcome::NotCancellable,
            NodeKind::Scope if node.is_over() => {
                // No task is counted below it, but threads and futures may stand there.
                cancel(&self.0, reason);
                CancelOutcome::AlreadyFinished
            }
            _ if node.is_over() => CancelOutcome::AlreadyFinished,
            _ => {
                let outcome = CancelOutcome::of(cancel(&self.0, reason));
                node.end_if_over();
                outcome
            }
        }
    }
}
