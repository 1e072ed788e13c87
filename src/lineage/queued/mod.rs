//! [`QueuedTasks`]: the queued tasks of one node, so that a cancel ends exactly those.
//!
//! A task is listed at the node that it was submitted at, in whichever pool it is queued, until it finishes. A cancel
//! of that node, or of one above it, takes each listed task off, claims it and ends it. The cost of a cancel therefore
//! grows with the tasks submitted below the cancelled node, not with the queues that those tasks are in. The links are
//! part of the task: listing allocates nothing. A root is never cancelled, so it lists nothing.
//!
//! # Descendants
//! A node points to its parent only. A node that is about to list its first task registers with its parent, after the
//! parent has registered with its own, and so on from the top: the ancestors of a registered node are registered, and a
//! cancel of any of them reaches the node. A node deregisters when it is dropped.
//!
//! # Tasks from elsewhere
//! A work-stealing pool's tasks stand at the pool's owner, wherever they were submitted. The owner's node knows such
//! pools ([`OwnedQueue`]), and a cancel that reaches the node ends the queued tasks of these pools too.
//!
//! # The race to fear
//! A submitter finds its node not cancelled, and lists the task after the canceller has walked past the node. Locks rule
//! it out. The submitter registers the node, then locks the list, reads the requests and lists the task before the
//! unlock. The canceller notes the request, then locks the lists of the node and of each registered descendant. Of the
//! two critical sections at one list the later one sees the changes made before the earlier one: the canceller sees the
//! task, or the submitter sees the request. A canceller that does not find the node at its parent has locked the parent's
//! `below` before the node registered there, so the submitter, which reads the requests later, sees the request too.
//!
//! An acknowledged request ends nothing more. The canceller reads the request under the lock under which it claims a
//! task, so it leaves alone a task that was submitted after the acknowledgement.
//!
//! # Locks
//! A node's `below` may be locked while its parent's is taken, never the other way round. No user code runs under a lock,
//! nor between a claim and its outcome: the canceller makes all its claims first, and the engine gives each task its
//! outcome before it drops or wakes anything. So a closure whose drop joins another cancelled task does not wait.

mod task_list;

use std::ptr::NonNull;

use slab::Slab;
use smallvec::SmallVec;

use crate::error::Cancelled;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::os::{Arc, OnceLock, Weak};

use self::task_list::ClaimTask;
pub(crate) use self::task_list::{TaskLink, TaskList};

/// A node as this file sees it: the node type lies above.
pub(crate) trait ListingNode: Sized {
    fn queued(&self) -> &QueuedTasks<Self>;

    /// Returns the parent, or `None` below a root and at one.
    fn parent_below_root(&self) -> Option<&Arc<Self>>;

    /// Returns whether no request of the nodes above reaches this node.
    fn is_shielded(&self) -> bool;

    /// Returns whether this very node is cancelled.
    fn cancel_requested(&self) -> bool;
}

/// The engine's way to claim and end a listed task: this layer does not know tasks.
pub(crate) struct TaskOps {
    /// Returns whether tasks may be ended here at all. They may not in a fork's child.
    pub(crate) may_end: fn() -> bool,
    pub(crate) claim: ClaimTask,
    /// Ends claimed tasks, for this cause. Runs user code: the given closure first, which is called once when all of them have their
    /// outcome.
    pub(crate) end: fn(Claims, &Cancelled, &mut dyn FnMut()),
}

/// Installed by the engine before it lists a task.
static OPS: OnceLock<&'static TaskOps> = OnceLock::new();

/// Installs the engine's operations, once.
pub(crate) fn install(ops: &'static TaskOps) {
    let _ = OPS.set(ops);
}

/// Tasks claimed in lists of nodes, in the order in which the caller ends them.
#[must_use = "each claimed task has to be ended"]
pub(crate) struct Claims(Vec<NonNull<TaskLink>>);

impl Claims {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Claims the tasks queued at the node and below it. Runs no user code.
    pub(crate) fn claim<N: ListingNode>(&mut self, at: &N, which: Which) {
        let Some(ops) = OPS.get().filter(|ops| (ops.may_end)()) else { return };
        let unwanted = || which == Which::Daemon || at.cancel_requested();
        at.queued().claim_own(ops, which, unwanted, &mut self.0);
        let mut nodes = Vec::new();
        at.queued().children(&mut nodes);
        while let Some(node) = nodes.pop() {
            // A request does not reach a shielded node. A closed scope refuses tasks from anywhere below it.
            if which == Which::Cancelled && node.is_shielded() {
                continue;
            }
            node.queued().claim_own(ops, which, unwanted, &mut self.0);
            node.queued().children(&mut nodes);
        }
    }

