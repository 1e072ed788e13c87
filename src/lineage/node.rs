//! [`Node`]: one place where code can stand, and [`NodeRef`], a counted reference to one.

use std::borrow::Cow;
use std::ptr;
use std::thread::ThreadId;

use crate::lineage::family::Family;
use crate::lineage::queued::{Claims, QueuedTasks, Which};
use crate::lineage::slots::Slots;
use crate::names::id::{NodeId, TaskId};
use crate::sync::os::{Arc, AtomicPtr, AtomicU64, AtomicUsize, LazyLock, Ordering, Weak};
use crate::sync::weak_list::Registration;
use crate::wait::tracker::TaskTracker;
use crate::wait::waker_set::WakerSet;

/// Somebody asked what stands here, and everything below, to stop.
const CANCEL_REQUESTED: u64 = 1;
/// Its code has ended: the thread's, the task's; or the scope was told to end and nothing asked for below it is left.
const OVER: u64 = 1 << 1;
/// It had a child, so somebody below may wait to hear of a request.
const PARENT: u64 = 1 << 2;
/// A scope that is about to be dropped: it does not end before, so that what stands in it finds its values.
const HELD: u64 = 1 << 3;
/// A piece of a work-stealing pool's task was told of the request.
const TOLD: u64 = 1 << 4;
/// The rest of the word counts requests, so that one that repeats another is seen too.
const ONE_REQUEST: u64 = 1 << 5;

/// How many nodes, of all families, are asked to stop. Mostly none, and then nobody has to walk.
static REQUESTED_NODES: AtomicUsize = AtomicUsize::new(0);

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
    Scope(ScopeTrackers),
}

/// The tasks asked for at or below a scope, in any pool. Two counts, because the scope's end waits for one of them
/// only.
pub(crate) struct ScopeTrackers {
    /// In joining pools.
    pub(crate) joining: TaskTracker,
    /// In daemon pools.
    pub(crate) daemon: TaskTracker,
}

impl ScopeTrackers {
    pub(crate) fn new() -> Self {
        Self { joining: TaskTracker::new(), daemon: TaskTracker::new() }
    }

    #[inline]
    pub(crate) fn of(&self, joins: bool) -> &TaskTracker {
        if joins { &self.joining } else { &self.daemon }
    }

    pub(crate) fn close(&self) {
        self.joining.close();
        self.daemon.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.joining.is_closed()
    }

    /// Told to end, and nothing is left: final.
    pub(crate) fn is_over(&self) -> bool {
        self.joining.is_ended() && self.daemon.is_ended()
    }

    pub(crate) fn count(&self) -> usize {
        self.joining.count() + self.daemon.count()
    }
}

/// One place of the family tree. What a walk looks at comes first, on one cache line.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) managers: Slots,
    /// Inherited values, by the number of their key.
    pub(crate) values: Slots,
    /// `None` is the process node: the root has no parent, and a child of the root need not count it (it is a static).
    parent: Option<Arc<Node>>,
    /// The parent's parent, which the parent keeps: a walk loads both at once, and so waits for memory half as often.
    /// Null when one of the two is the process.
    grandparent: *const Node,
    is_root: bool,
    /// Requests to stop are not delivered from above.
    shielded: bool,
    /// Requests to stop, and the node's end.
    word: AtomicU64,
    /// Told when the word changes; a scope's and the root's also for those below.
    changed: WakerSet,
    /// How many scopes are at or above this node, so that those outside any scope never search for one.
    scopes: u32,
    id: NodeId,
    /// The tasks submitted here that have not ended.
    queued: QueuedTasks,
    role: Role,
    name: Option<Cow<'static, str>>,
    family: Family,
    _registration: Registration<Node>,
}

