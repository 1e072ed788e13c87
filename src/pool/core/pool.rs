//! [`Pool`]: one start of a manager. How tasks come in.
//!
//! # The protocol
//! 1. Submit: check the type, count the task (unless closed), push, then, if a place is free, take it and send a
//!    thread.
//! 2. A worker pops and runs; on an empty queue it gives its place back and looks again (`worker`).
//! 3. A wait gives its place back and starts the next task; coming back it takes its place without asking (`wait`).
//! 4. After a bounded number of tasks a thread goes to the back of the line, if there is one.
//! 5. A task of a cancelled pool, of a closed daemon pool or below a cancelled scope ends as cancelled instead of
//!    running: at once, by whoever cancels (`evict`), or by a worker that pops it meanwhile.
//! 6. Closed, nothing counted and no place taken together mean ended (`end`). Three words; whoever changes one of them
//!    last sees the other two, because all three changes are sequentially consistent.
//!
//! If the system refuses a thread, the place is given back; when no other place is taken, everything queued ends as
//! refused, so nothing is stranded.

use std::io;
use std::mem;
use std::ptr::NonNull;

use slab::Slab;
use tracing::level_filters::LevelFilter;

use crate::error::{Refused, SubmitError, SubmitErrorKind, TaskError};
use crate::lineage::current;
use crate::lineage::handle::closed_scope;
use crate::lineage::node::{Node, NodeRef, ScopeTrackers, WeakNodeRef};
use crate::lineage::queued::Claims;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::{PoolConfig, PoolMode};
use crate::pool::context::frame;
use crate::pool::context::interrupted;
use crate::pool::core::capacity::Capacity;
use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::kind::Kind;
use crate::pool::core::permits::Permits;
use crate::pool::core::queue::Queue;
use crate::pool::core::queue_stats::QueueStats;
use crate::pool::core::stats::Counters;
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::dedicated::warm::WorkerPurpose;
use crate::pool::run::evict::{self, Evicted};
use crate::pool::run::worker::Task;
use crate::subscriber::Scoped;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicBool, AtomicIsize, LazyLock, Mutex, OnceLock, Ordering};
use crate::sync::unwind::swallow;
use crate::sync::weak_list::{Registration, WeakList};
use crate::task::cell::{Claimed, TaskRef, reclaim};
use crate::threads::cache::{Job, WorkerHandle};
use crate::totals::record::PoolRecord;
use crate::wait::tracker::{Entry, Left, TaskTracker};

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
    fn new(place: NodeRef, owner: NodeRef) -> Self {
        let differs = !place.node().is_at_or_below(owner.node());
        Self { place, owner: if differs { owner } else { NodeRef::PROCESS }, scoped: None }
    }

    /// The scopes that count it, as nodes, in the order in which they are left: each after those below it.
    pub(crate) fn scope_nodes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
        self.owner_scopes().chain(self.place.node().scope_nodes())
    }

    /// Those of them that count it for its code alone. The process has none, so for most tasks this is one look.
    #[inline]
    fn owner_scopes(&self) -> impl Iterator<Item = (&Node, &ScopeTrackers)> {
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

    /// It came through the queue: it counts against the queue's limit, and may be in the list of its place.
    #[inline]
    pub(crate) fn queued(&self) -> bool {
        self.pool != PoolAddress::NONE
    }
}

/// A pool that a task was accepted by: alive until the task is counted out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolAddress(NonNull<Pool>);

// SAFETY: a pool is `Send` and `Sync`, and this is used only as `pool_of_claimed` says.
unsafe impl Send for PoolAddress {}

impl PoolAddress {
    const NONE: Self = Self(NonNull::dangling());

    fn of(pool: &Arc<Pool>) -> Self {
        // SAFETY: an `Arc` points somewhere.
        Self(unsafe { NonNull::new_unchecked(Arc::as_ptr(pool).cast_mut()) })
    }

