//! [`QueuedTasks`]: the queued tasks of one node, so that a cancel ends exactly those.
//!
//! A task is listed at the node that it was submitted at, whatever pool it waits in, until it ends. A cancel of that
//! node, or of one above it, takes each listed task off, claims it and ends it. The cost of a cancel therefore grows with
//! what was submitted below the cancelled node, not with the queues that those tasks stand in. The links are part of
//! the task: listing allocates nothing. A root is never cancelled, so it lists nothing.
//!
//! # Descendants
//! A node points to its parent only. A node that is about to list its first task registers with its parent, after the
//! parent has registered with its own, and so on from the top: the ancestors of a registered node are registered, and a
//! cancel of any of them reaches the node. A node deregisters when it is dropped.
//!
//! # Tasks from elsewhere
//! A work-stealing pool's tasks stand at the pool's owner, wherever they were submitted. The owner's node knows such
//! pools ([`OwnedQueue`]), and a cancel that reaches the node ends what is queued in them too.
//!
//! # The race to fear
//! A submitter finds its place not cancelled, and lists the task after the canceller has walked past the node. Locks rule
//! it out. The submitter registers the node, then locks the list, looks at the requests and lists the task before the
//! unlock. The canceller notes the request, then locks the lists of the node and of each registered descendant. Of the
//! two critical sections at one list the later one sees what came before the earlier one: the canceller sees the task, or
//! the submitter sees the request. A canceller that does not find the node at its parent has locked the parent's `below`
//! before the node registered there, so the submitter, which looks later, sees the request too.
//!
//! An acknowledged request ends nothing more. The canceller looks at the request under the lock under which it claims a
//! task, so it leaves alone a task that was submitted after the acknowledgement.
//!
//! # Locks
//! A node's `below` may be locked while its parent's is taken, never the other way round. No user code runs under a lock,
//! nor between a claim and its outcome: the canceller claims all that it is to end, and the engine gives each task its
//! outcome before it drops or wakes anything. So a closure whose drop joins another cancelled task does not wait.

use std::hint;
use std::ptr::{self, NonNull};
use std::time::Duration;

use slab::Slab;
use smallvec::SmallVec;

use crate::lineage::node::Node;
use crate::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::sync::os::{Arc, OnceLock, Weak, thread};
use crate::sync::{Mutex, UnsafeCell};

/// A task's links in the list of its node, guarded by that list's lock.
pub(crate) struct TaskLink {
    prev: UnsafeCell<*mut TaskLink>,
    next: UnsafeCell<*mut TaskLink>,
}

/// How the engine claims and ends a listed task: this layer does not know tasks.
pub(crate) struct TaskOps {
    /// Whether tasks may be ended here at all: not in a fork's child.
    pub(crate) may_end: fn() -> bool,
    /// Claims the task and keeps its memory until `end`. False when the task has started or ended. Runs no user code.
    ///
    /// # Safety
    /// The link is that of a listed task, and the caller holds the list's lock.
    pub(crate) claim: unsafe fn(NonNull<TaskLink>) -> bool,
    /// Ends claimed tasks. Runs user code: the given closure first, which is called once when all of them have their
    /// outcome.
    pub(crate) end: fn(Claims, &mut dyn FnMut()),
}

/// Installed by the engine before it lists a task.
static OPS: OnceLock<&'static TaskOps> = OnceLock::new();

/// Installs the engine's operations, once.
pub(crate) fn install(ops: &'static TaskOps) {
    let _ = OPS.set(ops);
}

/// Tasks that were claimed in lists of nodes, in the order in which they are to be ended.
#[must_use = "each of them is to be ended"]
pub(crate) struct Claims(Vec<NonNull<TaskLink>>);

impl Claims {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Claims what is queued at the node and below it. Runs no user code.
    pub(crate) fn claim(&mut self, at: &Node, which: Which) {
        let Some(ops) = OPS.get().filter(|ops| (ops.may_end)()) else { return };
        let unwanted = || which == Which::Daemon || at.cancel_requested();
        at.queued().claim_own(ops, which, unwanted, &mut self.0);
        let mut nodes = Vec::new();
        at.queued().children(&mut nodes);
        while let Some(node) = nodes.pop() {
            // A request is not delivered to a shielded node, while a closed scope refuses what comes from anywhere below.
            if which == Which::Cancelled && node.is_shielded() {
                continue;
            }
            node.queued().claim_own(ops, which, unwanted, &mut self.0);
            node.queued().children(&mut nodes);
        }
    }

