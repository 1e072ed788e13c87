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

pub(crate) mod node;

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
    use crate::error::Cancelled;
    use crate::lineage::current::EnterGuard;
    use crate::lineage::node::NodeRef;

    pub(crate) struct Lineage(pub(crate) NodeRef);

    pub(crate) struct ExitOnDrop(pub(crate) Option<EnterGuard>);

    pub(crate) fn closed_scope(_place: &NodeRef) -> (String, Option<Cancelled>) {
        (String::from("the scope"), None)
    }
}
