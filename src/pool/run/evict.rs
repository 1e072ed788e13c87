//! Ending cancelled tasks at once, in whichever queue they stand.
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
//! A closure of `run` borrows from its caller, and the caller goes on as soon as the outcome is there. So such a task
//! gets its outcome after the drop, and the canceller ends it before the others. The same holds for the tasks of
//! borrowing scopes, whose owners wait for the drop.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use smallvec::SmallVec;

use crate::error::{Cancelled, TaskError};
use crate::lineage::queued::{self, Claims, TaskLink, TaskOps};
use crate::pool::context::frame::Brings;
use crate::pool::context::{enter, thread};
use crate::pool::core::capacity::Capacity;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Counted, RareMeta, Task, TaskMeta};
use crate::pool::core::{cause, claimed, task_nodes};
use crate::pool::run::{depth, leave};
use crate::sync::fork::is_fork;
use crate::sync::os::{Arc, Ordering};
use crate::sync::unwind::swallow_drop;
use crate::task::body::Closure;
use crate::task::claimed::{Claimed, Published, Unwoken};

static OPS: TaskOps = TaskOps { may_end: || !is_fork(), claim: claim_listed, end: end_claimed };

/// Installs the functions that claim and end listed tasks. Called before the first task is listed.
pub(crate) fn install() {
    queued::install(&OPS);
}

/// # Safety
/// As for [`TaskOps::claim`].
unsafe fn claim_listed(link: NonNull<TaskLink>) -> bool {
    // SAFETY: a listed task is alive, and `Pool::list` lists no other type.
    let task = ManuallyDrop::new(unsafe { Task::from_raw(link.cast()) });
    task.state().claim_counted()
}

fn end_claimed(claims: Claims, cause: &Cancelled, notify: &mut dyn FnMut()) {
    let mut evicted = Evicted::new();
    evicted.add_all(claims, cause);
    evicted.end(notify);
}

/// Tasks that end without having run. Each has its outcome; its waiters, closure and counts are still open.
#[must_use = "waiters of the tasks are to be woken, and their closures dropped"]
pub(crate) struct Evicted {
    tasks: SmallVec<[Unrun; 1]>,
    unwoken: Vec<Unwoken<TaskMeta>>,
    /// The bounded queues in which the tasks freed capacity.
    roomy: Vec<Arc<Pool>>,
}

/// The parts of a task that never ran.
struct Unrun {
    pool: Arc<Pool>,
    counted: Counted,
    rare: RareMeta,
    closure: Left,
}

enum Left {
    Detached(Closure),
    /// Still inside the task, which gets its outcome after the drop.
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
            task_nodes::unlist(pool, &meta.place, claimed.task());
            if claimed.task().state().is_promised() {
                pool.cold().promised.unlist_failed(claimed.task(), &error);
            }
            if let Some(capacity) = pool.capacity() {
                capacity.count_one(claimed.task());
                self.roomy.push(Arc::clone(pool));
            }
        }
        // The outcome is counted before the task ends.
        pool.counters.dropping.fetch_add(1, Ordering::SeqCst);
        pool.cold().cancelled.fetch_add(1, Ordering::Relaxed);
        let closure = if claimed.task().state().borrows() {
            Left::Borrowing(claimed, error)
        } else {
            let Published { closure, unwoken } = claimed.publish(pool, error);
            self.unwoken.extend(unwoken);
            closure.map_or(Left::Nothing, Left::Detached)
        };
        let (counted, rare) = meta.into_counted();
        self.tasks.push(Unrun { pool: Arc::clone(pool), counted, rare, closure });
    }

    /// Cancels tasks that were claimed in the lists of nodes: gives them their outcome.
    pub(crate) fn add_all(&mut self, claims: Claims, cause: &Cancelled) {
        for link in claims.into_links() {
            // SAFETY: claimed by `claim_listed`, and taken out of the claims once.
            let claimed: Claimed<TaskMeta> = unsafe { Claimed::from_link(link) };
            let Some((pool, meta)) = claimed::take(&claimed) else { continue };
            let error = TaskError::cancelled(claimed.task().id(), &pool.namespace, cause.clone());
            self.add(&pool, claimed, meta, error);
        }
    }

    /// Runs the user code that is left: `notify`, wakers, and the drops of closures, the oldest task's first.
    pub(crate) fn end(self, notify: &mut dyn FnMut()) {
        let Self { mut tasks, unwoken, roomy } = self;
        tasks.reverse();
        // `Dropping::next` takes the last one first. A number, as other sorts have: `sort` is compiled for each type of key.
        tasks.sort_by_cached_key(|task| u64::from(task.borrows()));
        let dropping = Dropping { rest: RefCell::new(tasks), outer: thread::dropping().cast() };
        thread::with_dropping(ptr::from_ref(&dropping).cast(), || {
            notify();
            unwoken.into_iter().for_each(Unwoken::wake);
            roomy.iter().filter_map(|pool| pool.capacity()).for_each(Capacity::notify_freed);
            while let Some(task) = dropping.next(&|_| true) {
                task.end();
            }
        });
    }
}

