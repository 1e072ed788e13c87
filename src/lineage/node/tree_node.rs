//! [`Node`]: one position in the tree where code can stand.

use std::borrow::Cow;
use std::ptr;
use std::thread::ThreadId;

use crate::lineage::family::{self, FamilyIndex, Member};
use crate::lineage::node::role::{NodeKind, Role};
use crate::lineage::node::scope_trackers::ScopeTrackers;
use crate::lineage::node::state::NodeState;
use crate::lineage::queued::{ListingNode, QueuedTasks};
use crate::lineage::slots::Slots;
use crate::names::id::{NodeId, TaskId};
use crate::sync::os::{Arc, AtomicPtr, LazyLock, Ordering, Weak};
use crate::sync::weak_list::ListKey;
use crate::timer::deadlines::{Owner, deadlines};
use crate::wait::waker_set::WakerSet;

pub(crate) type Family = family::Family<Node>;

/// One position in the tree. The fields that a walk reads come first, on one cache line.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) managers: Slots,
    /// The bindings of values, by the number of their key.
    pub(crate) values: Slots,
    /// `None` is the process node: the root has no parent, and a child of the process need not count a static.
    parent: Option<Arc<Node>>,
    /// The parent's parent, which the parent keeps. A walk loads both at once, and so waits for memory half as often.
    /// Null when one of the two is the process. Never changes; an atomic is `Sync`, and its relaxed load a plain one.
    grandparent: AtomicPtr<Node>,
    is_root: bool,
    /// No cancel request of the nodes above reaches this node.
    pub(super) shielded: bool,
    pub(super) state: NodeState,
    /// Woken when the state changes. At a scope and at a root, waiters below register too.
    pub(super) changed: WakerSet,
    /// Counts the scopes at or above this node. At zero no walk searches for a scope.
    pub(super) scopes: u32,
    id: NodeId,
    /// The tasks submitted here that have not finished.
    queued: QueuedTasks<Node>,
    role: Role,
    name: Option<Cow<'static, str>>,
    family: Family,
    /// The entry in the family's list of nodes.
    listed: ListKey,
}

impl Node {
    /// Makes a root, for a family of its own.
    pub(crate) fn new_root(family: Family) -> Arc<Self> {
        Self::build(None, None, Role::Process, 0, family, false)
    }

    /// Makes a child of a counted node, or of the process.
    pub(super) fn new_child(
        parent: Option<Arc<Node>>,
        name: Option<Cow<'static, str>>,
        role: Role,
        shielded: bool,
    ) -> Arc<Self> {
        let above = parent.as_deref().unwrap_or_else(|| process());
        above.state.note_child();
        let scopes = above.scopes + u32::from(matches!(role, Role::Scope(_)));
        let family = above.family.clone();
        Self::build(parent, name, role, scopes, family, shielded)
    }

    fn build(
        parent: Option<Arc<Node>>,
        name: Option<Cow<'static, str>>,
        role: Role,
        scopes: u32,
        family: Family,
        shielded: bool,
    ) -> Arc<Self> {
        let grandparent = parent.as_ref().and_then(|parent| parent.parent.as_ref()).map_or(ptr::null(), Arc::as_ptr);
        Arc::new_cyclic(|this: &Weak<Node>| {
            let index = family.index();
            let listed = index.nodes.list(this.clone());
            if let Role::Thread(id) = role {
                index.threads.write(&id).insert(id, this.clone());
            }
            Self {
                managers: Slots::new(),
                values: Slots::new(),
                queued: QueuedTasks::new(parent.as_ref().is_none_or(|parent| parent.is_root)),
                grandparent: AtomicPtr::new(grandparent.cast_mut()),
                parent,
                is_root: matches!(role, Role::Process),
                shielded,
                state: NodeState::new(),
                changed: WakerSet::new(),
                scopes,
                id: NodeId::next(),
                role,
                name,
                family,
                listed,
            }
        })
    }

    #[inline]
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn family(&self) -> &Family {
        &self.family
    }

    #[inline]
    pub(crate) fn is_root(&self) -> bool {
        self.is_root
    }

    pub(crate) fn kind(&self) -> NodeKind {
        match self.role {
            Role::Process => NodeKind::Process,
            Role::Thread(_) => NodeKind::Thread,
            Role::Task(_) => NodeKind::Task,
            Role::Scope(_) => NodeKind::Scope,
        }
    }

