//! [`Pool`]: one start of a manager, with the counts that decide its life.
//!
//! # The protocol
//! 1. The submitter checks the type, counts the task ([`Pool::accept`]), and pushes it. If a permit is free, the submitter
//!    acquires it and requests a thread (`run/dispatch`).
//! 2. A worker pops a task and runs it. With an empty queue the worker releases its permit and looks again (`run/worker`).
//! 3. A wait releases the permit and starts the next task. At its end the wait reacquires the permit without asking
//!    (`blocking/release`).
//! 4. After a bounded number of tasks a thread goes to the back of the line of thread requests, if there is one.
//! 5. A queued task of a cancelled pool, of a closed daemon pool or below a cancelled scope never starts. The canceller ends
//!    it at once (`run/evict`), or a worker that pops it meanwhile.
//! 6. A pool that is closed, counts no task and has no permit acquired has ended ([`Pool::is_over`]). The three facts are
//!    three words. The thread that changes the last of them sees the other two, because all three changes are sequentially
//!    consistent.
//!
//! Where the system refuses a thread, the submitter releases the permit. If no other permit is acquired, all queued tasks end
//! as refused, so no task is stranded.

use std::io;
use std::mem;
use std::ptr::NonNull;

use slab::Slab;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::{Node, NodeRef, ScopeTrackers, WeakNodeRef};
use crate::lineage::queued::{self, Claims};
use crate::names::namespace::Namespace;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolMode;
use crate::pool::core::capacity::Capacity;
use crate::pool::core::counters::Counters;
use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::kind::Kind;
use crate::pool::core::permits::Permits;
use crate::pool::core::queue::Queue;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::task_meta::{Counted, Task, TaskMeta};
use crate::sync::os::{Arc, AtomicBool, AtomicIsize, LazyLock, Mutex, OnceLock, Ordering};
use crate::sync::weak_list::{Registration, WeakList};
use crate::threads::job::{Job, WorkerHandle};
use crate::totals::record::PoolRecord;
use crate::wait::tracker::{Entry, Left, TaskTracker};

/// Boxed as a whole, which makes a pool without nodes a pointer smaller.
#[derive(Default)]
struct Nodes(Slab<WeakNodeRef>);

/// Key of a node in `Pool::nodes`.
pub(crate) struct NodeKey(usize);

/// One start of a manager.
///
/// The order of the fields is the order in memory. Submitters change the first cache line (tracker, inbox). Workers change
/// others for each task (list, completed). Behind them lie the fields that seldom change while the pool is busy (permits). A busy
/// worker looks at the submitters' line once a batch only: each look would cost the next submit about 100 ns.
#[repr(C)]
pub(crate) struct Pool {
    pub(crate) tracker: TaskTracker,
    pub(crate) queue: Queue<TaskMeta, QueueStats>,
    pub(crate) counters: Counters,
    pub(crate) permits: Permits,
    pub(crate) held_permits: HeldPermits,
    pub(crate) capacity: Option<Capacity>,
    pub(crate) namespace: Namespace,
    pub(crate) owner: WeakNodeRef,
    pub(crate) config: PoolConfig,
    pub(crate) kind: Box<dyn Kind<Pool>>,
    pub(crate) cancelled: AtomicBool,
    pub(crate) cause: OnceLock<Cancelled>,
    /// Nodes of running tasks, for the canceller. Most pools have none.
    nodes: Mutex<Option<Box<Nodes>>>,
    /// Tombstones: queued tasks already claimed by a cancel or a join. Briefly negative when the pop is counted before the
    /// claim.
    pub(crate) tombstones_queued: AtomicIsize,
    /// The kind was dismissed.
    over: AtomicBool,
    pub(crate) warned: AtomicBool,
    /// A piece of a work-stealing pool's task was handed the pool's cancel request.
    pub(crate) interrupted: AtomicBool,
    listed: OnceLock<Registration<Pool>>,
    pub(crate) totals: PoolRecord,
}

/// The joining pools of this process, for its exit.
pub(crate) fn joining() -> &'static WeakList<Pool> {
    static JOINING: LazyLock<WeakList<Pool>> = LazyLock::new(WeakList::new);
    &JOINING
}

/// Why [`Pool::accept`] counted no task.
pub(crate) enum NotAccepted {
    /// A scope at or above this node has ended.
    ScopeEnded(NodeRef),
    Closed,
}

impl Pool {
    pub(crate) fn new(
        namespace: Namespace,
        owner: WeakNodeRef,
        config: PoolConfig,
        kind: Box<dyn Kind<Pool>>,
    ) -> Arc<Self> {
        let each = config.rare().order.as_ref().and_then(|order| order.limit_each);
        let limit = config.rare().queue_limit.or_else(|| each.map(|_| usize::MAX));
        let capacity = limit.map(|limit| Capacity::new(limit, each));
        let queue = match &config.rare().order {
            Some(order) => Queue::ordered(order.levels, QueueStats::new(true)),
            None => Queue::new(QueueStats::new(false)),
        };
        let pool = Arc::new(Self {
            tracker: TaskTracker::new(),
            queue,
            permits: Permits::new(),
            held_permits: HeldPermits::new(),
            counters: Counters::default(),
            capacity,
            namespace,
            owner,
            config,
            kind,
            cancelled: AtomicBool::new(false),
            cause: OnceLock::new(),
            nodes: Mutex::new(None),
            tombstones_queued: AtomicIsize::new(0),
            over: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            listed: OnceLock::new(),
            totals: PoolRecord::new(),
        });
        if pool.joins() {
            let _ = pool.listed.set(joining().insert(Arc::downgrade(&pool)));
        }
        pool
    }