    /// # Safety
    /// As for [`pool_of_claimed`]. It is not `NONE`.
    pub(crate) unsafe fn pool(self) -> Arc<Pool> {
        // SAFETY: passed on to the caller.
        unsafe { pool_of_claimed(self.0) }
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

/// A task to be run by the calling thread, with its handle's reference; or the closure, when that cannot be now.
pub(crate) type Here<F> = Result<(TaskRef<TaskMeta>, Claimed<TaskMeta>), F>;

/// Boxed as a whole: a pool that has none is a pointer smaller so.
#[derive(Default)]
struct Nodes(Slab<WeakNodeRef>);

/// Where the list has it.
pub(crate) struct NodeKey(usize);

/// The fields' order is the memory's: what submitters change (tracker, inbox) is on one cache line, what workers change
/// for each task (list, completed) on others, and behind them what changes seldom while the pool is busy (places). A
/// busy worker does not even look at the submitters' line, except once a batch: each look would cost the next submit
/// about 100 ns.
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
    pub(crate) kind: Kind,
    pub(crate) cancelled: AtomicBool,
    /// The nodes of tasks that run here, which `cancel` asks to stop. Most pools have none.
    nodes: Mutex<Option<Box<Nodes>>>,
    /// Tombstones in the queue: claimed by somebody who did not pop them. May be below zero for a moment.
    pub(crate) tombstones_queued: AtomicIsize,
    /// The crew was dismissed.
    pub(crate) over: AtomicBool,
    pub(crate) warned: AtomicBool,
    /// A work-stealing pool's: a piece was told that the pool is cancelled.
    pub(crate) interrupted: AtomicBool,
    listed: OnceLock<Registration<Pool>>,
    pub(crate) totals: PoolRecord,
}

/// The joining pools of this process, for its exit.
pub(crate) fn joining() -> &'static WeakList<Pool> {
    static JOINING: LazyLock<WeakList<Pool>> = LazyLock::new(WeakList::new);
    &JOINING
}

impl Pool {
    pub(crate) fn new(namespace: Namespace, owner: WeakNodeRef, config: PoolConfig) -> Arc<Self> {
        let kind = Kind::new(&namespace, &owner, &config);
        let capacity = config.queue_limit.map(Capacity::new);
        let joins = config.mode == PoolMode::Joining;
        let pool = Arc::new(Self {
            tracker: TaskTracker::new(),
            queue: Queue::new(QueueStats::new()),
            permits: Permits::new(),
            held_permits: HeldPermits::new(),
            counters: Counters::default(),
            capacity,
            namespace,
            owner,
            config,
            kind,
            cancelled: AtomicBool::new(false),
            nodes: Mutex::new(None),
            tombstones_queued: AtomicIsize::new(0),
            over: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            listed: OnceLock::new(),
            totals: PoolRecord::new(),
        });
        evict::install();
        pool.stands_at_owner();
        if joins {
            let _ = pool.listed.set(joining().insert(Arc::downgrade(&pool)));
        }
        pool
    }

    #[inline]
    fn check_type(&self, given: Option<&TaskType>) -> Result<(), SubmitError> {
        match &self.config.task_type {
            Some(allowed) if given != Some(allowed) => Err(SubmitError::new(
                &self.namespace,
                SubmitErrorKind::UnknownTaskType { given: given.cloned(), allowed: allowed.clone() },
            )),
            _ => Ok(()),
        }
    }

    /// Where a task submitted now is asked for.
    #[inline]
    fn place(&self) -> Result<NodeRef, SubmitError> {
        if self.config.detached { self.live_owner() } else { Ok(current::nearest()) }
    }

    fn live_owner(&self) -> Result<NodeRef, SubmitError> {
        self.owner.upgrade().ok_or_else(|| SubmitError::new(&self.namespace, SubmitErrorKind::OwnerEnded))
    }