    /// Ends them. `told` is called once, when all of them have their outcome, and before anything is dropped.
    pub(crate) fn end(self, mut told: impl FnMut()) {
        match OPS.get() {
            Some(ops) if !self.0.is_empty() => (ops.end)(self, &mut told),
            _ => told(),
        }
    }

    /// The links, each of which is a claim that the caller owes the end of.
    pub(crate) fn into_links(self) -> Vec<NonNull<TaskLink>> {
        self.0
    }
}

/// A queue whose tasks are to stand at a node, wherever they were submitted.
pub(crate) trait OwnedQueue: Send + Sync {
    /// Claims what is queued there, as [`TaskOps::claim`] does, as long as it is `unwanted`. Runs no user code.
    fn claim_queued(&self, which: Which, unwanted: &dyn Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>);
}

/// Which listed tasks to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All, as long as the node's request stands.
    Cancelled,
    /// The tasks of daemon pools, below a closed scope.
    Daemon,
}

/// The listed tasks and the registered children of one node.
// The order is the memory's: the list that most tasks are in lies beside the scope's trackers.
#[repr(C)]
pub(crate) struct QueuedTasks {
    below: Mutex<Descendants>,
    /// This node and its ancestors are registered.
    registered: AtomicBool,
    daemon: TaskList,
    joining: TaskList,
}

struct Descendants {
    /// The registered children. Boxed: most nodes have none.
    children: Option<Box<Slab<Weak<Node>>>>,
    /// This node's key in its parent's `children`.
    key: Option<usize>,
    /// The queues whose tasks are to stand here. Boxed: most nodes have none.
    #[allow(clippy::box_collection, reason = "a node is a word smaller so")]
    queues: Option<Box<Vec<Weak<dyn OwnedQueue>>>>,
}

impl QueuedTasks {
    /// `top` is whether the node has no ancestor to register with.
    pub(crate) fn new(top: bool) -> Self {
        Self {
            below: Mutex::new(Descendants { children: None, key: None, queues: None }),
            registered: AtomicBool::new(top),
            daemon: TaskList::new(),
            joining: TaskList::new(),
        }
    }

    #[inline]
    fn list_of(&self, joins: bool) -> &TaskList {
        if joins { &self.joining } else { &self.daemon }
    }

    /// Lists a task of a joining pool or a daemon one, unless `unwanted` says that it is not to start. False then.
    ///
    /// # Safety
    /// The node is registered. The link is in no list, its task was seen by no other thread, and stays where it is until
    /// an [`unlist`](Self::unlist) of it has returned.
    #[inline]
    pub(crate) unsafe fn list(&self, link: NonNull<TaskLink>, joins: bool, unwanted: impl FnOnce() -> bool) -> bool {
        let mut list = self.list_of(joins).lock();
        if unwanted() {
            return false;
        }
        // SAFETY: passed on to the caller.
        unsafe { list.push(link) };
        true
    }

    /// Takes a task off the list, unless a canceller has done so. A claimer calls it before the task is finished.
    ///
    /// # Safety
    /// The link's task is alive, and was listed at this node and with this `joins`, or never.
    #[inline]
    pub(crate) unsafe fn unlist(&self, link: NonNull<TaskLink>, joins: bool) {
        // SAFETY: passed on to the caller.
        unsafe { self.list_of(joins).lock().remove(link) };
    }

    /// Claims the node's own tasks, the oldest first, while `unwanted`.
    fn claim_own(&self, ops: &TaskOps, which: Which, unwanted: impl Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        if which == Which::Cancelled {
            self.joining.claim_all(ops, &unwanted, into);
        }
        self.daemon.claim_all(ops, &unwanted, into);
        let queues = self.below.lock().queues.as_ref().map(|all| all.iter().filter_map(Weak::upgrade).collect());
        let queues: Vec<Arc<dyn OwnedQueue>> = queues.unwrap_or_default();
        for queue in queues {
            queue.claim_queued(which, &unwanted, into);
        }
    }

    fn children(&self, into: &mut Vec<Arc<Node>>) {
        if let Some(children) = &self.below.lock().children {
            into.extend(children.iter().filter_map(|(_, child)| child.upgrade()));
        }
    }

