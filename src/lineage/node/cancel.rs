//! Cancelling a node: the request, its delivery to the code below, and its acknowledgement.

use std::ptr;
use std::time::Instant;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::scope_trackers::ScopeTrackers;
use crate::lineage::node::state::{self, NodeState};
use crate::lineage::node::tree_node::Node;
use crate::lineage::queued::{Claims, Which};
use crate::timer::deadlines::{Owner, deadlines, earlier};
use crate::wait::waker_set::WakerSet;

impl Node {
    /// Cancels the node and everything below it. True when no earlier request is unacknowledged.
    ///
    /// Queued tasks finish as cancelled. A root is never cancelled. Runs user code: wakers, drops of closures.
    pub(crate) fn cancel(&self, reason: CancelReason) -> bool {
        let mut claims = Claims::new();
        let first = self.begin_cancel(&mut claims, reason);
        claims.end(|| self.cancelled_for(reason), || self.notify_cancelled());
        first
    }

    /// Notes the request and claims queued tasks: the first half of a [`cancel`](Self::cancel). Runs no user code.
    pub(crate) fn begin_cancel(&self, claims: &mut Claims, reason: CancelReason) -> bool {
        let first = !self.is_root() && self.state.request(reason);
        self.claim_cancelled(claims);
        first
    }

    /// Notes the request alone, and closes a scope. Takes the same short time however much is below the node, and runs no
    /// user code. The caller owes the rest: [`claim_cancelled`](Self::claim_cancelled), the claims' end, and
    /// [`notify_cancelled`](Self::notify_cancelled).
    pub(crate) fn note_cancel(&self, reason: CancelReason) {
        if let Some(trackers) = self.trackers() {
            trackers.close();
        }
        if !self.is_root() {
            self.state.request(reason);
        }
    }

    /// Claims the queued tasks of a cancelled node. Runs no user code.
    pub(crate) fn claim_cancelled(&self, claims: &mut Claims) {
        // A scope that is closed and counts no task has none in any queue. Most scopes have ended before a cancel.
        if !self.trackers().is_some_and(ScopeTrackers::is_over) {
            claims.claim(self, Which::Cancelled);
        }
    }

    /// Notifies the waiters at the node and below it of a request. Runs wakers.
    pub(crate) fn notify_cancelled(&self) {
        if self.is_root() {
            return;
        }
        self.notify();
        // Either this load sees that there is a child, or the child's own check sees the request: both are in one word.
        if self.state.had_child() {
            // A waiter below has registered at every scope above it and at the root. The nearest of these will do.
            let hub = self.path().find(|node| node.is_hub());
            if let Some(hub) = hub.filter(|hub| !ptr::eq(*hub, self)) {
                hub.notify();
            }
        }
    }

    /// Notifies the waiters registered at this node. Runs wakers.
    pub(crate) fn notify(&self) {
        self.changed.wake_all();
    }

    /// Returns the waker sets in which a waiter at this node is registered.
    ///
    /// They are woken by requests and by the node's end.
    pub(crate) fn waker_sets(&self) -> impl Iterator<Item = &WakerSet> {
        self.watched().map(|node| &node.changed)
    }

    /// Registers a waiter. Calls `keep` with its key in each of the [waker sets](Self::waker_sets).
    pub(crate) fn register(&self, keep: impl FnMut(usize)) {
        let register = |node: &Node| {
            let at = node.changed.insert();
            node.state.note_watch();
            at
        };
        self.watched().map(register).for_each(keep);
    }

    fn watched(&self) -> impl Iterator<Item = &Node> {
        self.path().enumerate().filter(|(at, node)| *at == 0 || node.is_hub()).map(|(_, node)| node)
    }

    /// Returns true for scopes and the root, at which waiters below register too.
    fn is_hub(&self) -> bool {
        self.is_root() || self.trackers().is_some()
    }

    /// Claims the queued tasks of daemon pools below a closed scope, which never start. Runs no user code.
    pub(crate) fn claim_daemons(&self, claims: &mut Claims) {
        if self.trackers().is_some_and(|trackers| trackers.daemon.count() > 0) {
            claims.claim(self, Which::Daemon);
        }
    }

