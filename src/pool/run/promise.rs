//! A promised task: counted, listed and cancelled as a queued one, and ended from outside.
//!
//! # The life of a promised task
//! ```text
//!            begin, or complete                    complete, or the drop of the promise
//!  PROMISED ────────────────────► RUNNING, begun ────────────────────────────────────────► DONE
//!     └───── a cancel ──► RUNNING, evicted ──► DONE
//! ```
//! One claim decides between the two ways out of `PROMISED` ([`State`](crate::task::state::State)). A canceller that wins it evicts
//! the task as it evicts a queued one. A holder that wins it owes the end, which the promise keeps until then ([`Begun`]).
//!
//! The task is in no queue. Its submitter's node lists it, and so does its pool ([`PromisedTasks`](crate::pool::core::promised::PromisedTasks)), so that each canceller finds it.
//!
//! # The task's own node
//! The holder of the promise gets a node at once, so the node exists before the task begins. The task's cell learns of the node
//! when the task begins: until then the cell keeps the rank in the same word, for the release of the capacity. A cancel of an
//! unbegun task is noted at the node by the eviction, and the drop of the task's closure ([`Ending`]) notifies the node's waiters.
//!
//! # The order of an end
//! As for a task that a thread runs: the node ends, the outcome is counted, the result becomes visible, the waiters are woken, and
//! the trackers count the task out. User code runs with a frame of the task's on the calling thread.

use std::iter;
use std::mem;

use crate::error::{CancelReason, Error, ErrorKind, TaskError};
use crate::lineage::node::{Node, NodeRef, Role};
use crate::names::id::TaskId;
use crate::names::task_type::TaskType;
use crate::pool::context::enter;
use crate::pool::context::frame::Brings;
use crate::pool::core::pool::Pool;
use crate::pool::core::running_tasks::{Running, Spare};
use crate::pool::core::task_meta::{Counted, RareMeta, Task, TaskMeta};
use crate::pool::core::task_nodes::{self, NodeKey};
use crate::pool::run::admit::{EndedBy, acquire_capacity, admit, meta, refuse};
use crate::pool::run::{deadline, depth, evict, leave, rank};
use crate::sync::clock::CoarseInstant;
use crate::sync::fork;
use crate::sync::os::{Arc, Mutex, Ordering};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::task::body::Body;
use crate::task::cell::{HandleRef, TaskRef};
use crate::task::claimed::Claimed;
use crate::task::stored::Stored;

/// The holder's side of a promised task, without the type of the result.
pub(crate) struct Pledge {
    pool: Arc<Pool>,
    task: Task,
    /// The task's own node.
    node: NodeRef,
    /// Set by the one [`begin`](Self::begin) that won the claim.
    begun: Mutex<Option<Box<Begun>>>,
}

/// A task that has begun, which the promise owes an end.
struct Begun {
    claimed: Claimed<TaskMeta>,
    counted: Counted,
    rare: RareMeta,
    /// The slot in the list of running tasks.
    noted: usize,
    node_key: NodeKey,
}

/// The meeting point of a promise and its task's closure: the value, and the holder's hooks.
pub(crate) struct Meeting<T> {
    value: Mutex<Option<T>>,
    /// `None` once the task has ended, or its holder ends it.
    hooks: Mutex<Option<Vec<Hook>>>,
    /// The task's own node, until it ends. Its drop may run user code, so the end of the task takes it out.
    node: Mutex<Option<NodeRef>>,
}

type Hook = Box<dyn FnOnce() + Send>;

/// The captures of the closure of a promised task. Dropped with the closure, they end the node of an evicted task.
struct Ending<T>(Arc<Meeting<T>>);

/// A promised task: its holder's side, and the reference of its handle.
pub(crate) struct Submitted<F, V, T> {
    pub(crate) pledge: Pledge,
    pub(crate) meeting: Arc<Meeting<V>>,
    pub(crate) task: HandleRef<TaskMeta, F, T>,
}