// SAFETY: every field but the grandparent's address is `Send` and `Sync`, and that is only read, while the parent,
// which never changes, keeps it alive.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new(parent: &NodeRef, name: Option<Cow<'static, str>>, role: Role) -> Arc<Self> {
        Self::below(parent, name, role, false)
    }

    /// A child to which requests to stop are not delivered from above.
    pub(crate) fn new_shielded(parent: &NodeRef, name: Option<Cow<'static, str>>, role: Role) -> Arc<Self> {
        Self::below(parent, name, role, true)
    }

    fn below(parent: &NodeRef, name: Option<Cow<'static, str>>, role: Role, shielded: bool) -> Arc<Self> {
        let above = parent.node();
        if above.word.load(Ordering::SeqCst) & PARENT == 0 {
            above.word.fetch_or(PARENT, Ordering::SeqCst);
        }
        let scopes = above.scopes + u32::from(matches!(role, Role::Scope(_)));
        Self::build(parent.0.clone(), name, role, scopes, above.family.clone(), shielded)
    }

    /// A family of its own, with its own indices.
    pub(crate) fn new_root(family: Family) -> Arc<Self> {
        Self::build(None, None, Role::Process, 0, family, false)
    }

    fn build(
        parent: Option<Arc<Node>>,
        name: Option<Cow<'static, str>>,
        role: Role,
        scopes: u32,
        family: Family,
        shielded: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Node>| {
            let index = family.index();
            let registration = index.nodes.insert(this.clone());
            if let Role::Thread(id) = role {
                index.threads.insert(id, this.clone());
            }
            Self {
                managers: Slots::new(),
                values: Slots::new(),
                queued: QueuedTasks::new(parent.as_ref().is_none_or(|parent| parent.is_root)),
                grandparent: parent.as_ref().and_then(|parent| parent.parent.as_ref()).map_or(ptr::null(), Arc::as_ptr),
                parent,
                is_root: matches!(role, Role::Process),
                shielded,
                word: AtomicU64::new(0),
                changed: WakerSet::new(),
                scopes,
                id: NodeId::next(),
                role,
                name,
                family,
                _registration: registration,
            }
        })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn family(&self) -> &Family {
        &self.family
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
    pub(crate) fn trackers(&self) -> Option<&ScopeTrackers> {
        match &self.role {
            Role::Scope(trackers) => Some(trackers),
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

    /// The first node for which `look` answers, from this one to the root. As `path().find_map(…)`, two nodes in a
    /// step.
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

    pub(crate) fn parent_place(&self) -> Option<NodeRef> {
        self.parent()?;
        Some(NodeRef(self.parent.clone()))
    }

    /// This node, its parent, and so on to the root.
    pub(crate) fn path(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(self), |node| node.parent())
    }

    /// The scopes at or above this node, innermost first. Costs nothing where there are none.
    #[inline]
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopeTrackers> {
        self.scope_nodes().map(|(_, trackers)| trackers)
    }

    /// A scope at or above it was told to end.
    pub(crate) fn scope_closed(&self) -> bool {
        self.scopes().any(ScopeTrackers::is_closed)
    }

    /// The scopes at or above this node, innermost first, as nodes.
    #[inline]
    pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        // The last scope is known to be the last: what is above it is not looked at.
        let mut at = if self.scopes > 0 { Some(self) } else { None };
        std::iter::from_fn(move || {
            loop {
                let node = at?;
                let trackers = node.trackers();
                let left = node.scopes - u32::from(trackers.is_some());
                at = if left > 0 { node.parent.as_deref() } else { None };
                if let Some(trackers) = trackers {
                    return Some((node, trackers));
                }
            }
        })
    }

    /// The scopes at or above this node that are not at or above the other one, innermost first, as nodes. Costs a walk
    /// over the scopes of both.
    pub(crate) fn scopes_beside<'a>(
        &'a self,
        other: &Node,
    ) -> impl Iterator<Item = (&'a Node, &'a ScopeTrackers)> + use<'a> {
        let (own, others) = (self.scopes as usize, other.scopes as usize);
        let deeper = own.saturating_sub(others);
        // Of the same depth from here on: once two are the same, so are all above.
        let own = self.scope_nodes().skip(deeper);
        let others = other.scope_nodes().skip(others.saturating_sub(self.scopes as usize));
        let apart = own.zip(others).take_while(|((own, _), (other, _))| !ptr::eq(*own, *other)).count();
        self.scope_nodes().take(deeper + apart)
    }

    /// Asks what stands here, and everything below, to stop, and ends what is queued there. True when nobody had asked
    /// since the last acknowledgement. The root cannot be asked. Runs user code: wakers, drops of closures.
    pub(crate) fn cancel(&self) -> bool {
        let mut claims = Claims::new();
        let first = self.begin_cancel(&mut claims);
        claims.end(|| self.tell_request());
        first
    }

    /// The first half of a [`cancel`](Self::cancel): notes the request and claims what is queued. Runs no user code.
    pub(crate) fn begin_cancel(&self, claims: &mut Claims) -> bool {
        let first = self.note_request();
        // A scope that is closed and counts no task has none in any queue: most have ended before they are cancelled.
        if !self.trackers().is_some_and(ScopeTrackers::is_over) {
            claims.claim(self, Which::Cancelled);
        }
        first
    }

    /// As [`cancel`](Self::cancel), but what is queued stays so. Runs wakers.
    #[cfg(feature = "tower")]
    pub(crate) fn request_cancel(&self) -> bool {
        let first = self.note_request();
        self.tell_request();
        first
    }

    /// Notes a request that is then told. True when nobody had asked since the last acknowledgement.
    fn note_request(&self) -> bool {
        if self.is_root {
            return false;
        }
        // Counted before it is noted, so that whoever knows of the request finds the count.
        REQUESTED_NODES.fetch_add(1, Ordering::SeqCst);
        let request_cancel = |word: u64| Some((word | CANCEL_REQUESTED).wrapping_add(ONE_REQUEST));
        let before = match self.word.fetch_update(Ordering::SeqCst, Ordering::Relaxed, request_cancel) {
            Ok(before) | Err(before) => before,
        };
        if before & CANCEL_REQUESTED != 0 {
            REQUESTED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
        before & CANCEL_REQUESTED == 0
    }

    /// Whoever waits here or below looks whether it is asked. Runs wakers.
    pub(crate) fn tell_request(&self) {
        if self.is_root {
            return;
        }
        self.tell();
        // One word, so one order: either this sees that there is a child, or the child's own look sees the request.
        if self.word.load(Ordering::SeqCst) & PARENT != 0 {
            // Whoever waits below listens at every scope above it and at the root.
            let hub = self.path().find(|node| node.is_hub());
            if let Some(hub) = hub.filter(|hub| !ptr::eq(*hub, self)) {
                hub.tell();
            }
        }
    }

    /// Claims the queued tasks of daemon pools below a scope that was closed: none of them is to start. Runs no user code.
    pub(crate) fn claim_daemons(&self, claims: &mut Claims) {
        if self.trackers().is_some_and(|trackers| trackers.daemon.count() > 0) {
            claims.claim(self, Which::Daemon);
        }
    }

    pub(crate) fn is_shielded(&self) -> bool {
        self.shielded
    }

    #[inline]
    pub(crate) fn queued(&self) -> &QueuedTasks {
        &self.queued
    }

    /// The parent, unless that is the root.
    pub(crate) fn counted_parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref().filter(|parent| !parent.is_root)
    }

    /// Clears this node's own request. True when there was one.
    pub(crate) fn acknowledge(&self) -> bool {
        let asked = self.word.fetch_and(!(CANCEL_REQUESTED | TOLD), Ordering::SeqCst) & CANCEL_REQUESTED != 0;
        if asked {
            REQUESTED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
        asked
    }

    /// It or an ancestor was asked to stop, as far as that is delivered here. Costs one load while no node anywhere is.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        Self::any_cancel_requested() && self.is_cancelled_here()
    }

    #[inline]
    fn is_cancelled_here(&self) -> bool {
        let look = |node: &Node| match node.word.load(Ordering::Acquire) & CANCEL_REQUESTED != 0 {
            true => Some(true),
            false => node.shielded.then_some(false),
        };
        self.nearest(look).unwrap_or(false)
    }

    /// Notes that a piece of a task was told of the request that reaches this node.
    pub(crate) fn note_interrupt(&self) {
        self.nearest(|node| {
            let word = node.word.load(Ordering::Relaxed);
            if word & (CANCEL_REQUESTED | TOLD) == CANCEL_REQUESTED {
                // Not on a request that was declined just now.
                let note = |word: u64| (word & CANCEL_REQUESTED != 0).then_some(word | TOLD);
                let _ = node.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, note);
            }
            (word & CANCEL_REQUESTED != 0 || node.shielded).then_some(())
        });
    }

    /// A piece of a task was told of a request that reaches this node.
    pub(crate) fn was_interrupted(&self) -> bool {
        let look = |node: &Node| match node.word.load(Ordering::Relaxed) & (CANCEL_REQUESTED | TOLD)
            == CANCEL_REQUESTED | TOLD
        {
            true => Some(true),
            false => node.shielded.then_some(false),
        };
        self.nearest(look).unwrap_or(false)
    }

    /// It was itself asked to stop.
    pub(crate) fn cancel_requested(&self) -> bool {
        self.word.load(Ordering::Acquire) & CANCEL_REQUESTED != 0
    }

    /// How often it was itself asked to stop.
    pub(crate) fn own_requests(&self) -> u64 {
        self.word.load(Ordering::Acquire) / ONE_REQUEST
    }

    /// Whether any node of the process is asked to stop at the moment.
    #[inline]
    pub(crate) fn any_cancel_requested() -> bool {
        REQUESTED_NODES.load(Ordering::Acquire) > 0
    }

    /// How often it was asked to stop, here or above: changes with every request.
    pub(crate) fn requests(&self) -> u64 {
        let mut sum = 0_u64;
        for node in self.path() {
            sum = sum.wrapping_add(node.own_requests());
            if node.shielded {
                break;
            }
        }
        sum
    }

    /// Its own code has ended, or, of a scope, everything asked for below it.
    pub(crate) fn is_over(&self) -> bool {
        self.word.load(Ordering::Acquire) & OVER != 0
    }

    /// Marks the end of the code that stands here.
    pub(crate) fn end(&self) {
        if self.word.fetch_or(OVER, Ordering::SeqCst) & OVER == 0 {
            self.tell();
        }
    }

    /// Whoever waits here, or below a scope, looks again. Wakers are user code.
    pub(crate) fn tell(&self) {
        self.changed.wake_all();
    }

    /// Marks a scope's end, if it was told to end and nothing is left below it, and drops the values bound here, so
    /// that none of them can hold the scope. Runs user code.
    pub(crate) fn end_if_over(&self) {
        // Both are changed before they are looked at, sequentially consistent: whoever changes the last one sees both.
        if self.trackers().is_some_and(ScopeTrackers::is_over) && self.word.load(Ordering::SeqCst) & HELD == 0 {
            self.end();
            self.values.clear();
        }
    }

    /// Puts the end of a scope off, until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.word.fetch_or(HELD, Ordering::SeqCst);
    }

    /// Takes a `hold` back, if there was one. The caller looks whether the scope is over.
    pub(crate) fn release(&self) {
        // Whoever holds is also who releases, so a load tells.
        if self.word.load(Ordering::Relaxed) & HELD != 0 {
            self.word.fetch_and(!HELD, Ordering::SeqCst);
        }
    }

    /// Where those who wait below are told of requests: scopes and the root.
    fn is_hub(&self) -> bool {
        self.is_root || self.trackers().is_some()
    }

    /// The nodes at which one who waits here hears of requests, and of this node's end.
    pub(crate) fn waker_sets(&self) -> impl Iterator<Item = &WakerSet> {
        self.path().enumerate().filter(|(at, node)| *at == 0 || node.is_hub()).map(|(_, node)| &node.changed)
    }

    pub(crate) fn is_at_or_below(&self, other: &Node) -> bool {
        // Above fewer scopes than the other has above it the other cannot be: a walk from far away ends at once.
        self.path().take_while(|node| node.scopes >= other.scopes).any(|node| ptr::eq(node, other))
    }

    /// The node ends: its parent lists it no more.
    fn let_parent_go(&mut self) -> Option<Arc<Node>> {
        let parent = self.parent.take();
        self.queued.deregister(parent.as_deref());
        parent
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.word.load(Ordering::Relaxed) & CANCEL_REQUESTED != 0 {
            REQUESTED_NODES.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(id) = self.thread_id() {
            self.family.index().threads.remove(&id);
        }
        // A chain is let go in a loop: the drop of a million links must not recurse a million deep.
        let mut next = self.let_parent_go();
        while let Some(node) = next {
            next = match Arc::into_inner(node) {
                Some(mut last) => last.let_parent_go(),
                None => None,
            };
        }
    }
}