/// Tasks whose closures a call further out on this thread's stack is about to drop.
struct Dropping {
    rest: RefCell<SmallVec<[Unrun; 1]>>,
    outer: *const Dropping,
}

impl Dropping {
    fn next(&self, which: &dyn Fn(&Unrun) -> bool) -> Option<Unrun> {
        let mut rest = self.rest.borrow_mut();
        let at = rest.iter().rposition(which)?;
        Some(rest.remove(at))
    }
}

/// Drops the closures that a tracker counts and that only this thread would drop. Called before a wait for the tracker.
#[inline]
pub(crate) fn drop_counted(tracker: usize) {
    let mut at = thread::dropping().cast::<Dropping>();
    // SAFETY: `Evicted::end` alone sets the pointer. It points further up this thread's stack until that call returns, and
    // so do the outer ones.
    while let Some(dropping) = unsafe { at.as_ref() } {
        while let Some(task) = dropping.next(&|task| task.is_counted_in(tracker)) {
            task.end();
        }
        at = dropping.outer;
    }
}

impl Unrun {
    /// Returns whether a caller of `run` or a borrowing scope waits until the closure is dropped.
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
        enter::with_new_frame(&pool, None, counted, Brings::Nothing, 0, |frame| {
            if !matches!(closure, Left::Nothing) {
                // The closure's captures are dropped at the node where the task would have stood, as a part of the task. A
                // capture may be a handle whose drop ends another task, which holds a handle in turn.
                let drop_it = || match closure {
                    Left::Detached(closure) => swallow_drop(closure),
                    Left::Borrowing(claimed, error) => {
                        claimed.fail(error);
                        claimed.finish(&pool);
                    }
                    Left::Nothing => {}
                };
                depth::with_room(&pool, || enter::teardown(frame, &frame.counted.place, drop_it));
            }
            pool.counters.dropping.fetch_sub(1, Ordering::SeqCst);
            swallow_drop(rare);
            leave::end(&pool, frame, || {});
        });
        pool.leave();
    }
}

/// Ends a claimed task that never ran. Its closure is dropped on this thread, after the outcome is there.
pub(crate) fn end_unrun(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta, error: TaskError) {
    let mut evicted = Evicted::new();
    evicted.add(pool, claimed, meta, error);
    evicted.end(&mut || {});
}

/// Ends a claimed task that is not to start, for the request that reaches it.
#[cold]
pub(super) fn end_cancelled(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>) {
    if let Some(meta) = claimed.take_meta() {
        end_cancelled_with(pool, claimed, meta);
    }
}

#[cold]
pub(super) fn end_cancelled_with(pool: &Arc<Pool>, claimed: Claimed<TaskMeta>, meta: TaskMeta) {
    let cause = cause::of_queued(pool, &meta);
    let error = TaskError::cancelled(claimed.task().id(), &pool.namespace, cause);
    end_unrun(pool, claimed, meta, error);
}

/// Gives each promised task that has not begun its outcome.
pub(super) fn evict_promised(pool: &Arc<Pool>, evicted: &mut Evicted, error: &dyn Fn(&Task) -> TaskError) {
    for task in task_nodes::promised(pool) {
        let Ok(claimed) = task.claim_promised() else { continue };
        let Some(meta) = claimed.take_meta() else { continue };
        let error = error(claimed.task());
        evicted.add(pool, claimed, meta, error);
    }
}

/// Takes every queued task off the queue, and gives each its outcome.
pub(crate) fn evict_queued(pool: &Arc<Pool>, evicted: &mut Evicted, error: &dyn Fn(&Task) -> TaskError) {
    for task in pool.queue.take_if(&mut |_| true) {
        let Ok(claimed) = task.claim() else { continue };
        let Some(meta) = claimed.take_meta() else { continue };
        let error = error(claimed.task());
        evicted.add(pool, claimed, meta, error);
    }
}
