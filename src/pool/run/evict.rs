//! Ending queued tasks as soon as they are cancelled, in whichever queue they stand.
//!
//! A node lists the tasks that were submitted at it ([`crate::lineage::queued`]). A cancel of the node claims such a task
//! and ends it here. A tombstone stays in the queue: a worker drops it, or a sweep does when tombstones are most of the
//! queue.
//!
//! # The order
//! An [`Evicted`] holds the tasks that one call ends. First the canceller gives each of them its outcome, which runs no user
//! code. Then it runs the wakers of their waiters. At last it drops their closures, one after the other. So a waker or a
//! drop that waits for one of the tasks, on this thread or through another one, finds the outcome there. The trackers count
//! a task until its closure is dropped: a scope or a pool has ended when nothing of its tasks is left. A drop that waits
//! for a tracker first drops the closures that the tracker counts ([`drop_counted`]).
//!
//! A closure of `run` borrows from its caller, who goes on with the outcome. So such a task gets its outcome after the drop,
//! and the canceller ends it before the others, as it does the tasks of borrowing scopes, whose owners wait for the drop.

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};

use smallvec::SmallVec;

use crate::error::{SubmitError, SubmitErrorKind, TaskError};
use crate::lineage::node::{Node, NodeRef};
use crate::lineage::queued::{self, Claims, OwnedQueue, TaskLink, TaskOps, Which};
use crate::pool::context::frame::Frame;
use crate::pool::core::pool::{Counted, Pool, RareMeta, TaskMeta};
use crate::pool::run::depth;
use crate::pool::run::worker::{self, Task};
use crate::sync::fork::is_fork;
use crate::sync::os::{Arc, Ordering, Weak, fence};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::task::cell::{Claimed, Closure, Published, Unwoken};

/// How many tombstones there must be, at least, before the queue is swept.
const SWEEP: usize = 64;

static OPS: TaskOps = TaskOps { may_end: || !is_fork(), claim: claim_listed, end: end_claimed };

thread_local! {
    /// The innermost [`Dropping`] of this thread, if there is one.
    static DROPPING: Cell<*const Dropping> = const { Cell::new(ptr::null()) };
}

/// Before the first task is listed.
pub(crate) fn install() {
    queued::install(&OPS);
}

/// # Safety
/// As for [`TaskOps::claim`].
unsafe fn claim_listed(link: NonNull<TaskLink>) -> bool {
    // SAFETY: a listed task is alive, and `Pool::list` lists no other type.
    unsafe { Task::from_link(link) }.state().claim_counted()
}

fn end_claimed(claims: Claims, told: &mut dyn FnMut()) {
    let mut evicted = Evicted::new();
    evicted.add_all(claims);
    evicted.end(told);
}

/// Tasks that end without having run. Each has its outcome; what else they leave is still to be let go.
#[must_use = "who waits for them is to be told, and their closures are to be dropped"]
pub(crate) struct Evicted {
    tasks: SmallVec<[Unrun; 1]>,
    unwoken: Vec<Unwoken<TaskMeta>>,
    /// The bounded queues in which they gave room back.
    roomy: Vec<Arc<Pool>>,
}

/// What a task leaves that never ran.
struct Unrun {
    pool: Arc<Pool>,
    counted: Counted,
    rare: RareMeta,
    closure: Left,
}

enum Left {
    Detached(Closure),
    /// Within the task, which has its outcome after the drop.
    Borrowing(Claimed<TaskMeta>, TaskError),
    Nothing,
}

impl Evicted {
    pub(crate) fn new() -> Self {
        Self { tasks: SmallVec::new(), unwoken: Vec::new(), roomy: Vec::new() }
    }

    /// Gives a claimed task its outcome.
    pub(crate) fn add(&mut self, pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, error: TaskError) {
        if meta.queued() {
            pool.unlist(&meta.place, claimed.task());
            if let Some(capacity) = &pool.capacity {
                capacity.count_one();
                self.roomy.push(Arc::clone(pool));
            }
        }
        pool.counters.cancelled.fetch_add(1, Ordering::Relaxed);
        // A task whose closure is being dropped has not ended, though its outcome is counted.
        pool.counters.dropping.fetch_add(1, Ordering::SeqCst);
        let closure = if claimed.task().state().borrows() {
            Left::Borrowing(claimed, error)
        } else {
            let Published { closure, unwoken } = claimed.publish(error);
            self.unwoken.extend(unwoken);
            closure.map_or(Left::Nothing, Left::Detached)
        };
        let (counted, rare) = meta.into_counted();
        self.tasks.push(Unrun { pool: Arc::clone(pool), counted, rare, closure });
    }

