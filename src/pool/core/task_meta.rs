//! [`TaskMeta`]: what the engine remembers of a task until it ends.

use std::mem;
use std::ptr::NonNull;

use crate::lineage::node::{Node, NodeRef, ScopeTrackers};
use crate::names::task_type::TaskType;
use crate::subscriber::Scoped;
use crate::sync::os::Arc;
use crate::task::cell::TaskRef;
use crate::wait::tracker::TaskTracker;

/// The reference type that handles hold.
pub(crate) type Task = TaskRef<TaskMeta>;

/// What the engine remembers of a task until it ends.
pub(crate) struct TaskMeta {
    /// See [`Counted::place`].
    pub(crate) place: NodeRef,
    /// What few tasks have.
    pub(crate) rare: Option<Box<RareMeta>>,
    /// Where it is queued.
    pub(crate) pool: PoolAddress,
}

/// What counts a task, beside its pool.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    /// The node it was asked for at, whose scopes count it. Its code stands there too, where the pool does not say
    /// otherwise.
    pub(crate) place: NodeRef,
    /// Where its code stands, if that is neither there nor above: the scopes at or above this place count it too, each
    /// scope once. The process, which has none, if they are the same.
    pub(crate) owner: NodeRef,
    /// The borrowing scope that waits for it.
    pub(crate) scoped: Option<Arc<TaskTracker>>,
}

impl Counted {
    /// Those who count a task asked for at `place`, which stands at `owner`.
    pub(crate) fn new(place: NodeRef, owner: NodeRef) -> Self {
        let differs = !place.node().is_at_or_below(owner.node());
        Self { place, owner: if differs { owner } else { NodeRef::PROCESS }, scoped: None }
    }

    /// The scopes that count it, as nodes, in the order in which they are left: each after those below it.
    pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        self.owner_scopes().chain(self.place.node().scope_nodes())
    }

    /// Those of them that count it for its code alone. The process has none, so for most tasks this is one look.
    #[inline]
    pub(crate) fn owner_scopes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        let owner = self.owner.is_counted().then(|| self.owner.node().scopes_beside(self.place.node()));
        owner.into_iter().flatten()
    }

    /// It is counted at or below the node.
    pub(crate) fn is_below(&self, node: &Node) -> bool {
        self.place.node().is_at_or_below(node) || self.owner.node().is_at_or_below(node)
    }
}

impl TaskMeta {
    /// What counts the task, and the rest of what few have.
    pub(crate) fn into_counted(self) -> (Counted, RareMeta) {
        let mut rare = self.rare.map_or_else(RareMeta::default, |rare| *rare);
        let (owner, scoped) = (mem::take(&mut rare.owner), rare.scoped.take());
        (Counted { place: self.place, owner, scoped }, rare)
    }

    /// The type it was submitted as, in a pool that accepts any.
    pub(crate) fn task_type(&self) -> Option<&TaskType> {
        self.rare.as_ref()?.task_type.as_ref()
    }

    /// It came through the queue: it counts against the queue's limit, and may be in the list of its place.
    #[inline]
    pub(crate) fn queued(&self) -> bool {
        self.pool != PoolAddress::NONE
    }
}

/// A pool that a task was accepted by: alive until the task is counted out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolAddress(NonNull<()>);

// SAFETY: an address is a number; only `pool_of_claimed`, an unsafe function, makes a pool of it.
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

/// Boxed, so that the many tasks without any of it are small; an allocation of its own for the others.
#[derive(Default)]
pub(crate) struct RareMeta {
    pub(crate) span: Option<tracing::Span>,
    /// The submitter's own default subscriber.
    pub(crate) subscriber: Option<Scoped>,
    /// What it was submitted as, in a pool that takes any type.
    pub(crate) task_type: Option<TaskType>,
    /// The borrowing scope that waits for it.
    pub(crate) scoped: Option<Arc<TaskTracker>>,
    /// See [`Counted::owner`].
    pub(crate) owner: NodeRef,
}

/// What a task is submitted as.
#[derive(Clone, Default)]
pub(crate) struct As {
    pub(crate) task_type: Option<TaskType>,
    /// It runs with the state of its worker.
    pub(crate) stateful: bool,
    /// What its closure borrows ends with the wait for the task.
    pub(crate) borrows: bool,
}

impl From<Option<TaskType>> for As {
    fn from(task_type: Option<TaskType>) -> Self {
        Self { task_type, ..Self::default() }
    }
}