    /// Ends the tasks. Calls `notify` once, when all of them have their outcome, and before anything is dropped.
    ///
    /// `cause` gives the reason that the tasks end with.
    pub(crate) fn end(self, cause: impl FnOnce() -> Cancelled, mut notify: impl FnMut()) {
        match OPS.get() {
            Some(ops) if !self.0.is_empty() => (ops.end)(self, &cause(), &mut notify),
            _ => notify(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the links of the claimed tasks. The caller ends each of them.
    pub(crate) fn into_links(self) -> Vec<NonNull<TaskLink>> {
        self.0
    }
}

/// A queue whose tasks stand at one node, wherever they were submitted.
pub(crate) trait OwnedQueue: Send + Sync {
    /// Claims the queued tasks, as [`TaskOps::claim`] does, as long as they are `unwanted`. Runs no user code.
    fn claim_queued(&self, which: Which, unwanted: &dyn Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>);
}

/// The choice of listed tasks to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All, as long as the node's request stands.
    Cancelled,
    /// The tasks of daemon pools, below a closed scope.
    Daemon,
}

/// The listed tasks and the registered children of one node.
// The order is the memory's: the list of joining tasks, which is used most, lies beside the scope's trackers.
#[repr(C)]
pub(crate) struct QueuedTasks<N> {
    below: Mutex<Descendants<N>>,
    /// This node and its ancestors are registered.
    registered: AtomicBool,
    daemon: TaskList,
    joining: TaskList,
}

struct Descendants<N> {
    /// The registered children. Boxed: most nodes have none.
    children: Option<Box<Slab<Weak<N>>>>,
    /// This node's key in its parent's `children`.
    key: Option<usize>,
    /// The queues whose tasks stand here. Boxed: most nodes have none.
    #[allow(clippy::box_collection, reason = "a node is a word smaller so")]
    queues: Option<Box<Vec<Weak<dyn OwnedQueue>>>>,
}

impl<N> QueuedTasks<N> {
    /// Makes an empty one. `top` is true for a node that has no ancestor to register with.
    pub(crate) fn new(top: bool) -> Self {
        Self {
            below: Mutex::new(Descendants { children: None, key: None, queues: None }),
            registered: AtomicBool::new(top),
            daemon: TaskList::new(),
            joining: TaskList::new(),
        }
    }

    /// Returns the list for tasks of joining pools, or of daemon pools.
    #[inline]
    pub(crate) fn of(&self, joins: bool) -> &TaskList {
        if joins { &self.joining } else { &self.daemon }
    }

    /// Claims the node's own tasks, the oldest first, while `unwanted` holds.
    fn claim_own(&self, ops: &TaskOps, which: Which, unwanted: impl Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        if which == Which::Cancelled {
            self.joining.claim_all(ops.claim, &unwanted, into);
        }
        self.daemon.claim_all(ops.claim, &unwanted, into);
        let queues = self.below.lock().queues.as_ref().map(|all| all.iter().filter_map(Weak::upgrade).collect());
        let queues: Vec<Arc<dyn OwnedQueue>> = queues.unwrap_or_default();
        for queue in queues {
            queue.claim_queued(which, &unwanted, into);
        }
    }

    fn children(&self, into: &mut Vec<Arc<N>>) {
        if let Some(children) = &self.below.lock().children {
            into.extend(children.iter().filter_map(|(_, child)| child.upgrade()));
        }
    }
}

impl<N: ListingNode> QueuedTasks<N> {
    /// Removes a node that is being dropped from its parent's list.
    pub(crate) fn deregister(&mut self, parent: Option<&N>) {
        let (Some(key), Some(parent)) = (self.below.get_mut().key.take(), parent) else { return };
        let mut below = parent.queued().below.lock();
        let child = below.children.as_mut().and_then(|children| children.try_remove(key));
        // The last child frees the list.
        let empty = below.children.take_if(|children| children.is_empty());
        drop(below);
        drop((child, empty));
    }
}

/// Registers a node whose first task is about to be listed. Costs one load on a registered node.
#[inline]
pub(crate) fn register<N: ListingNode>(node: &Arc<N>) {
    // Acquire: pairs with the Release in `register_path`, so a request that the registration saw is seen here too.
    if !node.queued().registered.load(Ordering::Acquire) {
        register_path(node);
    }
}

/// Lets a cancel that reaches the node end the tasks of this queue.
///
/// The node drops its weak reference some time after the queue is dropped.
pub(crate) fn stands_at<N: ListingNode>(node: &Arc<N>, queue: Weak<dyn OwnedQueue>) {
    register(node);
    let mut below = node.queued().below.lock();
    let queues = below.queues.get_or_insert_default();
    if queues.len() == queues.capacity() {
        queues.retain(|known| known.strong_count() > 0);
        // As many again, so that a full list is not walked for each new queue.
        queues.reserve(queues.len() + 1);
    }
    queues.push(queue);
}

#[cold]
fn register_path<N: ListingNode>(node: &Arc<N>) {
    let is_new = |node: &&Arc<N>| !node.queued().registered.load(Ordering::Acquire);
    let path: SmallVec<[&Arc<N>; 8]> =
        std::iter::successors(Some(node), |node| node.parent_below_root()).take_while(is_new).collect();
    // From the top: a registered node has registered ancestors at every moment.
    for node in path.into_iter().rev() {
        let mut below = node.queued().below.lock();
        if below.key.is_none()
            && let Some(parent) = node.parent_below_root()
        {
            let child = Arc::downgrade(node);
            below.key = Some(parent.queued().below.lock().children.get_or_insert_default().insert(child));
        }
        node.queued().registered.store(true, Ordering::Release);
    }
}