    /// Gives tasks that were claimed in lists of nodes their outcome: cancelled.
    pub(crate) fn add_all(&mut self, claims: Claims) {
        for link in claims.into_links() {
            // SAFETY: claimed by `claim_listed`, and taken out of the claims once.
            let claimed: Claimed<TaskMeta> = unsafe { Claimed::from_link(link) };
            let Some(meta) = claimed.take_meta() else { continue };
            // SAFETY: a listed task came through the queue of its pool, and is not counted out before its end.
            let pool = unsafe { meta.pool.pool() };
            pool.claimed_in_queue();
            let error = TaskError::cancelled(claimed.task().id(), &pool.namespace);
            self.add(&pool, claimed, meta, error);
        }
    }

    /// Runs what is left of a user's: `told`, wakers, and the drops of closures, the oldest task's first.
    pub(crate) fn end(self, told: impl FnOnce()) {
        let Self { mut tasks, unwoken, roomy } = self;
        tasks.reverse();
        // The last one is dropped first.
        tasks.sort_by_key(Unrun::borrows);
        let dropping = Dropping { rest: RefCell::new(tasks), outer: DROPPING.get() };
        DROPPING.set(&raw const dropping);
        let left = Leave(dropping.outer);
        told();
        unwoken.into_iter().for_each(Unwoken::wake);
        roomy.iter().for_each(|pool| pool.tell_of_room());
        while let Some(task) = dropping.next(|_| true) {
            task.end();
        }
        drop(left);
    }
}

/// Tasks whose closures a call further out on this thread's stack is about to drop.
struct Dropping {
    rest: RefCell<SmallVec<[Unrun; 1]>>,
    outer: *const Dropping,
}

impl Dropping {
    fn next(&self, which: impl Fn(&Unrun) -> bool) -> Option<Unrun> {
        let mut rest = self.rest.borrow_mut();
        let at = rest.iter().rposition(which)?;
        Some(rest.remove(at))
    }
}

/// Takes the innermost [`Dropping`] off the thread.
struct Leave(*const Dropping);

impl Drop for Leave {
    fn drop(&mut self) {
        DROPPING.set(self.0);
    }
}

/// Before a wait for a tracker: drops the closures that are counted there and that nobody but this thread would drop.
#[inline]
pub(crate) fn drop_counted(tracker: usize) {
    let mut at = DROPPING.get();
    // SAFETY: it is further up this thread's stack, until `Leave` takes it off, and so are those further out.
    while let Some(dropping) = unsafe { at.as_ref() } {
        while let Some(task) = dropping.next(|task| task.is_counted_in(tracker)) {
            task.end();
        }
        at = dropping.outer;
    }
}

impl Unrun {
    /// A caller of `run` or a borrowing scope waits until its closure is dropped.
    fn borrows(&self) -> bool {
        matches!(self.closure, Left::Borrowing(..)) || self.counted.scoped.is_some()
    }

    fn is_counted_in(&self, tracker: usize) -> bool {
        self.pool.tracker.address() == tracker
            || self.counted.scoped.as_ref().is_some_and(|scoped| scoped.address() == tracker)
            || self.counted.scope_nodes().any(|(_, scope)| scope.of(self.pool.joins()).address() == tracker)
    }

    /// Drops the closure and counts the task out.
    fn end(self) {
        let Self { pool, counted, rare, closure } = self;
        if !matches!(closure, Left::Nothing) {
            let mut closure = Some(closure);
            let mut drop_it = || match closure.take() {
                Some(Left::Detached(closure)) => swallow_drop(closure),
                Some(Left::Borrowing(claimed, error)) => {
                    claimed.fail(error);
                    claimed.finish(|_, foreign| foreign());
                }
                Some(Left::Nothing) | None => {}
            };
            // Whatever the closure held is dropped standing where the task would have stood and as a part of it. It may
            // be a handle, whose drop ends another task, which holds a handle.
            depth::with_room(&pool, || Frame::teardown(&pool, counted.clone(), false, 0, &mut drop_it));
        }
        pool.counters.dropping.fetch_sub(1, Ordering::SeqCst);
        swallow_drop(rare);
        worker::leave_unrun(&pool, counted);
    }
}

impl Pool {
    /// Takes room in the queue for one task. A queue without a limit always has some.
    #[inline]
    pub(crate) fn acquire_capacity(&self) -> Result<(), SubmitError> {
        match &self.capacity {
            Some(capacity) if !capacity.try_acquire() => Err(SubmitError::new(
                &self.namespace,
                SubmitErrorKind::QueueFull { limit: self.config.queue_limit.unwrap_or(usize::MAX) },
            )),
            _ => Ok(()),
        }
    }

