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

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::{Node, NodeRef, ScopeTrackers, WeakNodeRef};
use crate::names::namespace::Namespace;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::{PoolKind, PoolMode};
use crate::pool::core::capacity::Capacity;
use crate::pool::core::cold::Cold;
use crate::pool::core::counters::Counters;
use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::kind::Kind;
use crate::pool::core::permits::Permits;
use crate::pool::core::queue::Queue;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::task_meta::{Counted, Task, TaskMeta};
use crate::sync::atomic::AtomicU32;
use crate::sync::os::{Arc, AtomicBool, AtomicIsize, LazyLock, OnceLock, Ordering, Weak};
use crate::sync::weak_list::{ListKey, WeakList};
use crate::task::rank::Rank;
use crate::threads::job::{Job, WorkerHandle};
use crate::totals::record::PoolRecord;
use crate::wait::tracker::{Entry, Left, TaskTracker};

/// One start of a manager.
///
/// # The layout
/// The order of the fields is the order in memory. It keeps three groups of words on different cache lines:
///
/// 1. words that submitters and workers read for each task, and seldom change: from `totals` to `over`;
/// 2. words that submitters change for each task: the tracker's, and the queue's inbox;
/// 3. words that workers change for each task: the queue's list, and the counters.
///
/// A word of one group on a line of another group would cost each task the line's way from core to core, about 100 ns. A busy
/// worker looks at the second group once a batch only. Cold fields lie between the groups, and take the place of padding:
/// `namespace`, `owner` and the tracker's wakers between the first two, [`Between`] between the last two. The allocator
/// aligns to 16 bytes, so two groups never meet on a line of 64 bytes if the multiples of 16 between them are four. The
/// assertions below count them.
///
/// An idle pool is so small because data that most pools never have is [elsewhere](super::cold), as is the list of
/// [running tasks](super::queue_stats) while there is none.
#[repr(C)]
pub(crate) struct Pool {
    pub(crate) totals: PoolRecord,
    pub(crate) permits: Permits,
    pub(crate) config: PoolConfig,
    pub(crate) kind: Box<dyn Kind<Pool>>,
    /// Tasks that have released their permits in waits. Each has a stack, so there are fewer than 2^32.
    pub(crate) waiting: AtomicU32,
    pub(crate) cancelled: AtomicBool,
    pub(crate) warned: AtomicBool,
    /// A piece of a work-stealing pool's task was handed the pool's cancel request.
    pub(crate) interrupted: AtomicBool,
    /// The kind was dismissed.
    over: AtomicBool,
    pub(crate) namespace: Namespace,
    pub(crate) owner: WeakNodeRef,
    pub(crate) tracker: TaskTracker,
    pub(crate) queue: Queue<TaskMeta, QueueStats, Between>,
    pub(crate) counters: Counters,
}

/// The cold fields between the words of submitters and those of workers.
pub(crate) struct Between {
    pub(super) cold: OnceLock<Box<Cold>>,
    /// Read in a pool with a queue limit alone.
    capacity: Option<Box<Capacity>>,
    _listed: Option<Listed>,
    held_permits: HeldPermits,
    /// Queued tasks already claimed by a cancel or a join. Briefly negative when the pop is counted before the claim.
    tombstones: AtomicIsize,
}

#[cfg(all(target_pointer_width = "64", not(loom)))]
const _: () = {
    use std::mem::offset_of;

    /// Whether words at these offsets never share a cache line of 64 bytes.
    const fn is_apart(before: usize, after: usize) -> bool {
        after / 16 - before / 16 >= 4
    }

    type Tasks = Queue<TaskMeta, QueueStats, Between>;
    const QUEUE: usize = offset_of!(Pool, queue);
    const SUBMITTERS: usize = offset_of!(Pool, tracker) + TaskTracker::WORD;
    const INBOX: usize = QUEUE + Tasks::INBOX;
    assert!(is_apart(offset_of!(Pool, over), SUBMITTERS));
    assert!(SUBMITTERS.is_multiple_of(16) && INBOX == SUBMITTERS + 8, "submitters change one line");
    assert!(is_apart(INBOX, QUEUE + Tasks::LIST));
};

/// The joining pools of this process, for its exit.
pub(crate) fn joining() -> &'static WeakList<Pool> {
    static JOINING: LazyLock<WeakList<Pool>> = LazyLock::new(WeakList::new);
    &JOINING
}

/// A pool's entry there.
struct Listed(ListKey);

