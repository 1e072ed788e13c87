//! [`Node`]: one place where code can stand, and [`Place`], a counted reference to one.

use std::borrow::Cow;
use std::ptr;
use std::thread::ThreadId;

use crate::id::{NodeId, TaskId};
use crate::index::Ticket;
use crate::lineage::home::Home;
use crate::lineage::residents::Residents;
use crate::sync::os::{Arc, AtomicBool, LazyLock, Ordering, Weak};
use crate::tally::Tally;

/// What kind of code stands at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// The root: the main thread stands here, and everybody finds what is here.
    Process,
    /// An OS thread.
    Thread,
    /// A pool task.
    Task,
    /// A [`Scope`](crate::Scope): a request, a component.
    Scope,
}

impl NodeKind {
    /// The kind in lower case, as trees and errors print it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Task => "task",
            Self::Scope => "scope",
        }
    }
}

/// What only one kind of node has.
pub(crate) enum Role {
    Process,
    Thread(ThreadId),
    Task(TaskId),
    Scope(Tallies),
}

/// The tasks asked for at or below a scope, in any pool. Two counts, because the scope's end waits for one of them only.
pub(crate) struct Tallies {
    /// In joining pools.
    pub(crate) joining: Tally,
    /// In daemon pools.
    pub(crate) daemon: Tally,
}

impl Tallies {
    pub(crate) fn new() -> Self {
        Self { joining: Tally::new(), daemon: Tally::new() }
    }

    #[inline]
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

    pub(crate) fn count(&self) -> usize {
        self.joining.count() + self.daemon.count()
    }
}

/// One place of the family tree. What a walk looks at comes first, on one cache line.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) residents: Residents,
    /// `None` is the process node: the root has no parent, and a child of the root need not count it (it is a static).
    parent: Option<Arc<Node>>,
    /// The parent's parent, which the parent keeps: a walk loads both at once, and so waits for memory half as often. Null
    /// when one of the two is the process.
    grandparent: *const Node,
    is_root: bool,
    cancelled: AtomicBool,
    /// How many scopes are at or above this node, so that those outside any scope never search for one.
    scopes: u32,
    id: NodeId,
    role: Role,
    name: Option<Cow<'static, str>>,
    home: Home,
    _ticket: Ticket<Node>,
}

// SAFETY: every field but the grandparent's address is `Send` and `Sync`, and that is only read, while the parent, which
// never changes, keeps it alive.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new(parent: &Place, name: Option<Cow<'static, str>>, role: Role) -> Arc<Self> {
        let home = parent.node().home.clone();
        let scopes = parent.node().scopes + u32::from(matches!(role, Role::Scope(_)));
        Self::build(parent.0.clone(), name, role, scopes, home)
    }

    /// A family of its own, with its own indices.
    pub(crate) fn new_root(home: Home) -> Arc<Self> {
        Self::build(None, None, Role::Process, 0, home)
    }

    fn build(
        parent: Option<Arc<Node>>,
        name: Option<Cow<'static, str>>,
        role: Role,
        scopes: u32,
        home: Home,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Node>| {
            let indices = home.indices();
            let ticket = indices.nodes.insert(this.clone());
            if let Role::Thread(id) = role {
                indices.threads.insert(id, this.clone());
            }
            Self {
                residents: Residents::new(),
                grandparent: parent.as_ref().and_then(|parent| parent.parent.as_ref()).map_or(ptr::null(), Arc::as_ptr),
                parent,
                is_root: matches!(role, Role::Process),
                cancelled: AtomicBool::new(false),
                scopes,
                id: NodeId::next(),
                role,
                name,
                home,
                _ticket: ticket,
            }
        })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
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

    /// The tasks asked for at or below this node, when it is a scope.
    pub(crate) fn tallies(&self) -> Option<&Tallies> {
        match &self.role {
            Role::Scope(tallies) => Some(tallies),
            _ => None,
        }
    }

    /// The next node towards the root; `None` at the root. Ends: invariant 1.
    #[inline]
    pub(crate) fn parent(&self) -> Option<&Node> {
        match &self.parent {
            Some(parent) => Some(parent),
            None if self.is_root => None,
            None => Some(process()),
        }
    }

    /// The first node for which `look` answers, from this one to the root. As `path().find_map(…)`, two nodes in a step.
    #[inline(always)]
    pub(crate) fn nearest<R>(&self, mut look: impl FnMut(&Node) -> Option<R>) -> Option<R> {
        let mut node = self;
        // SAFETY: the parent keeps the grandparent, and the node keeps the parent.
        while let Some(grandparent) = unsafe { node.grandparent.as_ref() } {
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

    pub(crate) fn parent_place(&self) -> Option<Place> {
        self.parent()?;
        Some(Place(self.parent.clone()))
    }

    /// This node, its parent, and so on to the root.
    pub(crate) fn path(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(self), |node| node.parent())
    }

    /// The scopes at or above this node, innermost first. Costs nothing where there are none.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &Tallies> {
        self.path().take_while(|node| node.scopes > 0).filter_map(Node::tallies)
    }

    /// A scope at or above it was told to end.
    pub(crate) fn scope_closed(&self) -> bool {
        self.scopes().any(Tallies::is_closed)
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// It or an ancestor was cancelled. Only scopes can be, so outside of any this is one comparison.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.path().take_while(|node| node.scopes > 0).any(|node| node.cancelled.load(Ordering::Acquire))
    }

    pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
        self.path().any(|node| ptr::eq(node, other))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Role::Thread(id) = self.role {
            self.home.indices().threads.remove(&id);
        }
        // A chain is let go in a loop: the drop of a million links must not recurse a million deep.
        let mut next = self.parent.take();
        while let Some(node) = next {
            next = match Arc::into_inner(node) {
                Some(mut last) => last.parent.take(),
                None => None,
            };
        }
    }
}

