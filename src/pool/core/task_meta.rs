//! [`TaskMeta`]: the engine's data of a task, until the task ends.

use std::mem;
use std::ptr::NonNull;

use crate::lineage::node::{Node, NodeRef, ScopeTrackers};
use crate::names::task_type::TaskType;
use crate::subscriber::Scoped;
use crate::sync::os::Arc;
use crate::task::cell::TaskRef;
use crate::totals::record::Accepted;
use crate::wait::tracker::TaskTracker;

/// The reference type that handles hold.
pub(crate) type Task = TaskRef<TaskMeta>;

/// The engine's data of a task, until the task ends.
pub(crate) struct TaskMeta {
    /// See [`Counted::place`].
    pub(crate) place: NodeRef,
    /// Data that few tasks have.
    pub(crate) rare: Option<Box<RareMeta>>,
    /// The pool it is queued in or promised to; [`PoolAddress::NONE`] for a task that is neither.
    pub(crate) pool: PoolAddress,
    /// Takes no space without a feature that measures tasks.
    pub(crate) accepted: Accepted,
}

/// The nodes and the tracker that count a task, beside its pool.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    /// The submitter's node, whose scopes count the task. Its code stands there too, except in a work-stealing pool.
    pub(crate) place: NodeRef,
    /// The node of its code, if that is neither `place` nor above it; otherwise the process, which has no scopes. The scopes
    /// at or above this node count the task too, each scope once.
    pub(crate) owner: NodeRef,
    /// The borrowing scope that waits for it.
    pub(crate) scoped: Option<Arc<TaskTracker>>,
}

impl Counted {
    /// The counts of a task submitted at `place`, whose code stands at `owner`.
    pub(crate) fn new(place: NodeRef, owner: NodeRef) -> Self {
        let differs = !place.node().is_at_or_below(owner.node());
        Self { place, owner: if differs { owner } else { NodeRef::PROCESS }, scoped: None }
    }

    /// The nodes of the scopes that count it, each after the scopes below it: the order of counting out.
    pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        self.owner_scopes().chain(self.place.node().scope_nodes())
    }

    /// The scopes that count it for its code alone. The process has none, so for most tasks this costs one comparison.
    #[inline]
    pub(crate) fn owner_scopes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        let owner = self.owner.is_counted().then(|| self.owner.node().scopes_beside(self.place.node()));
        owner.into_iter().flatten()
    }

    /// Returns whether the task is counted at or below the node.
    pub(crate) fn is_below(&self, node: &Node) -> bool {
        self.place.node().is_at_or_below(node) || self.owner.node().is_at_or_below(node)
    }
}

impl TaskMeta {
    /// Splits off the task's counts.
    pub(crate) fn into_counted(self) -> (Counted, RareMeta) {
        let mut rare = self.rare.map_or_else(RareMeta::default, |rare| *rare);
        let (owner, scoped) = (mem::take(&mut rare.owner), rare.scoped.take());
        rare.accepted = self.accepted;
        (Counted { place: self.place, owner, scoped }, rare)
    }

    /// The task type it was submitted with, in a pool that is not typed.
    pub(crate) fn task_type(&self) -> Option<&TaskType> {
        self.rare.as_ref()?.task_type.as_ref()
    }

    /// Returns whether it was queued or promised: it holds capacity, and its node may list it.
    #[inline]
    pub(crate) fn queued(&self) -> bool {
        self.pool != PoolAddress::NONE
    }
}

/// The address of the pool that accepted a task. The pool is alive until the task is counted out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolAddress(NonNull<()>);

// SAFETY: an address is a number; each use of it as a pool has a proof of its own.
unsafe impl Send for PoolAddress {}
// SAFETY: as for `Send`.
unsafe impl Sync for PoolAddress {}

impl PoolAddress {
    pub(crate) const NONE: Self = Self(NonNull::dangling());

    /// The address of a pool.
    pub(crate) fn of<P>(pool: &Arc<P>) -> Self {
        Self(NonNull::from(&**pool).cast())
    }

    pub(crate) fn get<P>(self) -> NonNull<P> {
        self.0.cast()
    }
}

/// Data that few tasks have. Boxed, so that tasks without it are small; it costs the others one allocation.
#[derive(Default)]
pub(crate) struct RareMeta {
    pub(crate) span: Option<tracing::Span>,
    /// The submitter's own default subscriber.
    pub(crate) subscriber: Option<Scoped>,
    /// The task type it was submitted with, in a pool that is not typed.
    pub(crate) task_type: Option<TaskType>,
    /// The borrowing scope that waits for it.
    pub(crate) scoped: Option<Arc<TaskTracker>>,
    /// See [`Counted::owner`].
    pub(crate) owner: NodeRef,
    /// Set when the task starts; see [`TaskMeta::accepted`].
    pub(crate) accepted: Accepted,
}

/// The properties that a task is submitted with.
#[derive(Clone, Default)]
pub(crate) struct As {
    pub(crate) task_type: Option<TaskType>,
    /// It runs with the state of its worker.
    pub(crate) stateful: bool,
    /// Its closure borrows data that lives until the wait for the task ends.
    pub(crate) borrows: bool,
    /// Its own priority; `None` for that of its submitter's place.
    pub(crate) priority: Option<u8>,
}

impl From<Option<TaskType>> for As {
    fn from(task_type: Option<TaskType>) -> Self {
        Self { task_type, ..Self::default() }
    }
}