impl Drop for Listed {
    fn drop(&mut self) {
        joining().unlist(self.0);
    }
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
        Arc::new_cyclic(|this| {
            let listed = config.mode == PoolMode::Joining;
            let each = config.rare().order.as_ref().and_then(|order| order.limit_each);
            let limit = config.rare().queue_limit.unwrap_or(usize::MAX);
            let between = Between {
                cold: OnceLock::new(),
                capacity: config.is_bounded().then(|| Box::new(Capacity::new(limit, each))),
                _listed: listed.then(|| Listed(joining().list(Weak::clone(this)))),
                held_permits: HeldPermits::new(),
                tombstones: AtomicIsize::new(0),
            };
            let queue = match &config.rare().order {
                Some(order) => Queue::ordered(order.levels, QueueStats::new(), between),
                None => Queue::new(QueueStats::new(), between),
            };
            Self {
                totals: PoolRecord::new(),
                permits: Permits::new(),
                config,
                kind,
                waiting: AtomicU32::new(0),
                cancelled: AtomicBool::new(false),
                warned: AtomicBool::new(false),
                interrupted: AtomicBool::new(false),
                over: AtomicBool::new(false),
                namespace,
                owner,
                tracker: TaskTracker::new(),
                queue,
                counters: Counters::default(),
            }
        })
    }

    pub(crate) fn joins(&self) -> bool {
        self.config.mode == PoolMode::Joining
    }

    /// Returns whether a requested thread acquires its permit when it arrives, and not before ([`Permits`]).
    #[inline]
    pub(crate) fn sends(&self) -> bool {
        self.config.kind == PoolKind::Leased
    }

    /// Returns the node at which the code of a task submitted at `place` runs.
    ///
    /// A work-stealing pool's tasks run at the owner, because a stolen piece may run on top of any of them.
    #[inline]
    pub(crate) fn standing(&self, place: &NodeRef) -> NodeRef {
        // The owner lives: the task keeps it until the task runs, and a thread keeps it while it works for the pool.
        if self.config.steals() { self.owner.upgrade().unwrap_or(NodeRef::PROCESS) } else { place.clone() }
    }

    /// Counts tasks, at least one, in the pool, and in the scopes of their submitter's node and the node of their code.
    ///
    /// # Errors
    /// The reason why nothing is counted.
    #[inline]
    pub(crate) fn accept(self: &Arc<Self>, counted: &Counted, tasks: u64) -> Result<(), NotAccepted> {
        let place = &counted.place;
        match self.tracker.enter_many(tasks) {
            // The pool holds itself while it counts a task; `leave` releases it.
            Ok(Entry::First) => mem::forget(Arc::clone(self)),
            Ok(Entry::Another) => {}
            // The submitter gets the scope as the reason, because its end ended the pool.
            Err(_) if place.node().scope_closed() => return Err(NotAccepted::ScopeEnded(place.clone())),
            Err(_) => return Err(NotAccepted::Closed),
        }
        for (entered, scope) in place.node().scopes().enumerate() {
            if scope.of(self.joins()).enter_many(tasks).is_err() {
                self.retract_from(place.node().scope_nodes().take(entered), tasks);
                return Err(NotAccepted::ScopeEnded(place.clone()));
            }
        }
        if counted.owner.is_counted() { self.accept_at_owner(counted, tasks) } else { Ok(()) }
    }

    /// The second half of `accept`, for tasks whose code runs elsewhere.
    #[cold]
    fn accept_at_owner(self: &Arc<Self>, counted: &Counted, tasks: u64) -> Result<(), NotAccepted> {
        for (entered, (_, scope)) in counted.owner_scopes().enumerate() {
            if scope.of(self.joins()).enter_many(tasks).is_err() {
                let scopes = counted.owner_scopes().take(entered).chain(counted.place.node().scope_nodes());
                self.retract_from(scopes, tasks);
                return Err(NotAccepted::ScopeEnded(counted.owner.clone()));
            }
        }
        Ok(())
    }

    /// Counts out accepted tasks that were not queued.
    pub(crate) fn retract(self: &Arc<Self>, counted: &Counted, tasks: u64) {
        self.retract_from(counted.scope_nodes(), tasks);
    }

    /// Undoes an `accept` that has entered these scopes.
    #[cold]
    fn retract_from<'a>(self: &Arc<Self>, scopes: impl Iterator<Item = (&'a Node, &'a ScopeTrackers)>, tasks: u64) {
        for (node, scope) in scopes {
            self.leave_scope(node, scope, tasks);
        }
        self.left(self.tracker.retract_many(tasks));
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

    /// Counts tasks out of a scope.
    #[inline]
    pub(crate) fn leave_scope(&self, node: &Node, scope: &ScopeTrackers, tasks: u64) {
        let tracker = scope.of(self.joins());
        if let Left::Last { notify } = tracker.leave_many(tasks) {
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
        self.cause().map_or(CancelReason::Request, Cancelled::reason)
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

    /// The cold data, to be changed.
    #[cold]
    pub(crate) fn cold(&self) -> &Cold {
        self.queue.between.cold.get_or_init(Box::default)
    }

    /// The cold data, if there is some.
    pub(super) fn known_cold(&self) -> Option<&Cold> {
        self.queue.between.cold.get().map(|cold| &**cold)
    }

    /// The cause of the pool's cancel request.
    pub(super) fn cause(&self) -> Option<&Cancelled> {
        self.known_cold()?.cause.get()
    }

    /// The free capacity of a bounded queue.
    #[inline]
    pub(crate) fn capacity(&self) -> Option<&Capacity> {
        // The settings are asked first, because they lie on a line that each task reads anyway.
        if self.config.is_bounded() { self.queue.between.capacity.as_deref() } else { None }
    }

    pub(crate) fn held_permits(&self) -> &HeldPermits {
        &self.queue.between.held_permits
    }

    /// The number of tombstones in the queue.
    pub(crate) fn tombstones(&self) -> &AtomicIsize {
        &self.queue.between.tombstones
    }

    /// Releases the capacity of a task that has not run, in a bounded queue, and notifies the next waiter for it.
    pub(crate) fn release_capacity(&self, task: &Task) {
        if let Some(capacity) = self.capacity() {
            capacity.count_one(task);
            capacity.notify_freed();
        }
    }

    /// Releases the capacity of tasks that were never queued, in a bounded queue.
    #[cold]
    pub(crate) fn release_unused(&self, rank: Option<Rank>, tasks: usize) {
        if let Some(capacity) = self.capacity()
            && tasks > 0
        {
            capacity.release_unused(rank, tasks);
        }
    }
}

/// Counts tasks out of a tracker that the caller keeps alive.
pub(crate) fn leave_tracker(tracker: &TaskTracker, tasks: u64) {
    if let Left::Last { notify: true } = tracker.leave_many(tasks) {
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