    pub(crate) fn joins(&self) -> bool {
        self.config.mode == PoolMode::Joining
    }

    /// Returns the node at which the code of a task submitted at `place` runs.
    ///
    /// A work-stealing pool's tasks run at the owner, because a stolen piece may run on top of any of them.
    #[inline]
    pub(crate) fn standing(&self, place: &NodeRef) -> NodeRef {
        // The owner lives: the task keeps it until the task runs, and a thread keeps it while it works for the pool.
        if self.config.steals() { self.owner.upgrade().unwrap_or(NodeRef::PROCESS) } else { place.clone() }
    }

    /// Counts a task in the pool, and in the scopes of its submitter's node and the node of its code.
    ///
    /// # Errors
    /// The reason why nothing is counted.
    #[inline]
    pub(crate) fn accept(self: &Arc<Self>, counted: &Counted) -> Result<(), NotAccepted> {
        let place = &counted.place;
        match self.tracker.enter() {
            // The pool holds itself while it counts a task; `leave` releases it.
            Ok(Entry::First) => mem::forget(Arc::clone(self)),
            Ok(Entry::Another) => {}
            // The submitter gets the scope as the reason, because its end ended the pool.
            Err(_) if place.node().scope_closed() => return Err(NotAccepted::ScopeEnded(place.clone())),
            Err(_) => return Err(NotAccepted::Closed),
        }
        for (entered, scope) in place.node().scopes().enumerate() {
            if scope.of(self.joins()).enter().is_err() {
                self.retract_from(place.node().scope_nodes().take(entered));
                return Err(NotAccepted::ScopeEnded(place.clone()));
            }
        }
        if counted.owner.is_counted() { self.accept_at_owner(counted) } else { Ok(()) }
    }

    /// The second half of `accept`, for a task whose code runs elsewhere.
    #[cold]
    fn accept_at_owner(self: &Arc<Self>, counted: &Counted) -> Result<(), NotAccepted> {
        for (entered, (_, scope)) in counted.owner_scopes().enumerate() {
            if scope.of(self.joins()).enter().is_err() {
                let scopes = counted.owner_scopes().take(entered).chain(counted.place.node().scope_nodes());
                self.retract_from(scopes);
                return Err(NotAccepted::ScopeEnded(counted.owner.clone()));
            }
        }
        Ok(())
    }

    /// Counts out an accepted task that was not queued.
    pub(crate) fn retract(self: &Arc<Self>, counted: &Counted) {
        self.retract_from(counted.scope_nodes());
    }

