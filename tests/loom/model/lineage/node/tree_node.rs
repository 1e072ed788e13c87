//! Stands in for `tree_node` and `cancel`: a node has no slots and is in no index, and no listener watches it. A cancel request
//! is one flag, without an account of those above.

use std::borrow::Cow;
use std::fmt;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::{NodeRef, Role, ScopeTrackers};
use crate::lineage::queued::{Claims, ListingNode, QueuedTasks, Which};
use crate::names::id::NodeId;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::os::Arc;

pub(crate) trait OnMaterialize {
    fn materialized(&self, node: &Arc<Node>);
}

pub(crate) struct Node {
    parent: Option<Arc<Node>>,
    role: Role,
    pub(super) scopes: u32,
    /// `None` for the process, which outlives the executions of a model.
    below_root: Option<BelowRoot>,
}

struct BelowRoot {
    cancelled: AtomicBool,
    queued: QueuedTasks<Node>,
}

static PROCESS: Node = Node { parent: None, role: Role::Process, scopes: 0, below_root: None };

pub(crate) fn process() -> &'static Node {
    &PROCESS
}

impl Node {
    pub(super) fn new_child(
        parent: Option<Arc<Node>>,
        _: Option<Cow<'static, str>>,
        role: Role,
        _shielded: bool,
    ) -> Arc<Self> {
        let above = parent.as_ref().map_or(0, |parent| parent.scopes);
        let scopes = above + u32::from(matches!(role, Role::Scope(_)));
        let below_root = BelowRoot { cancelled: AtomicBool::new(false), queued: QueuedTasks::new(parent.is_none()) };
        Arc::new(Self { parent, role, scopes, below_root: Some(below_root) })
    }

    /// No code compares nodes by it.
    pub(crate) fn id(&self) -> NodeId {
        NodeId::next()
    }

    pub(crate) fn is_root(&self) -> bool {
        self.below_root.is_none()
    }

    pub(crate) fn parent(&self) -> Option<&Node> {
        if self.is_root() { None } else { Some(self.parent.as_deref().unwrap_or(&PROCESS)) }
    }

    pub(super) fn counted_parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref()
    }

    pub(crate) fn trackers(&self) -> Option<&ScopeTrackers> {
        match &self.role {
            Role::Scope(trackers) => Some(trackers),
            _ => None,
        }
    }

    pub(crate) fn queued(&self) -> &QueuedTasks<Node> {
        &self.below_root.as_ref().expect("the process lists nothing").queued
    }

    fn requested(&self) -> Option<&AtomicBool> {
        self.below_root.as_ref().map(|node| &node.cancelled)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.path().any(Node::cancel_requested)
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        self.requested().is_some_and(|requested| requested.load(Ordering::Acquire))
    }

    /// True for the first.
    pub(crate) fn cancel(&self, reason: CancelReason) -> bool {
        let mut claims = Claims::new();
        let first = self.begin_cancel(&mut claims, reason);
        claims.end(|| Cancelled::new(reason, self), || self.notify_cancelled());
        first
    }

    pub(crate) fn begin_cancel(&self, claims: &mut Claims, _: CancelReason) -> bool {
        let first = self.requested().is_some_and(|requested| !requested.swap(true, Ordering::SeqCst));
        if !self.is_root() {
            claims.claim(self, Which::Cancelled);
        }
        first
    }

    pub(crate) fn note_cancel(&self, _: CancelReason) {
        self.requested().inspect(|requested| requested.store(true, Ordering::SeqCst));
    }

    pub(crate) fn claim_cancelled(&self, claims: &mut Claims) {
        claims.claim(self, Which::Cancelled);
    }

    pub(crate) fn cancelled_for(&self, reason: CancelReason) -> Cancelled {
        Cancelled::new(reason, self)
    }

    pub(crate) fn note_deadline(&self) -> bool {
        true
    }

    /// No model asks for the reason.
    pub(crate) fn cause(&self) -> Option<Cancelled> {
        self.is_cancelled().then(|| Cancelled::new(CancelReason::Request, self))
    }

    pub(crate) fn notify_cancelled(&self) {}

    /// Acknowledges the request.
    pub(crate) fn acknowledge(&self) {
        self.requested().inspect(|requested| requested.store(false, Ordering::SeqCst));
    }

    /// Closes the scope.
    pub(crate) fn close(&self) {
        self.trackers().inspect(|trackers| trackers.close());
        let mut claims = Claims::new();
        claims.claim(self, Which::Daemon);
        claims.end(|| Cancelled::new(CancelReason::OwnerEnd, self), || {});
    }

    pub(crate) fn end(&self) {}

    pub(crate) fn end_worker(&self) {}

    pub(crate) fn end_if_over(&self) {}

    pub(crate) fn is_over(&self) -> bool {
        false
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node")
    }
}

impl ListingNode for Node {
    fn queued(&self) -> &QueuedTasks<Node> {
        Node::queued(self)
    }

    fn parent_below_root(&self) -> Option<&Arc<Node>> {
        self.counted_parent()
    }

    fn is_shielded(&self) -> bool {
        false
    }

    fn cancel_requested(&self) -> bool {
        Node::cancel_requested(self)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(node) = &mut self.below_root {
            node.queued.deregister(self.parent.as_deref());
        }
    }
}

impl NodeRef {
    pub(crate) fn scope() -> Self {
        Self::PROCESS.scope_below()
    }

    pub(crate) fn scope_below(&self) -> Self {
        Node::new(self, None, Role::Scope(ScopeTrackers::new())).into()
    }
}