    /// Where code of a task stands that was asked for at `place`: there, unless what is stolen may run on top of it.
    #[inline]
    pub(crate) fn standing(&self, place: &NodeRef) -> NodeRef {
        // The owner is there: the task keeps it until it runs, and a thread as long as it works here.
        if self.config.steals() { self.owner.upgrade().unwrap_or(NodeRef::PROCESS) } else { place.clone() }
    }

    /// Counts a task in: in the pool, and in every scope at or above where it is asked for and where its code stands.
    /// Nothing is counted on an error.
    #[inline]
    fn accept(self: &Arc<Self>, counted: &Counted) -> Result<(), SubmitError> {
        let place = &counted.place;
        match self.tracker.enter() {
            // While anything is counted the pool holds itself; `leave` lets go.
            Ok(Entry::First) => std::mem::forget(Arc::clone(self)),
            Ok(Entry::Another) => {}
            // With its scope, say: that is what the submitter wants to hear then.
            Err(_) if place.node().scope_closed() => return Err(self.scope_has_ended(place)),
            Err(_) => {
                let closed = SubmitErrorKind::Closed { ended_with: None, hides: None };
                return Err(SubmitError::new(&self.namespace, closed));
            }
        }
        for (entered, scope) in place.node().scopes().enumerate() {
            if scope.of(self.joins()).enter().is_err() {
                return Err(self.take_back(place.node().scope_nodes().take(entered), place));
            }
        }
        if counted.owner.is_counted() { self.accept_at_owner(counted) } else { Ok(()) }
    }

    /// The second half of `accept`, for a task that stands elsewhere.
    #[cold]
    fn accept_at_owner(self: &Arc<Self>, counted: &Counted) -> Result<(), SubmitError> {
        for (entered, (_, scope)) in counted.owner_scopes().enumerate() {
            if scope.of(self.joins()).enter().is_err() {
                let scopes = counted.owner_scopes().take(entered).chain(counted.place.node().scope_nodes());
                return Err(self.take_back(scopes, &counted.owner));
            }
        }
        Ok(())
    }