/// Accepts a promised task. Its holder ends it with a `V`, which becomes a `T` when the handle takes the result.
pub(crate) fn submit<V, T>(
    pool: &Arc<Pool>,
    task_type: Option<TaskType>,
) -> Result<Submitted<impl FnOnce() -> V + Send, V, T>, Error>
where
    V: Stored<T> + Send + 'static,
    T: Send + 'static,
{
    let admitted = admit(pool, task_type.as_ref(), 1, EndedBy::Holder);
    let admitted = admitted.map_err(|reason| refuse(pool, 1, (), reason).reason)?;
    let rank = rank::of(pool, &admitted.place, None);
    if let Err(reason) = acquire_capacity(pool, &admitted.place, rank, 1) {
        pool.retract(&admitted, 1);
        return Err(refuse(pool, 1, (), reason).reason);
    }
    let listing = task_nodes::listing_node(&admitted.place);
    let id = TaskId::next();
    let own: NodeRef = Node::new(&admitted.place, None, Role::Task(id)).into();
    let meta = meta(pool, admitted, task_type, true);
    let meeting = Arc::new(Meeting {
        value: Mutex::new(None),
        hooks: Mutex::new(Some(Vec::new())),
        node: Mutex::new(Some(own.clone())),
    });
    let ending = Ending(Arc::clone(&meeting));
    let (queued, task) = TaskRef::storing(id, meta.place.node().id(), meta, Body::new(move || ending.value()));
    if let Some(rank) = rank {
        task.set_rank(rank);
    }
    task.state().set_promised();
    // SAFETY: the metadata holds the node that lists the task, and only this thread has seen the task.
    let wanted = listing.is_none_or(|node| unsafe { task_nodes::list(pool, node, iter::once(queued.link())) });
    // The pool's list comes second: the node's one takes a task that no other thread has seen.
    if !(pool.cold().promised.list(queued, &own) && wanted) || (pool.tracker.is_closed() && pool.drops_all()) {
        end_unwanted(pool, &task, &own);
    }
    let pledge = Pledge { pool: Arc::clone(pool), task: task.another(), node: own, begun: Mutex::new(None) };
    Ok(Submitted { pledge, meeting, task })
}

/// Ends a task that was accepted while its node or its pool was cancelled or closed, unless the canceller has ended the task.
#[cold]
fn end_unwanted(pool: &Arc<Pool>, task: &Task, own: &NodeRef) {
    if let Ok(claimed) = task.another().claim_promised() {
        evict::end_cancelled(pool, claimed);
    }
    // The canceller may have claimed the task before the pool's list had the node.
    if !own.node().is_cancelled() {
        own.node().note_cancel(CancelReason::OwnerEnd);
    }
}

impl Pledge {
    pub(crate) fn id(&self) -> TaskId {
        self.task.id()
    }

    pub(crate) fn node(&self) -> &NodeRef {
        &self.node
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns whether the task has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.task.state().is_done()
    }

    /// Returns whether the task has begun and has not ended.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.lock().is_some()
    }

    /// Begins the task. False if it has begun or ended. Runs user code: wakers of submitters that wait for capacity.
    pub(crate) fn begin(&self) -> bool {
        if fork::is_fork() {
            return false;
        }
        let pool = &self.pool;
        let Ok(claimed) = self.task.another().claim_promised() else { return false };
        let Some(meta) = claimed.take_meta() else { return false };
        if pool.drops_task(&meta) {
            evict::end_cancelled_with(pool, claimed, meta);
            return false;
        }
        pool.cold().promised.unlist(&self.task);
        pool.release_capacity(&self.task);
        pool.counters.starts_beside_pops.fetch_add(1, Ordering::Relaxed);
        let task_type = meta.task_type().cloned().map(Box::new);
        let (id, at) = (self.task.id(), self.task.at());
        let running = Running { id, at, owed: 0, since: CoarseInstant::now(), task_type };
        let noted = pool.queue.with_extra(|stats| {
            let slot = stats.note(running, &mut Spare::default());
            stats.note_rank(slot, self.task.rank());
            slot
        });
        let (counted, mut rare) = meta.into_counted();
        rare.accepted = pool.totals.started(&**pool, rare.accepted).since();
        // A request that came since the claim moves to the node.
        self.task.materialized(&self.node);
        let node_key = task_nodes::note_node(pool, &self.node);
        *self.begun.lock() = Some(Box::new(Begun { claimed, counted, rare, noted, node_key }));
        deadline::begin_promised(pool, &self.node);
        true
    }

    /// Ends the task, unless it has ended. `Ok` says that its value is at the meeting point. Runs user code. `let_go` drops the
    /// meeting's reference to the node.
    ///
    /// In a fork's child the task is the parent's.
    pub(crate) fn end(&mut self, outcome: Result<(), TaskError>, let_go: &dyn Fn()) {
        if fork::is_fork() {
            // The last reference to a node takes locks that a thread of the parent may have held.
            mem::forget((self.begun.lock().take(), mem::take(&mut self.node)));
            return;
        }
        // A value and a panic come from code that has run.
        if outcome.as_ref().map_or_else(|error| error.kind() == ErrorKind::Panicked, |()| true) {
            self.begin();
        }
        let begun = self.begun.lock().take();
        match (begun, outcome) {
            (Some(begun), outcome) => {
                let node = mem::take(&mut self.node);
                depth::with_room(&self.pool, || begun.end(&self.pool, node, outcome, let_go));
            }
            (None, Err(error)) => self.end_unbegun(error),
            (None, Ok(())) => {}
        }
    }

    fn end_unbegun(&self, error: TaskError) {
        if let Ok(claimed) = self.task.another().claim_promised()
            && let Some(meta) = claimed.take_meta()
        {
            evict::end_unrun(&self.pool, claimed, meta, error);
        }
    }
}