    /// Notes that the table of deadlines has an entry of the node. False when the node has ended.
    pub(crate) fn note_deadline(&self) -> bool {
        self.state.note_deadline()
    }

    /// Returns the earliest deadline of this node and of those whose cancels reach it. Costs one load while no deadline of
    /// the process is set.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !deadlines().any() {
            return None;
        }
        let mut earliest = None;
        let look = |node: &Node| {
            earliest = earlier(earliest, node.own_deadline());
            node.shielded.then_some(())
        };
        self.nearest(look);
        earliest
    }

    /// Returns the deadline of this very node, or of its task's handle.
    pub(crate) fn own_deadline(&self) -> Option<Instant> {
        let own = if self.state.is_timed() { deadlines().get(Owner::Node(self.id())) } else { None };
        let of_task = self.task_id().and_then(|task| deadlines().get(Owner::Task(task)));
        earlier(own, of_task)
    }

    /// Clears this node's own request. True when there was one.
    pub(crate) fn acknowledge(&self) -> bool {
        self.state.acknowledge()
    }

    /// Returns whether a request reaches the node. Costs one load while no node of the process is cancelled.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        Self::any_cancel_requested() && self.any_delivered(NodeState::cancel_requested)
    }

    /// Returns whether any node of the process is cancelled at the moment.
    #[inline]
    pub(crate) fn any_cancel_requested() -> bool {
        state::any_cancel_requested()
    }

    /// Returns whether this very node is cancelled.
    pub(crate) fn cancel_requested(&self) -> bool {
        self.state.cancel_requested()
    }

    /// Returns the nearest request that reaches the node, with its place.
    #[cold]
    pub(crate) fn cause(&self) -> Option<Cancelled> {
        let mut cause = None;
        let look = |node: &Node| {
            cause = node.state.reason().map(|reason| node.cancelled_for(reason));
            (cause.is_some() || node.shielded).then_some(())
        };
        self.nearest(look);
        cause
    }

    /// Returns the request of this very node.
    #[cold]
    pub(crate) fn own_cause(&self) -> Option<Cancelled> {
        self.state.reason().map(|reason| self.cancelled_for(reason))
    }

    /// Returns the request behind the end of this node, or of a scope at or above it.
    #[cold]
    pub(crate) fn end_cause(&self) -> Option<Cancelled> {
        let closed = self.scope_nodes().filter(|(_, trackers)| trackers.is_closed());
        closed.map(|(node, _)| node).find_map(Self::own_cause).or_else(|| self.cause())
    }

    /// Returns the error of code that is cancelled at this node.
    #[cold]
    pub(crate) fn cancelled_for(&self, reason: CancelReason) -> Cancelled {
        Cancelled::new(self.state.reason().unwrap_or(reason), self)
    }

    /// Returns how many requests were made to this very node.
    pub(crate) fn own_requests(&self) -> u64 {
        self.state.requests()
    }

    /// Returns how many requests have reached the node. The sum changes with every request.
    pub(crate) fn requests(&self) -> u64 {
        let mut sum = 0_u64;
        self.any_delivered(|state| {
            sum = sum.wrapping_add(state.requests());
            false
        });
        sum
    }

    /// Notes that a piece of a task was handed the request that reaches this node.
    pub(crate) fn note_interrupt(&self) {
        self.any_delivered(NodeState::note_interrupt);
    }

    /// Returns whether a piece of a task was handed a request that reaches this node.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.any_delivered(NodeState::was_interrupted)
    }

    /// Returns whether `test` holds for a node whose requests reach this one. The walk ends at a shield.
    #[inline]
    fn any_delivered(&self, mut test: impl FnMut(&NodeState) -> bool) -> bool {
        let look = |node: &Node| match test(&node.state) {
            true => Some(true),
            false => node.shielded.then_some(false),
        };
        self.nearest(look).unwrap_or(false)
    }
}