    /// Counts a task out of the pool and of the scopes that it had entered, because one at or above the place has ended.
    #[cold]
    fn take_back<'a>(
        self: &Arc<Self>,
        entered: impl Iterator<Item = (&'a Node, &'a ScopeTrackers)>,
        ended: &NodeRef,
    ) -> SubmitError {
        for (node, scope) in entered {
            self.leave_scope(node, scope);
        }
        self.counters.claimed.fetch_add(1, Ordering::Relaxed);
        self.leave();
        self.scope_has_ended(ended)
    }

    #[cold]
    pub(crate) fn scope_has_ended(&self, place: &NodeRef) -> SubmitError {
        interrupted::note_if_cancelled();
        SubmitError::new(&self.namespace, SubmitErrorKind::ScopeEnded { scope: closed_scope(place) })
    }

    /// Counts a task out of the pool. The caller holds the pool, or the count did until now.
    pub(crate) fn leave(self: &Arc<Self>) {
        self.leave_many(1);
    }

    /// Counts several tasks out of the pool.
    #[inline]
    pub(crate) fn leave_many(self: &Arc<Self>, tasks: u64) {
        if let Left::Last { notify } = self.tracker.leave_many(tasks) {
            if notify {
                self.tracker.notify();
            }
            self.end_if_over();
            // SAFETY: pairs with the `forget` at `Entry::First`: the count fell to zero, and this call made it do so.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(self)) };
        }
    }

    /// Takes back what `accept` counted, for a task that was not queued after all.
    fn retract(self: &Arc<Self>, counted: &Counted) {
        self.counters.claimed.fetch_add(1, Ordering::Relaxed);
        for (node, scope) in counted.scope_nodes() {
            self.leave_scope(node, scope);
        }
        self.leave();
    }

    /// Counts a task out of a scope.
    #[inline]
    pub(crate) fn leave_scope(&self, node: &Node, scope: &ScopeTrackers) {
        let tracker = scope.of(self.joins());
        if let Left::Last { notify } = tracker.leave() {
            // Ended first, so that whoever waits for the count finds the scope's values gone.
            node.end_if_over();
            if notify {
                tracker.notify();
            }
        }
    }

    /// Everything before the queue: is the task welcome? Says what counts it.
    fn admit(self: &Arc<Self>, task_type: Option<&TaskType>) -> Result<Counted, SubmitError> {
        if fork::is_fork() {
            return Err(SubmitError::new(&self.namespace, SubmitErrorKind::Forked));
        }
        if frame::initialises(self) {
            return Err(SubmitError::new(&self.namespace, SubmitErrorKind::FromInitialiser));
        }
        self.check_type(task_type)?;
        let place = self.place()?;
        let counted = match self.config.steals() {
            true => Counted::new(place, self.live_owner()?),
            false => Counted { place, ..Counted::default() },
        };
        self.accept(&counted)?;
        Ok(counted)
    }

    fn meta(
        self: &Arc<Self>,
        Counted { place, owner, scoped }: Counted,
        task_type: Option<TaskType>,
        queued: bool,
    ) -> TaskMeta {
        // With no subscriber there is no span, and asking costs one load.
        let span = (LevelFilter::current() != LevelFilter::OFF).then(|| swallow(tracing::Span::current)).flatten();
        let span = span.filter(|span| !span.is_none());
        // A typed pool's tasks all have the pool's type; only elsewhere is it the task's own.
        let task_type = task_type.filter(|_| self.config.task_type.is_none());
        let subscriber = Scoped::here();
        let traced = span.is_some() || subscriber.is_some();
        let plain = !traced && task_type.is_none() && scoped.is_none() && !owner.is_counted();
        let rare = (!plain).then(|| Box::new(RareMeta { span, subscriber, task_type, scoped, owner }));
        let pool = if queued { PoolAddress::of(self) } else { PoolAddress::NONE };
        TaskMeta { place, rare, pool }
    }

    /// Queues a task. What comes back is its handle's reference.
    ///
    /// # Safety
    /// As for [`TaskRef::new_unbounded`].
    pub(crate) unsafe fn submit<F, T>(
        self: &Arc<Self>,
        submitted: impl Into<As>,
        scoped: Option<Arc<TaskTracker>>,
        f: F,
    ) -> Result<TaskRef<TaskMeta>, Refused<F>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let As { task_type, stateful, borrows } = submitted.into();
        let admitted = match self.admit(task_type.as_ref()) {
            Ok(admitted) => admitted,
            Err(reason) => return Err(self.refuse(f, reason)),
        };
        if let Err(reason) = self.acquire_capacity() {
            self.retract(&admitted);
            return Err(self.refuse(f, reason));
        }
        let node = self.listing_node(&admitted.place);
        let owner = admitted.owner.clone();
        let meta = self.meta(Counted { scoped, ..admitted }, task_type, true);
        // SAFETY: passed on to the caller.
        let (queued, handle) = unsafe { TaskRef::new_unbounded(TaskId::next(), meta.place.node().id(), meta, f) };
        if stateful {
            handle.state().set_stateful();
        }
        if borrows {
            handle.state().set_borrows();
        }
        if let Some(node) = node {
            // SAFETY: the memo has the place that the node came from, and this thread alone has seen the task.
            if !unsafe { self.list(node, &queued) } {
                self.end_at_once(queued);
                return Ok(handle);
            }
        }
        self.queue.push(queued);
        // Both sequentially consistent: the pool is closed before its queue is looked at, so one sees the other.
        if self.tracker.is_closed() {
            self.pushed_late(&handle);
        }
        if owner.is_counted() {
            self.pushed_for(owner, &handle);
        }
        if !self.permits.try_acquire(self.config.limit) {
            if self.config.limit == 0 && !self.kind.notify() {
                // Accepted just before the thread left, and pushed just after.
                self.cancel();
            }
            return Ok(handle);
        }
        let Err(error) = self.kind.request_thread(self) else { return Ok(handle) };
        if !self.permits.release(false) {
            // Others work for this pool: whoever of them gives the last place back looks at the queue after that.
            return Ok(handle);
        }
        self.kind.rest(self);
        if self.somebody_looks() {
            self.end_if_over();
            return Ok(handle);
        }
        let ours = handle.claim();
        self.fail_queued(&error);
        match ours {
            // Somebody else runs it, or has ended it.
            Err(handle) => Ok(handle),
            Ok(claimed) => {
                // The claim took the handle's reference; the one in the queue went with the rest.
                let meta = claimed.take_meta();
                if let Some(meta) = &meta {
                    self.unlist(&meta.place, claimed.task());
                }
                // SAFETY: the task was made above from this `F`, and is claimed.
                let f = unsafe { reclaim::<TaskMeta, F, T>(claimed) };
                self.release_capacity();
                self.retract(&meta.map_or_else(Counted::default, |meta| meta.into_counted().0));
                let reason = SubmitError::no_thread(&self.namespace, error);
                match f {
                    Some(f) => Err(self.refuse(f, reason)),
                    // The closure is there until a claimer takes it, and we are the claimer.
                    None => unreachable!("a claimed task lost its closure"),
                }
            }
        }
    }

    /// [`Pool::submit`] for what borrows nothing.
    pub(crate) fn submit_static<F, T>(
        self: &Arc<Self>,
        submitted: impl Into<As>,
        f: F,
    ) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: neither closure nor result borrows.
        let task = unsafe { self.submit(submitted, None, f) }?;
        // SAFETY: submitted to this pool, with this result.
        Ok(unsafe { TaskHandle::new(task, self) })
    }

    fn refuse<F>(&self, task: F, reason: SubmitError) -> Refused<F> {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        Refused { task, reason }
    }

    /// Accepts a task that the calling thread will run at once, if a place is free and nobody is queued; a `nested` one
    /// has its caller's place.
    ///
    /// # Safety
    /// As for [`TaskRef::new_unbounded`].
    pub(crate) unsafe fn submit_here<F, T>(
        self: &Arc<Self>,
        task_type: Option<TaskType>,
        nested: bool,
        f: F,
    ) -> Result<Here<F>, SubmitError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let admitted = match self.admit(task_type.as_ref()) {
            Ok(admitted) => admitted,
            Err(reason) => return Err(self.refuse(f, reason).reason),
        };
        if !nested && (!self.queue.is_empty() || !self.permits.try_acquire_here(self.config.limit)) {
            self.retract(&admitted);
            return Ok(Err(f));
        }
        self.counters.claimed.fetch_add(1, Ordering::Relaxed);
        self.counters.ran_inline.fetch_add(1, Ordering::Relaxed);
        let meta = self.meta(admitted, task_type, false);
        // SAFETY: passed on to the caller.
        let (ours, handle) = unsafe { TaskRef::new_unbounded(TaskId::next(), meta.place.node().id(), meta, f) };
        match ours.claim() {
            Ok(claimed) => Ok(Ok((handle, claimed))),
            // Nobody else has seen the task yet.
            Err(_) => unreachable!("a new task was claimed"),
        }
    }

    /// A thread that was asked for a place of ours will not come.
    fn give_back_refused(self: &Arc<Self>, error: &io::Error) {
        if !self.permits.release(false) {
            return;
        }
        self.kind.rest(self);
        if self.somebody_looks() {
            self.end_if_over();
        } else {
            self.fail_queued(error);
        }
    }

    /// No place is taken and no thread is to be had: nobody would come for what is queued. Tasks pushed from now on ask
    /// for themselves.
    pub(crate) fn fail_queued(self: &Arc<Self>, error: &io::Error) {
        self.end_if_over();
        let mut evicted = Evicted::new();
        self.evict_queued(&mut evicted, |task| TaskError::no_thread(task.id(), &self.namespace, error));
        evicted.end(|| {});
    }

    /// Takes what is queued off the queue, and gives each task its outcome.
    pub(crate) fn evict_queued(self: &Arc<Self>, evicted: &mut Evicted, error: impl Fn(&Task) -> TaskError) {
        for task in self.queue.take_if(|_| true) {
            let Ok(claimed) = task.claim() else { continue };
            let Some(meta) = claimed.take_meta() else { continue };
            self.counters.claimed.fetch_add(1, Ordering::Relaxed);
            let error = error(claimed.task());
            evicted.add(self, claimed, meta, error);
        }
    }

    /// Takes a place and sends a thread for it, for what is queued.
    pub(crate) fn send_if_permit(self: &Arc<Self>) {
        if self.permits.try_acquire(self.config.limit)
            && let Err(error) = self.kind.request_thread(self)
        {
            self.give_back_refused(&error);
        }
    }

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// A task that runs here became a node.
    pub(crate) fn note_node(&self, node: &NodeRef) -> NodeKey {
        let at = self.nodes.lock().get_or_insert_default().0.insert(node.downgrade());
        // After it is noted: `cancel_running` looks after it has said so.
        if self.is_cancelled() {
            node.node().cancel();
        }
        NodeKey(at)
    }

    /// The task has ended. The list is no longer than tasks run, so that no node's memory is kept for it, nor the
    /// list's own.
    pub(crate) fn forget_node(&self, node_key: NodeKey) {
        let mut nodes = self.nodes.lock();
        let node = nodes.as_mut().and_then(|nodes| nodes.0.try_remove(node_key.0));
        let empty = nodes.take_if(|nodes| nodes.0.is_empty());
        drop(nodes);
        drop((node, empty));
    }

    /// Asks the running tasks that are nodes to stop, which are then to be told, and claims what they queued. The others
    /// see it at the pool.
    pub(crate) fn cancel_running(&self, claims: &mut Claims) -> Vec<NodeRef> {
        let mut nodes = self.running_nodes();
        nodes.retain(|node| !node.node().is_over());
        for node in &nodes {
            node.node().begin_cancel(claims);
        }
        nodes
    }

    /// The nodes of the running tasks that are nodes.
    pub(crate) fn running_nodes(&self) -> Vec<NodeRef> {
        match &*self.nodes.lock() {
            Some(nodes) => nodes.0.iter().filter_map(|(_, node)| node.upgrade()).collect(),
            None => Vec::new(),
        }
    }
}

