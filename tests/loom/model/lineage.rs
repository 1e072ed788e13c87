//! Stands in for `src/lineage`: a place is the process or one scope below it.

#[path = "../../../src/lineage/requests.rs"]
pub(crate) mod requests;

pub(crate) mod node {
    use std::sync::{Arc, Weak};

    use crate::id::NodeId;
    use crate::lineage::requests::Requests;
    use crate::sync::atomic::{AtomicBool, Ordering};
    use crate::tally::Tally;

    loom::lazy_static! {
        static ref REQUESTS: Requests = Requests::new();
    }

    pub(crate) fn requests() -> &'static Requests {
        &REQUESTS
    }

    pub(crate) struct Node(Option<Scope>);

    struct Scope {
        tallies: Tallies,
        cancelled: AtomicBool,
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

        pub(crate) fn scopes(&self) -> impl Iterator<Item = &Tallies> {
            self.0.iter().map(|scope| &scope.tallies)
        }

        pub(crate) fn scope_closed(&self) -> bool {
            self.scopes().any(Tallies::is_closed)
        }

        pub(crate) fn is_cancelled(&self) -> bool {
            self.0.as_ref().is_some_and(|scope| scope.cancelled.load(Ordering::Acquire))
        }

        pub(crate) fn is_asked(&self) -> bool {
            self.is_cancelled()
        }

        /// True for the first.
        pub(crate) fn cancel(&self) -> bool {
            let first = self.0.as_ref().is_some_and(|scope| !scope.cancelled.swap(true, Ordering::SeqCst));
            requests().note();
            first
        }

        pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &Tallies)> {
            self.0.iter().map(move |scope| (self, &scope.tallies))
        }

        /// No values are bound in a model.
        pub(crate) fn end_if_over(&self) {}

        pub(crate) fn is_over(&self) -> bool {
            false
        }

        pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
            std::ptr::eq(self, other)
        }
    }

    #[derive(Clone)]
    pub(crate) struct Place(Option<Arc<Node>>);

    impl Place {
        pub(crate) const PROCESS: Place = Place(None);

        pub(crate) fn scope() -> Self {
            let tallies = Tallies { joining: Tally::new(), daemon: Tally::new() };
            Self(Some(Arc::new(Node(Some(Scope { tallies, cancelled: AtomicBool::new(false) })))))
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

    pub(crate) struct CutOnDrop(pub(crate) Option<Standing>);
}
