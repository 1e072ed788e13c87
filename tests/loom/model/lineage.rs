//! Stands in for `src/lineage`: a node is the process or one of the scopes below it. The list of a node's tasks is the
//! real one.

#[path = "../../../src/lineage/flow.rs"]
pub(crate) mod flow;
#[path = "../../../src/lineage/queued/mod.rs"]
pub(crate) mod queued;

/// No runtime spawns anything in a model.
pub(crate) mod work {
    pub(crate) fn for_each_tracker(_: impl FnMut(usize)) {}
}

/// No model prints a report.
pub(crate) mod whose {
    use std::collections::{HashMap, HashSet};

    use crate::lineage::node::WeakNodeRef;
    use crate::names::id::NodeId;

    pub(crate) fn whose(_: &HashSet<NodeId>, _: &WeakNodeRef) -> HashMap<NodeId, String> {
        HashMap::new()
    }
}

#[path = "../../../src/lineage/node/scope_share.rs"]
pub(crate) mod scope_share;
#[path = "../../../src/lineage/node/scope_trackers.rs"]
mod scope_trackers;

pub(crate) mod node {
    use std::fmt;
    use std::sync::{Arc, OnceLock, Weak};

    pub(crate) use crate::lineage::scope_share;
    pub(crate) use crate::lineage::scope_trackers::ScopeTrackers;

    use crate::error::{CancelReason, Cancelled};
    use crate::lineage::queued::{Claims, ListingNode, QueuedTasks, Which};
    use crate::names::id::NodeId;
    use crate::sync::atomic::{AtomicBool, Ordering};

    pub(crate) trait OnMaterialize {
        fn materialized(&self, node: &Arc<Node>);
    }

    pub(crate) struct Node(Option<Scope>);

    pub(crate) enum Role {
        Thread(std::thread::ThreadId),
    }

    struct Scope {
        parent: Option<Arc<Node>>,
        trackers: ScopeTrackers,
        cancelled: AtomicBool,
        queued: QueuedTasks<Node>,
    }

    static PROCESS: Node = Node(None);

    impl Node {
        /// No code compares nodes by it.
        pub(crate) fn id(&self) -> NodeId {
            NodeId::next()
        }

        fn path(&self) -> impl Iterator<Item = &Node> {
            std::iter::successors(Some(self), |node| node.counted_parent().map(|parent| &**parent))
        }

        pub(crate) fn queued(&self) -> &QueuedTasks<Node> {
            match &self.0 {
                Some(scope) => &scope.queued,
                None => unreachable!("the process lists nothing"),
            }
        }

        fn counted_parent(&self) -> Option<&Arc<Node>> {
            self.0.as_ref()?.parent.as_ref()
        }

        pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopeTrackers> {
            self.path().filter_map(|node| node.0.as_ref()).map(|scope| &scope.trackers)
        }

        pub(crate) fn scope_closed(&self) -> bool {
            self.scopes().any(ScopeTrackers::is_closed)
        }

        pub(crate) fn is_cancelled(&self) -> bool {
            self.path().any(Node::cancel_requested)
        }

        pub(crate) fn cancel_requested(&self) -> bool {
            self.0.as_ref().is_some_and(|scope| scope.cancelled.load(Ordering::Acquire))
        }

        /// True for the first.
        pub(crate) fn cancel(&self, reason: CancelReason) -> bool {
            let mut claims = Claims::new();
            let first = self.begin_cancel(&mut claims, reason);
            claims.end(|| Cancelled::new(reason, self), || self.notify_cancelled());
            first
        }

        pub(crate) fn begin_cancel(&self, claims: &mut Claims, _: CancelReason) -> bool {
            let first = self.0.as_ref().is_some_and(|scope| !scope.cancelled.swap(true, Ordering::SeqCst));
            if self.0.is_some() {
                claims.claim(self, Which::Cancelled);
            }
            first
        }

        pub(crate) fn note_cancel(&self, _: CancelReason) {
            self.0.as_ref().inspect(|scope| scope.cancelled.store(true, Ordering::SeqCst));
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

        /// The reason is none of a model's questions.
        pub(crate) fn cause(&self) -> Option<Cancelled> {
            self.is_cancelled().then(|| Cancelled::new(CancelReason::Request, self))
        }

        /// No listener watches a model's nodes.
        pub(crate) fn notify_cancelled(&self) {}

        /// Acknowledges the request.
        pub(crate) fn acknowledge(&self) {
            self.0.as_ref().inspect(|scope| scope.cancelled.store(false, Ordering::SeqCst));
        }

        /// Closes the scope.
        pub(crate) fn close(&self) {
            self.scopes().next().inspect(|trackers| trackers.close());
            let mut claims = Claims::new();
            claims.claim(self, Which::Daemon);
            claims.end(|| Cancelled::new(CancelReason::OwnerEnd, self), || {});
        }

        pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
            self.path().filter_map(|node| Some((node, &node.0.as_ref()?.trackers)))
        }

        pub(crate) fn scopes_beside<'a>(
            &'a self,
            other: &'a Node,
        ) -> impl Iterator<Item = (&'a Node, &'a ScopeTrackers)> {
            self.scope_nodes().filter(|(node, _)| !other.is_at_or_below(node))
        }

        pub(crate) fn parent_ref(&self) -> Option<NodeRef> {
            self.counted_parent().map(|parent| NodeRef(Some(Arc::clone(parent))))
        }