/// Counts one out of a tracker that the caller keeps alive.
pub(crate) fn leave_tracker(tracker: &TaskTracker) {
    if let Left::Last { notify: true } = tracker.leave() {
        tracker.notify();
    }
}

/// Turns the address that a handle remembers back into its pool.
///
/// # Safety
/// The caller has claimed a task of this pool and not counted it out yet, so the pool holds itself.
pub(crate) unsafe fn pool_of_claimed(pool: NonNull<Pool>) -> Arc<Pool> {
    // SAFETY: the pointer came from an `Arc<Pool>`, whose count is not zero by the contract.
    unsafe {
        Arc::increment_strong_count(pool.as_ptr());
        Arc::from_raw(pool.as_ptr())
    }
}

impl Job for Pool {
    fn work(self: Arc<Self>, worker: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        if !self.prepare(worker, WorkerPurpose::ForTask) {
            return None;
        }
        if let Kind::WorkStealing(stealing) = &self.kind {
            stealing.run_leader(&self);
            return None;
        }
        crate::pool::run::worker::work(&self, worker)
    }

    fn refused(self: Arc<Self>, error: &io::Error) {
        self.give_back_refused(error);
    }

    fn let_go(self: Arc<Self>, ends: bool) {
        Pool::let_go(&self, ends);
    }
}