impl Begun {
    fn end(self, pool: &Arc<Pool>, node: NodeRef, outcome: Result<(), TaskError>, let_go: &dyn Fn()) {
        let Self { claimed, counted, rare, noted, node_key } = self;
        pool.totals.goes_on(rare.accepted).ended(true);
        let interrupted = node.node().is_cancelled();
        enter::with_new_frame(pool, None, counted, Brings::Nothing, 0, |frame| {
            enter::teardown(frame, &frame.counted.place, || {
                node.node().end();
                let_go();
                drop(node);
            });
            task_nodes::forget_node(pool, node_key);
            match outcome {
                Ok(()) => {
                    let ran = claimed.run();
                    debug_assert!(ran.is_ok(), "the closure takes the value and drops nothing of a user's");
                    if interrupted {
                        pool.cold().interrupted.fetch_add(1, Ordering::Relaxed);
                        claimed.task().state().set_interrupted();
                    } else {
                        pool.counters.completed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => {
                    let cold = pool.cold();
                    let count = if error.is_cancelled() { &cold.interrupted } else { &cold.panicked };
                    count.fetch_add(1, Ordering::Relaxed);
                    claimed.fail(error);
                }
            }
            swallow_drop(rare);
            task_nodes::unlist(pool, &frame.counted.place, claimed.task());
            pool.queue.with_extra(|stats| stats.erase(noted, &mut Spare::default()));
            frame.claimed = Some(claimed);
            leave::end(pool, frame, || {});
        });
        pool.leave();
    }
}

impl<T> Meeting<T> {
    /// Keeps the value for the closure.
    pub(crate) fn put(&self, value: T) {
        *self.value.lock() = Some(value);
    }

    /// Returns the value, if the closure has not taken it.
    pub(crate) fn take(&self) -> Option<T> {
        self.value.lock().take()
    }

    /// Keeps a hook for a task that ends without its holder. The error returns the hook: the task has ended.
    pub(crate) fn add_hook(&self, hook: Hook) -> Result<(), Hook> {
        match &mut *self.hooks.lock() {
            Some(hooks) => {
                hooks.push(hook);
                Ok(())
            }
            None => Err(hook),
        }
    }

    /// Takes the node, once.
    pub(crate) fn take_node(&self) -> Option<NodeRef> {
        self.node.lock().take()
    }

    /// Takes the hooks, once. `None` if they were taken.
    pub(crate) fn close(&self) -> Option<Vec<Hook>> {
        self.hooks.lock().take()
    }
}

impl<T> Ending<T> {
    fn value(&self) -> T {
        match self.0.take() {
            Some(value) => value,
            None => unreachable!("a promise puts its value before it runs the closure"),
        }
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        // The holder takes the hooks before it ends the task, and the node out of one that has begun.
        let hooks = self.0.close();
        if let Some(node) = self.0.take_node() {
            if node.node().cancel_requested() {
                deadline::cancel_below(node.clone());
            }
            node.node().end();
        }
        for hook in hooks.into_iter().flatten() {
            swallow(hook);
        }
    }
}