    /// The node that is to list a task submitted at the place, registered. `None` for a root, which is never cancelled.
    #[inline]
    pub(crate) fn listing_node(&self, place: &NodeRef) -> Option<NonNull<Node>> {
        let node = place.below_root()?;
        queued::register(node);
        Some(NonNull::from(&**node))
    }

    /// Lists a task at its node. False when it is not to start any more.
    ///
    /// # Safety
    /// The node came from `listing_node`, and the task's memo holds it. No other thread has seen the task.
    #[inline]
    pub(crate) unsafe fn list(&self, node: NonNull<Node>, task: &Task) -> bool {
        let joins = self.joins();
        // SAFETY: the memo holds the node until a claimer takes it, which can be once the task is listed and the list
        // unlocked; nothing touches the node here after that.
        let node = unsafe { node.as_ref() };
        let unwanted = || node.is_cancelled() || (!joins && node.scope_closed());
        // SAFETY: a cell does not move, and each claimer unlists its task before it finishes it.
        unsafe { node.queued().of(joins).list(task.link(), unwanted) }
    }

    /// Takes a claimed task off its node's list. Called before the task is finished, which may free it.
    #[inline]
    pub(crate) fn unlist(&self, place: &NodeRef, task: &Task) {
        if let Some(node) = place.below_root() {
            // SAFETY: the reference keeps the task, which was listed at its own place, or never.
            unsafe { node.queued().of(self.joins()).unlist(task.link()) };
        }
    }

    /// Ends a task that was accepted when its place was cancelled already. It is in no queue.
    #[cold]
    pub(crate) fn end_at_once(self: &Arc<Self>, task: Task) {
        if let Ok(claimed) = task.claim() {
            self.counters.claimed.fetch_add(1, Ordering::Relaxed);
            let error = TaskError::cancelled(claimed.task().id(), &self.namespace);
            self.end_unrun(claimed, error);
        }
    }

    /// Ends a task that was pushed while its pool was cancelled, or closed as a daemon pool: the canceller may have looked
    /// at the queue before.
    #[cold]
    pub(crate) fn pushed_late(self: &Arc<Self>, handle: &Task) {
        if self.drops_all() {
            self.end_pushed(handle);
        }
    }

    /// A pool whose tasks stand at its owner is known there, so that a request made there ends what is queued.
    pub(crate) fn stands_at_owner(self: &Arc<Self>) {
        let owner = self.config.steals().then(|| self.owner.upgrade()).flatten();
        if let Some(node) = owner.as_ref().and_then(NodeRef::below_root) {
            let this: Weak<Self> = Arc::downgrade(self);
            queued::stands_at(node, this);
        }
    }

    /// Ends a task that was pushed while the place where it is to stand was asked to stop: the canceller may have looked
    /// at the queue before.
    #[cold]
    pub(crate) fn pushed_for(self: &Arc<Self>, owner: NodeRef, handle: &Task) {
        // The push first, then the look; the canceller notes its request first, and looks at the queue then.
        fence(Ordering::SeqCst);
        if self.drops_at(owner.node()) {
            self.end_pushed(handle);
        }
        // It may be the last that holds the owner, whose end is user code.
        swallow(|| drop(owner));
    }

    /// Ends a task that was pushed, if no other thread has claimed it.
    fn end_pushed(self: &Arc<Self>, handle: &Task) {
        if let Ok(claimed) = handle.another().claim() {
            self.claimed_in_queue();
            let error = TaskError::cancelled(claimed.task().id(), &self.namespace);
            self.end_unrun(claimed, error);
        }
    }

    /// Counts a task that was claimed in the queue and leaves a tombstone there. When tombstones are most of the queue
    /// they are swept out, so that cancelling a long queue behind a long task gives its memory back.
    pub(crate) fn claimed_in_queue(&self) {
        self.counters.claimed.fetch_add(1, Ordering::Relaxed);
        let tombstones_queued = self.tombstones_queued.fetch_add(1, Ordering::Relaxed) + 1;
        if tombstones_queued.cast_unsigned().is_multiple_of(SWEEP)
            && tombstones_queued.cast_unsigned() >= self.stats().queued
        {
            let swept = self.queue.take_if(|task| !task.state().is_queued());
            self.tombstones_queued.fetch_sub(swept.len().cast_signed(), Ordering::Relaxed);
        }
    }
}

impl OwnedQueue for Pool {
    fn claim_queued(&self, which: Which, unwanted: &dyn Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        if which == Which::Daemon && self.joins() {
            return;
        }
        // After the request: see `pushed_for`.
        fence(Ordering::SeqCst);
        let mut claim = |task: &Task| {
            if unwanted() && task.state().claim_counted() {
                into.push(task.link());
            }
            // A tombstone stays, as for each other claim.
            false
        };
        drop(self.queue.take_if(&mut claim));
    }
}