/// The root of the process-wide family. Lives for ever.
pub(crate) fn process() -> &'static Node {
    static ROOT: LazyLock<Arc<Node>> = LazyLock::new(|| Node::new_root(Home::Process));
    &ROOT
}

/// A counted reference to a node. The process node is not counted: it is `None`.
#[derive(Clone)]
pub(crate) struct Place(Option<Arc<Node>>);

impl Place {
    pub(crate) const PROCESS: Place = Place(None);

    #[inline]
    pub(crate) fn node(&self) -> &Node {
        match &self.0 {
            Some(node) => node,
            None => process(),
        }
    }

    /// The node's address; null for the process.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const Node {
        self.0.as_ref().map_or(ptr::null(), Arc::as_ptr)
    }

    /// It is counted, so letting go of it may end a node.
    #[inline]
    pub(crate) fn is_counted(&self) -> bool {
        self.0.is_some()
    }

    /// Lets go. The node comes back if this was its last reference: dropping it runs user code.
    #[inline]
    pub(crate) fn into_last(self) -> Option<Node> {
        self.0.and_then(Arc::into_inner)
    }

    /// The innermost scope at or above it. Costs nothing where there is none.
    pub(crate) fn innermost_scope(&self) -> Option<Place> {
        let mut at = self.0.as_ref();
        while let Some(node) = at.filter(|node| node.scopes > 0) {
            if node.tallies().is_some() {
                return Some(Place(Some(Arc::clone(node))));
            }
            at = node.parent.as_ref();
        }
        None
    }

    /// A reference that keeps nothing alive.
    pub(crate) fn downgrade(&self) -> WeakPlace {
        WeakPlace(self.0.as_ref().map(Arc::downgrade))
    }
}

impl From<Arc<Node>> for Place {
    fn from(node: Arc<Node>) -> Self {
        // The process node is a static behind an Arc; everyone refers to it as `None`.
        if ptr::eq(Arc::as_ptr(&node), process()) { Self(None) } else { Self(Some(node)) }
    }
}

/// See [`Place::downgrade`].
#[derive(Clone)]
pub(crate) struct WeakPlace(Option<Weak<Node>>);

impl WeakPlace {
    pub(crate) fn upgrade(&self) -> Option<Place> {
        match &self.0 {
            None => Some(Place::PROCESS),
            Some(node) => node.upgrade().map(|node| Place(Some(node))),
        }
    }
}