    /// The node is being dropped: its parent forgets it.
    pub(crate) fn deregister(&mut self, parent: Option<&Node>) {
        let (Some(key), Some(parent)) = (self.below.get_mut().key.take(), parent) else { return };
        let mut below = parent.queued().below.lock();
        let child = below.children.as_mut().and_then(|children| children.try_remove(key));
        // The last one gives the memory back.
        let empty = below.children.take_if(|children| children.is_empty());
        drop(below);
        drop((child, empty));
    }
}

/// Registers a node whose first task is about to be listed. Costs one load when that was done before.
#[inline]
pub(crate) fn register(node: &Arc<Node>) {
    // Acquire: pairs with the Release in `register_path`, so a request that the registration saw is seen here too.
    if !node.queued().registered.load(Ordering::Acquire) {
        register_path(node);
    }
}

/// From now on a cancel that reaches the node ends what is queued in a queue whose tasks are to stand there. The node
/// forgets the queue some time after that is gone.
pub(crate) fn stands_at(node: &Arc<Node>, queue: Weak<dyn OwnedQueue>) {
    register(node);
    let mut below = node.queued().below.lock();
    let queues = below.queues.get_or_insert_default();
    queues.retain(|known| known.strong_count() > 0);
    queues.push(queue);
}

#[cold]
fn register_path(node: &Arc<Node>) {
    let is_new = |node: &&Arc<Node>| !node.queued().registered.load(Ordering::Acquire);
    let path: SmallVec<[&Arc<Node>; 8]> =
        std::iter::successors(Some(node), |node| node.counted_parent()).take_while(is_new).collect();
    // From the top: a registered node has registered ancestors at every moment.
    for node in path.into_iter().rev() {
        let mut below = node.queued().below.lock();
        if below.key.is_none()
            && let Some(parent) = node.counted_parent()
        {
            let child = Arc::downgrade(node);
            below.key = Some(parent.queued().below.lock().children.get_or_insert_default().insert(child));
        }
        node.queued().registered.store(true, Ordering::Release);
    }
}

/// Tasks, the oldest first. The lock is one bit of `last`: a lock and its unlock are one exchange and one store.
///
/// A mutex would need two exchanges, at each submit and at each end of a task (8 ns each, which is what all else here
/// costs together). Each critical section is a few loads and stores, so a thread that finds the lock taken spins, and
/// yields if the holder was preempted.
struct TaskList {
    last: AtomicPtr<TaskLink>,
    first: UnsafeCell<*mut TaskLink>,
}

// SAFETY: `first` and the links are guarded by the lock. They point to listed tasks, which leave the list before they
// are freed; what may be done with those from any thread is the business of `TaskOps`.
unsafe impl Send for TaskList {}
// SAFETY: as above.
unsafe impl Sync for TaskList {}

/// How many tasks are claimed under one lock.
const AT_A_TIME: usize = 16;

/// Set in `last` while the list is locked. A link's address is even.
const LOCKED: usize = 1;

fn is_locked(last: *mut TaskLink) -> bool {
    last.addr() & LOCKED != 0
}

impl TaskList {
    fn new() -> Self {
        Self { last: AtomicPtr::new(ptr::null_mut()), first: UnsafeCell::new(ptr::null_mut()) }
    }

    #[inline]
    fn lock(&self) -> Locked<'_> {
        self.try_lock().unwrap_or_else(|| self.lock_slow())
    }

    #[inline]
    fn try_lock(&self) -> Option<Locked<'_>> {
        let last = self.last.load(Ordering::Relaxed);
        if is_locked(last) {
            return None;
        }
        let locked = last.map_addr(|addr| addr | LOCKED);
        // Acquire: sees what the last holder did; pairs with the Release in the unlock.
        let taken = self.last.compare_exchange_weak(last, locked, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(|last| Locked { list: self, last })
    }

    #[cold]
    fn lock_slow(&self) -> Locked<'_> {
        let mut turn = 0;
        loop {
            if let Some(locked) = self.try_lock() {
                return locked;
            }
            back_off(turn);
            turn += 1;
        }
    }

    fn claim_all(&self, ops: &TaskOps, unwanted: impl Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        loop {
            let mut list = self.lock();
            if !unwanted() {
                return;
            }
            // A few at a time, for those who wait for the lock.
            for _ in 0..AT_A_TIME {
                let Some(link) = list.pop() else { return };
                // SAFETY: it was listed until now, and the lock is held, which its own end waits for.
                if unsafe { (ops.claim)(link) } {
                    into.push(link);
                }
            }
        }
    }
}