    /// Undoes an `accept` that has entered these scopes.
    #[cold]
    fn retract_from<'a>(self: &Arc<Self>, scopes: impl Iterator<Item = (&'a Node, &'a ScopeTrackers)>) {
        for (node, scope) in scopes {
            self.leave_scope(node, scope);
        }
        self.left(self.tracker.retract());
    }

    /// Counts a task out of the pool. The caller holds the pool, or the count did until now.
    pub(crate) fn leave(self: &Arc<Self>) {
        self.leave_many(1);
    }

    /// Counts several tasks out of the pool.
    #[inline]
    pub(crate) fn leave_many(self: &Arc<Self>, tasks: u64) {
        self.left(self.tracker.leave_many(tasks));
    }

    #[inline]
    fn left(self: &Arc<Self>, left: Left) {
        if let Left::Last { notify } = left {
            if notify {
                self.tracker.notify();
            }
            self.end_if_over();
            // SAFETY: pairs with the `forget` at `Entry::First`: the count fell to zero, and this call made it do so.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(self)) };
        }
    }

    /// Counts a task out of a scope.
    #[inline]
    pub(crate) fn leave_scope(&self, node: &Node, scope: &ScopeTrackers) {
        let tracker = scope.of(self.joins());
        if let Left::Last { notify } = tracker.leave() {
            // The node ends first, so that a waiter for the count finds the scope's values gone.
            node.end_if_over();
            if notify {
                tracker.notify();
            }
        }
    }

    /// Returns whether a task that has not started is never to start.
    pub(crate) fn drops(&self, counted: &Counted) -> bool {
        self.drops_at(counted.place.node()) || (counted.owner.is_counted() && self.drops_at(counted.owner.node()))
    }

    /// The same for a task that no thread has begun.
    pub(crate) fn drops_task(&self, meta: &TaskMeta) -> bool {
        let owner = meta.rare.as_ref().map(|rare| &rare.owner);
        self.drops_at(meta.place.node()) || owner.is_some_and(|owner| owner.is_counted() && self.drops_at(owner.node()))
    }

    #[inline]
    pub(crate) fn drops_at(&self, node: &Node) -> bool {
        self.drops_all() || (!self.joins() && node.scope_closed()) || node.is_cancelled()
    }

    /// Returns whether no queued task of the pool is to start.
    #[inline]
    pub(crate) fn drops_all(&self) -> bool {
        self.is_cancelled() || (!self.joins() && self.tracker.is_closed())
    }

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn cancel_reason(&self) -> CancelReason {
        self.cause.get().map_or(CancelReason::Request, Cancelled::reason)
    }

    /// Returns whether the pool is closed, every accepted task has finished, and no permit is acquired.
    ///
    /// True is final: no permit is acquired after the first call that returns it.
    pub(crate) fn is_over(&self) -> bool {
        self.tracker.is_ended() && self.permits.end()
    }

    /// Dismisses the kind at the pool's end, once, and notifies the waiters for the end.
    pub(crate) fn end_if_over(&self) {
        if self.tracker.is_ended() {
            self.kind.tasks_ended(self);
        }
        if self.is_over() && !self.over.swap(true, Ordering::AcqRel) {
            self.kind.dismiss();
            self.tracker.notify();
        }
    }

    /// Returns the registered node that is to list a task submitted at `place`.
    ///
    /// `None` for a root, which is never cancelled.
    #[inline]
    pub(crate) fn listing_node(place: &NodeRef) -> Option<NonNull<Node>> {
        let node = place.below_root()?;
        queued::register(node);
        Some(NonNull::from(&**node))
    }

    /// Lists a task at its node. Returns false when the task is never to start.
    ///
    /// # Safety
    /// The node came from `listing_node`, and the task's meta holds it. No other thread has seen the task.
    #[inline]
    pub(crate) unsafe fn list(&self, node: NonNull<Node>, task: &Task) -> bool {
        let joins = self.joins();
        // SAFETY: the meta holds the node until a claimer takes it, which can be once the task is listed and the list
        // unlocked; nothing touches the node here after that. A cell does not move, and each claimer unlists its task
        // before it finishes it.
        unsafe {
            let node = node.as_ref();
            node.queued().of(joins).list(task.link(), || node.is_cancelled() || (!joins && node.scope_closed()))
        }
    }

    /// Takes a claimed task off its node's list. The claimer calls it before it finishes the task, which may free the cell.
    #[inline]
    pub(crate) fn unlist(&self, place: &NodeRef, task: &Task) {
        if let Some(node) = place.below_root() {
            // SAFETY: the reference keeps the task, which was listed at its own node, or never.
            unsafe { node.queued().of(self.joins()).unlist(task.link()) };
        }
    }

    /// Releases the capacity of a task that has not run, in a bounded queue, and notifies the next waiter for it.
    pub(crate) fn release_capacity(&self, task: &Task) {
        if let Some(capacity) = &self.capacity {
            capacity.count_one(task);
            capacity.notify_freed();
        }
    }

    /// Notes the node of a task that runs here.
    pub(crate) fn note_node(&self, node: &NodeRef) -> NodeKey {
        let at = self.nodes.lock().get_or_insert_default().0.insert(node.downgrade());
        // The canceller sets the flag and then looks at the list. So one of the two sees the other.
        if self.is_cancelled() {
            node.node().cancel(self.cancel_reason());
        }
        NodeKey(at)
    }

    /// Forgets the node of a finished task, so that the list keeps no memory for it.
    pub(crate) fn forget_node(&self, node_key: NodeKey) {
        let mut nodes = self.nodes.lock();
        let node = nodes.as_mut().and_then(|nodes| nodes.0.try_remove(node_key.0));
        let empty = nodes.take_if(|nodes| nodes.0.is_empty());
        drop(nodes);
        drop((node, empty));
    }

    /// Cancels the nodes of running tasks, and claims the tasks queued below them. Returns the nodes whose watchers the
    /// caller then notifies. Running tasks without a node look at the pool's flag.
    pub(crate) fn cancel_running(&self, claims: &mut Claims) -> Vec<NodeRef> {
        let mut nodes = self.running_nodes();
        nodes.retain(|node| !node.node().is_over());
        for node in &nodes {
            node.node().begin_cancel(claims, self.cancel_reason());
        }
        nodes
    }

    /// The nodes of running tasks.
    pub(crate) fn running_nodes(&self) -> Vec<NodeRef> {
        match &*self.nodes.lock() {
            Some(nodes) => nodes.0.iter().filter_map(|(_, node)| node.upgrade()).collect(),
            None => Vec::new(),
        }
    }
}

/// Counts a task out of a tracker that the caller keeps alive.
pub(crate) fn leave_tracker(tracker: &TaskTracker) {
    if let Left::Last { notify: true } = tracker.leave() {
        tracker.notify();
    }
}

/// A thread request of the pool.
impl Job for Pool {
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        self.kind.work(&self, worker)
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        self.kind.refused(&self, error);
    }

    fn let_go(self: Arc<Self>, ends: bool) {
        self.kind.let_go(&self, ends);
    }
}