/// The root of the process-wide family. Lives for ever.
pub(crate) fn process() -> &'static Node {
    static ROOT: LazyLock<Arc<Node>> = LazyLock::new(|| Node::new_root(Family::Process));
    &ROOT
}

/// A counted reference to a node. The process node is not counted: it is `None`, and the default.
#[derive(Clone, Default)]
pub(crate) struct NodeRef(Option<Arc<Node>>);

impl NodeRef {
    pub(crate) const PROCESS: NodeRef = NodeRef(None);

    /// Whether both are the same node.
    #[inline]
    pub(crate) fn is(&self, other: &NodeRef) -> bool {
        std::ptr::eq(self.node(), other.node())
    }

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

    /// The counted node, unless it is a root.
    #[inline]
    pub(crate) fn below_root(&self) -> Option<&Arc<Node>> {
        self.0.as_ref().filter(|node| !node.is_root)
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
    pub(crate) fn innermost_scope(&self) -> Option<NodeRef> {
        let mut at = self.0.as_ref();
        while let Some(node) = at.filter(|node| node.scopes > 0) {
            if node.trackers().is_some() {
                return Some(NodeRef(Some(Arc::clone(node))));
            }
            at = node.parent.as_ref();
        }
        None
    }

    /// The root of its family. Counts one reference, however long the way.
    pub(crate) fn root(&self) -> NodeRef {
        let mut root = self.0.as_ref();
        // Ends: invariant 1 of [`crate::lineage`].
        while let Some(node) = root.filter(|node| !node.is_root) {
            root = node.parent.as_ref();
        }
        NodeRef(root.cloned())
    }

    /// Lets go, after a last [`Node::end_if_over`]: if nobody else holds the place the values go with the node, which
    /// is cheaper by far than taking them out where others may be looking. Runs user code.
    pub(crate) fn end_and_let_go(self) {
        // One step decides who is last: somebody may find the node through an index at this very moment.
        if let Some(Err(shared)) = self.0.map(Arc::try_unwrap) {
            shared.end_if_over();
        }
    }

    /// A reference that keeps nothing alive.
    pub(crate) fn downgrade(&self) -> WeakNodeRef {
        WeakNodeRef(self.0.as_ref().map(Arc::downgrade))
    }
}

/// Set once, to a node that it does not keep alive. One word.
pub(crate) struct OnceWeak(AtomicPtr<Node>);

impl OnceWeak {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// True for the first.
    pub(crate) fn set(&self, place: &NodeRef) -> bool {
        let Some(node) = &place.0 else { return false };
        let node = Weak::into_raw(Arc::downgrade(node)).cast_mut();
        // Release: pairs with `get`.
        match self.0.compare_exchange(ptr::null_mut(), node, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => true,
            Err(_) => {
                // SAFETY: it came from `into_raw` just now.
                drop(unsafe { Weak::from_raw(node) });
                false
            }
        }
    }