        /// A worker stands at the process.
        pub(crate) fn new(_: &NodeRef, _: Option<String>, _: Role) -> NodeRef {
            NodeRef::PROCESS
        }

        pub(crate) fn end_worker(&self) {}

        /// No values are bound in a model.
        pub(crate) fn end_if_over(&self) {}

        pub(crate) fn is_over(&self) -> bool {
            false
        }

        pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
            self.path().any(|node| std::ptr::eq(node, other))
        }
    }

    impl fmt::Display for Node {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the scope")
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
            if let Some(scope) = &mut self.0 {
                scope.queued.deregister(scope.parent.as_deref());
            }
        }
    }

    #[derive(Clone, Default)]
    pub(crate) struct NodeRef(Option<Arc<Node>>);

    impl NodeRef {
        pub(crate) const PROCESS: NodeRef = NodeRef(None);

        pub(crate) fn scope() -> Self {
            Self::PROCESS.scope_below()
        }

        pub(crate) fn scope_below(&self) -> Self {
            let trackers = ScopeTrackers::new();
            let (parent, cancelled) = (self.0.clone(), AtomicBool::new(false));
            let queued = QueuedTasks::new(parent.is_none());
            Self(Some(Arc::new(Node(Some(Scope { parent, trackers, cancelled, queued })))))
        }

        pub(crate) fn below_root(&self) -> Option<&Arc<Node>> {
            self.0.as_ref()
        }

        pub(crate) fn node(&self) -> &Node {
            self.0.as_deref().unwrap_or(&PROCESS)
        }

        pub(crate) fn is(&self, other: &Self) -> bool {
            std::ptr::eq(self.node(), other.node())
        }

        pub(crate) fn is_counted(&self) -> bool {
            self.0.is_some()
        }

        pub(crate) fn into_last(self) -> Option<Node> {
            self.0.and_then(Arc::into_inner)
        }

        pub(crate) fn innermost_scope(&self) -> Option<NodeRef> {
            None
        }

        pub(crate) fn downgrade(&self) -> WeakNodeRef {
            WeakNodeRef(self.0.as_ref().map(Arc::downgrade))
        }
    }

    /// No task of a model becomes a node.
    pub(crate) struct OnceWeak(OnceLock<WeakNodeRef>, OnceLock<usize>);

    impl OnceWeak {
        pub(crate) fn new() -> Self {
            Self(OnceLock::new(), OnceLock::new())
        }

        pub(crate) fn note(&self, odd: usize) {
            assert!(self.1.set(odd).is_ok());
        }

        pub(crate) fn noted(&self) -> Option<usize> {
            self.1.get().copied()
        }

        pub(crate) fn set(&self, place: &NodeRef) -> bool {
            self.0.set(place.downgrade()).is_ok()
        }

        pub(crate) fn upgrade(&self) -> Option<NodeRef> {
            self.0.get()?.upgrade()
        }
    }

    #[derive(Clone)]
    pub(crate) struct WeakNodeRef(Option<Weak<Node>>);

    impl From<Arc<Node>> for NodeRef {
        fn from(node: Arc<Node>) -> Self {
            Self(Some(node))
        }
    }

    impl WeakNodeRef {
        pub(crate) fn upgrade(&self) -> Option<NodeRef> {
            match &self.0 {
                None => Some(NodeRef::PROCESS),
                Some(node) => node.upgrade().map(|node| NodeRef(Some(node))),
            }
        }
    }
}

pub(crate) mod current {
    use std::cell::RefCell;

    use std::sync::Arc;

    use crate::lineage::node::{NodeRef, OnMaterialize};
    use crate::names::id::TaskId;

    thread_local! {
        static HERE: RefCell<NodeRef> = const { RefCell::new(NodeRef::PROCESS) };
    }

    /// No task of a model becomes a node when it is looked at.
    pub(crate) enum LazyNode {
        Nothing,
        Task(TaskId, *const dyn OnMaterialize),
    }

    /// No task of a model is a node.
    pub(crate) fn own() -> Option<NodeRef> {
        None
    }

    pub(crate) fn nearest() -> NodeRef {
        HERE.with(|here| here.borrow().clone())
    }

    pub(crate) struct EnterGuard(Option<NodeRef>);

    pub(crate) fn enter(place: NodeRef, _pending: LazyNode) -> EnterGuard {
        EnterGuard(Some(HERE.with(|here| here.replace(place))))
    }

    pub(crate) fn enter_as_thread(place: NodeRef, lazy: LazyNode) -> EnterGuard {
        enter(place, lazy)
    }

    /// # Safety
    /// None is needed: the reference is counted here.
    pub(crate) unsafe fn enter_borrowed(place: &NodeRef, lazy: LazyNode) -> EnterGuard {
        enter(place.clone(), lazy)
    }

    impl EnterGuard {
        pub(crate) fn exit_to(self) {}
    }

    impl Drop for EnterGuard {
        fn drop(&mut self) {
            if let Some(before) = self.0.take() {
                drop(HERE.with(|here| here.replace(before)));
            }
        }
    }
}

pub(crate) mod handle {
    use crate::lineage::current::EnterGuard;
    use crate::lineage::node::NodeRef;

    pub(crate) struct Lineage(pub(crate) NodeRef);

    pub(crate) struct ExitOnDrop(pub(crate) Option<EnterGuard>);

    pub(crate) fn closed_scope(_place: &NodeRef) -> String {
        String::from("the scope")
    }
}