    pub(crate) fn thread_id(&self) -> Option<ThreadId> {
        match self.role {
            Role::Thread(id) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn task_id(&self) -> Option<TaskId> {
        match self.role {
            Role::Task(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the trackers of a scope.
    pub(crate) fn trackers(&self) -> Option<&ScopeTrackers> {
        match &self.role {
            Role::Scope(trackers) => Some(trackers),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn queued(&self) -> &QueuedTasks<Node> {
        &self.queued
    }

    /// Returns the parent, or `None` at the root.
    #[inline]
    pub(crate) fn parent(&self) -> Option<&Node> {
        match &self.parent {
            Some(parent) => Some(parent),
            None if self.is_root => None,
            None => Some(process()),
        }
    }

    /// Returns the parent unless it is the process, which is not counted.
    #[inline]
    pub(super) fn counted_parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref()
    }

    /// Returns the first answer of `look` on the way from this node to the root.
    ///
    /// It is `path().find_map(…)`, with two nodes in a step.
    #[inline(always)]
    pub(crate) fn nearest<'a, R>(&'a self, mut look: impl FnMut(&'a Node) -> Option<R>) -> Option<R> {
        let mut node = self;
        // SAFETY: the pointer is null or the address of the parent's parent. The node holds its parent, and that its
        // own, from before the node exists until it is dropped, and `node` is borrowed from `self`.
        while let Some(grandparent) = unsafe { node.grandparent.load(Ordering::Relaxed).as_ref() } {
            if let Some(found) = look(node) {
                return Some(found);
            }
            if let Some(found) = node.parent.as_deref().and_then(&mut look) {
                return Some(found);
            }
            node = grandparent;
        }
        node.path().find_map(look)
    }

    /// Returns whether the node's own code has ended, or the scope has.
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_ended()
    }

    /// Marks the end of the node's code, and notifies its waiters. Runs wakers. True for the first call.
    pub(crate) fn end(&self) -> bool {
        if self.state.is_ended() {
            return false;
        }
        let Some(watched) = self.state.end() else { return false };
        if self.state.is_timed() {
            deadlines().end(Owner::Node(self.id));
        }
        if watched.0 {
            self.changed.wake_all();
        }
        true
    }

    /// Ends the node of a worker, on the worker's thread. Drops its bindings and managers, also where another thread holds the
    /// node: what belongs to a thread ends on it. Runs user code.
    pub(crate) fn end_worker(&self) {
        self.end();
        self.values.clear();
        self.managers.clear();
    }

    /// Ends a scope that is closed and has nothing left below it. Drops its bindings, so that no value holds the scope.
    /// Runs user code. True if the scope ended by this call.
    pub(crate) fn end_if_over(&self) -> bool {
        // Trackers and hold change before they are read here, sequentially consistent: the last change sees all.
        if !self.trackers().is_some_and(ScopeTrackers::is_over) || self.state.is_held() {
            return false;
        }
        let first = self.end();
        self.values.clear();
        first
    }

    /// Puts off the end of a scope until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.state.hold();
    }

    /// Takes back a [`hold`](Self::hold), if there was one. The caller calls [`end_if_over`](Self::end_if_over) then.
    pub(crate) fn release(&self) {
        self.state.release();
    }

    /// Deregisters a node that is being dropped at its parent, and takes that reference out.
    fn take_parent(&mut self) -> Option<Arc<Node>> {
        let parent = self.parent.take();
        self.queued.deregister(parent.as_deref());
        parent
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.state.is_timed() {
            deadlines().forget(Owner::Node(self.id));
        }
        let index = self.family.index();
        if let Some(id) = self.thread_id() {
            index.threads.write(&id).remove(&id);
        }
        index.nodes.unlist(self.listed);
        // A chain of nodes is dropped in a loop: the drop of a million links must not recurse a million deep.
        let mut next = self.take_parent();
        while let Some(node) = next {
            next = match Arc::into_inner(node) {
                Some(mut last) => last.take_parent(),
                None => None,
            };
        }
    }
}

impl Member for Node {
    fn process_index() -> &'static FamilyIndex<Self> {
        static PROCESS: LazyLock<FamilyIndex<Node>> = LazyLock::new(FamilyIndex::new);
        &PROCESS
    }
}

impl ListingNode for Node {
    fn queued(&self) -> &QueuedTasks<Node> {
        &self.queued
    }

    fn parent_below_root(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref().filter(|parent| !parent.is_root)
    }

    fn is_shielded(&self) -> bool {
        self.shielded
    }

    fn cancel_requested(&self) -> bool {
        self.state.cancel_requested()
    }
}

/// Returns the root of the process's family, which lives for ever.
#[inline]
pub(crate) fn process() -> &'static Node {
    static ROOT: LazyLock<Arc<Node>> = LazyLock::new(|| Node::new_root(Family::PROCESS));
    &ROOT
}

/// Code that is notified when its lazy node is made.
pub(crate) trait OnMaterialize {
    /// Runs no user code.
    fn materialized(&self, node: &Arc<Node>);
}