    pub(crate) fn upgrade(&self) -> Option<NodeRef> {
        let node = self.0.load(Ordering::Acquire);
        if node.is_null() {
            return None;
        }
        // SAFETY: it came from `into_raw`, and is given back by the drop alone.
        let node = std::mem::ManuallyDrop::new(unsafe { Weak::from_raw(node) });
        node.upgrade().map(|node| NodeRef(Some(node)))
    }
}

impl Drop for OnceWeak {
    fn drop(&mut self) {
        let node = *self.0.get_mut();
        if !node.is_null() {
            // SAFETY: it came from `into_raw`, and is given back here alone.
            drop(unsafe { Weak::from_raw(node) });
        }
    }
}

impl From<Arc<Node>> for NodeRef {
    fn from(node: Arc<Node>) -> Self {
        // The process node is a static behind an Arc; everyone refers to it as `None`.
        if ptr::eq(Arc::as_ptr(&node), process()) { Self(None) } else { Self(Some(node)) }
    }
}

/// See [`NodeRef::downgrade`].
#[derive(Clone)]
pub(crate) struct WeakNodeRef(Option<Weak<Node>>);

impl WeakNodeRef {
    /// Of what belongs to no place, and never did.
    pub(crate) fn nowhere() -> Self {
        Self(Some(Weak::new()))
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.ptr_eq(&Weak::new()))
    }

    pub(crate) fn upgrade(&self) -> Option<NodeRef> {
        match &self.0 {
            None => Some(NodeRef::PROCESS),
            Some(node) => node.upgrade().map(|node| NodeRef(Some(node))),
        }
    }
}

/// Told when what stands somewhere becomes a node.
pub(crate) trait OnMaterialize {
    /// Runs no user code.
    fn materialized(&self, node: &Arc<Node>);
}
