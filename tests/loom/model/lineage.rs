//! Stands in for `src/lineage`: a place is the process or one of the scopes below it. What a node lists is the real one.

#[path = "../../../src/lineage/flow.rs"]
pub(crate) mod flow;
#[path = "../../../src/lineage/queued.rs"]
pub(crate) mod queued;

/// No runtime spawns anything in a model.
pub(crate) mod work {
    pub(crate) fn tallies() -> impl Iterator<Item = usize> {
        std::iter::empty()
    }
}

pub(crate) mod node {
    use std::sync::{Arc, OnceLock, Weak};

    use crate::id::NodeId;
    use crate::lineage::queued::{Claims, Queued, Which};
    use crate::sync::atomic::{AtomicBool, Ordering};
    use crate::tally::Tally;

    pub(crate) struct Node(Option<Scope>);

    struct Scope {
        parent: Option<Arc<Node>>,
        tallies: Tallies,
        cancelled: AtomicBool,
        queued: Queued,
    }

    pub(crate) struct Tallies {
        joining: Tally,
        daemon: Tally,
    }

    impl Tallies {
        pub(crate) fn of(&self, joins: bool) -> &Tally {
            if joins { &self.joining } else { &self.daemon }
        }

        pub(crate) fn close(&self) {
            self.joining.close();
            self.daemon.close();
        }

        pub(crate) fn is_closed(&self) -> bool {
            self.joining.is_closed()
        }
    }

    static PROCESS: Node = Node(None);

    impl Node {
        /// Nothing tells one from another by it.
        pub(crate) fn id(&self) -> NodeId {
            NodeId::next()
        }

        fn path(&self) -> impl Iterator<Item = &Node> {
            std::iter::successors(Some(self), |node| node.counted_parent().map(|parent| &**parent))
        }

        pub(crate) fn queued(&self) -> &Queued {
            match &self.0 {
                Some(scope) => &scope.queued,
                None => unreachable!("the process lists nothing"),
            }
        }

        pub(crate) fn counted_parent(&self) -> Option<&Arc<Node>> {
            self.0.as_ref()?.parent.as_ref()
        }

        pub(crate) fn is_isolated(&self) -> bool {
            false
        }

        pub(crate) fn scopes(&self) -> impl Iterator<Item = &Tallies> {
            self.path().filter_map(|node| node.0.as_ref()).map(|scope| &scope.tallies)
        }

        pub(crate) fn scope_closed(&self) -> bool {
            self.scopes().any(Tallies::is_closed)
        }

        pub(crate) fn is_cancelled(&self) -> bool {
            self.path().any(Node::is_asked)
        }

        pub(crate) fn is_asked(&self) -> bool {
            self.0.as_ref().is_some_and(|scope| scope.cancelled.load(Ordering::Acquire))
        }

        /// True for the first.
        pub(crate) fn cancel(&self) -> bool {
            let mut claims = Claims::new();
            let first = self.begin_cancel(&mut claims);
            claims.end(|| self.tell_request());
            first
        }

        pub(crate) fn begin_cancel(&self, claims: &mut Claims) -> bool {
            let first = self.0.as_ref().is_some_and(|scope| !scope.cancelled.swap(true, Ordering::SeqCst));
            if self.0.is_some() {
                claims.claim(self, Which::Cancelled);
            }
            first
        }

        /// Nobody listens at a model's nodes.
        pub(crate) fn tell_request(&self) {}

        /// Declines the request.
        pub(crate) fn acknowledge(&self) {
            self.0.as_ref().inspect(|scope| scope.cancelled.store(false, Ordering::SeqCst));
        }

        /// Closes the scope.
        pub(crate) fn close(&self) {
            self.scopes().next().inspect(|tallies| tallies.close());
            let mut claims = Claims::new();
            claims.claim(self, Which::Daemon);
            claims.end(|| {});
        }

        pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &Tallies)> {
            self.path().filter_map(|node| Some((node, &node.0.as_ref()?.tallies)))
        }

        /// No values are bound in a model.
        pub(crate) fn end_if_over(&self) {}

        pub(crate) fn is_over(&self) -> bool {
            false
        }

        pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
            self.path().any(|node| std::ptr::eq(node, other))
        }
    }

    impl Drop for Node {
        fn drop(&mut self) {
            if let Some(scope) = &mut self.0 {
                scope.queued.deregister(scope.parent.as_deref());
            }
        }
    }

    #[derive(Clone)]
    pub(crate) struct Place(Option<Arc<Node>>);

    impl Place {
        pub(crate) const PROCESS: Place = Place(None);

        pub(crate) fn scope() -> Self {
            Self::PROCESS.scope_below()
        }

        pub(crate) fn scope_below(&self) -> Self {
            let tallies = Tallies { joining: Tally::new(), daemon: Tally::new() };
            let (parent, cancelled) = (self.0.clone(), AtomicBool::new(false));
            let queued = Queued::new(parent.is_none());
            Self(Some(Arc::new(Node(Some(Scope { parent, tallies, cancelled, queued })))))
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

        pub(crate) fn downgrade(&self) -> WeakPlace {
            WeakPlace(self.0.as_ref().map(Arc::downgrade))
        }
    }

    /// No task of a model becomes a node.
    pub(crate) struct OnceWeak(OnceLock<WeakPlace>);

    impl OnceWeak {
        pub(crate) fn new() -> Self {
            Self(OnceLock::new())
        }

        pub(crate) fn set(&self, place: &Place) -> bool {
            self.0.set(place.downgrade()).is_ok()
        }

        pub(crate) fn upgrade(&self) -> Option<Place> {
            self.0.get()?.upgrade()
        }
    }

    pub(crate) struct WeakPlace(Option<Weak<Node>>);

    impl From<Arc<Node>> for Place {
        fn from(node: Arc<Node>) -> Self {
            Self(Some(node))
        }
    }

    impl WeakPlace {
        pub(crate) fn upgrade(&self) -> Option<Place> {
            match &self.0 {
                None => Some(Place::PROCESS),
                Some(node) => node.upgrade().map(|node| Place(Some(node))),
            }
        }
    }
}

pub(crate) mod current {
    use std::cell::RefCell;

    use std::sync::Arc;

    use crate::id::TaskId;
    use crate::lineage::node::{Node, Place};

    thread_local! {
        static HERE: RefCell<Place> = const { RefCell::new(Place::PROCESS) };
    }

    pub(crate) trait BecomesNode {
        fn became(&self, node: &Arc<Node>);
    }

    /// No task of a model becomes a node by being looked at.
    pub(crate) enum Pending {
        Nothing,
        Task(TaskId, *const dyn BecomesNode),
    }

    pub(crate) fn nearest() -> Place {
        HERE.with(|here| here.borrow().clone())
    }

    pub(crate) struct Standing(Option<Place>);

    pub(crate) fn stand(place: Place, _pending: Pending) -> Standing {
        Standing(Some(HERE.with(|here| here.replace(place))))
    }

    /// # Safety
    /// None is needed: the place is counted here.
    pub(crate) unsafe fn stand_borrowed(place: &Place, pending: Pending) -> Standing {
        stand(place.clone(), pending)
    }

    impl Standing {
        pub(crate) fn cut(self) {}
    }

    impl Drop for Standing {
        fn drop(&mut self) {
            if let Some(before) = self.0.take() {
                drop(HERE.with(|here| here.replace(before)));
            }
        }
    }
}

pub(crate) mod handle {
    use crate::lineage::current::Standing;
    use crate::lineage::node::Place;

    pub(crate) struct CutOnDrop(pub(crate) Option<Standing>);

    pub(crate) fn closed_scope(_place: &Place) -> String {
        String::from("the scope")
    }
}