/// Waits a moment for the holder of a lock: spins at first, then yields, then sleeps, for a holder of a lower priority.
fn back_off(turn: u32) {
    match turn {
        _ if cfg!(loom) => thread::yield_now(),
        0..6 => (0..1_u32 << turn).for_each(|_| hint::spin_loop()),
        6..64 => thread::yield_now(),
        _ => std::thread::sleep(Duration::from_micros(50)),
    }
}

/// A list while it is locked.
struct Locked<'a> {
    list: &'a TaskList,
    last: *mut TaskLink,
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_lock`. Nothing is touched after it: the next holder may end the task
        // that keeps the node.
        self.list.last.store(self.last, Ordering::Release);
    }
}

impl Locked<'_> {
    #[inline]
    fn first(&self) -> *mut TaskLink {
        // SAFETY: the lock is held.
        unsafe { self.list.first.with(|first| *first) }
    }

    #[inline]
    fn set_first(&mut self, to: *mut TaskLink) {
        // SAFETY: the lock is held.
        unsafe { self.list.first.with_mut(|first| *first = to) }
    }

    /// # Safety
    /// As for [`QueuedTasks::list`].
    #[inline]
    unsafe fn push(&mut self, link: NonNull<TaskLink>) {
        // SAFETY: the link is the caller's. The last one is listed, so it is alive, and the lock guards its links.
        unsafe {
            link.as_ref().set_prev(self.last);
            match NonNull::new(self.last) {
                Some(last) => last.as_ref().set_next(link.as_ptr()),
                None => self.set_first(link.as_ptr()),
            }
        }
        self.last = link.as_ptr();
    }

    /// # Safety
    /// The link's task is alive, and in no other list.
    #[inline]
    unsafe fn remove(&mut self, link: NonNull<TaskLink>) {
        // SAFETY: the link is alive; if it is listed, so are its neighbours, and the lock guards their links.
        unsafe {
            let (before, after) = (link.as_ref().prev(), link.as_ref().next());
            if before == unlisted() {
                return;
            }
            match NonNull::new(before) {
                Some(before) => before.as_ref().set_next(after),
                None => self.set_first(after),
            }
            match NonNull::new(after) {
                Some(after) => after.as_ref().set_prev(before),
                None => self.last = before,
            }
            link.as_ref().set_prev(unlisted());
        }
    }

    fn pop(&mut self) -> Option<NonNull<TaskLink>> {
        let first = NonNull::new(self.first())?;
        // SAFETY: it is listed here, so it is alive.
        unsafe { self.remove(first) };
        Some(first)
    }
}

/// The `prev` of a link that is in no list. Never read through.
fn unlisted() -> *mut TaskLink {
    ptr::dangling_mut()
}

impl TaskLink {
    pub(crate) fn new() -> Self {
        Self { prev: UnsafeCell::new(unlisted()), next: UnsafeCell::new(ptr::null_mut()) }
    }

    /// # Safety
    /// Of this and the next three: the caller holds the lock of the list that the link is in, or is about to be in.
    #[inline]
    unsafe fn prev(&self) -> *mut TaskLink {
        // SAFETY: passed on to the caller.
        unsafe { self.prev.with(|prev| *prev) }
    }

    /// # Safety
    /// As for `prev`.
    #[inline]
    unsafe fn next(&self) -> *mut TaskLink {
        // SAFETY: passed on to the caller.
        unsafe { self.next.with(|next| *next) }
    }

    /// # Safety
    /// As for `prev`.
    #[inline]
    unsafe fn set_prev(&self, to: *mut TaskLink) {
        // SAFETY: passed on to the caller.
        unsafe { self.prev.with_mut(|prev| *prev = to) }
    }

    /// # Safety
    /// As for `prev`.
    #[inline]
    unsafe fn set_next(&self, to: *mut TaskLink) {
        // SAFETY: passed on to the caller.
        unsafe { self.next.with_mut(|next| *next = to) }
    }
}
