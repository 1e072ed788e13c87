//! [`CancelListener`]: registers a waiter for every cancel request that reaches the running code.

use std::task::Waker;

use crate::lineage::current;
use crate::lineage::flow::Flow;
use crate::lineage::node::NodeRef;
use crate::lineage::watch::Watch;
use crate::lineage::work::{self, Work};
use crate::names::id::NodeId;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{is_shielded, with_own, with_stealing};
use crate::pool::core::pool::Pool;
use crate::sync::os::Arc;

/// Listens at the current node, and at the running task or thread itself. The two differ where the code has entered
/// another node: its own handle still cancels it.
pub(crate) struct CancelListener {
    here: Watch,
    own: Option<Watch>,
    pool: Option<AtPool>,
    work: Option<AtWork>,
}

/// Returns whether a task that was submitted at the node sees every cancel request that reaches the running code.
///
/// The requests to a running task reach what stands below the task's node. So the answer is false where the task was
/// submitted before its submitter was a node, or somewhere else, and where the code is cancelled without a node.
pub(crate) fn is_heard_at(at: NodeId) -> bool {
    let here = current::nearest();
    if here.node().id() != at || is_shielded() {
        return false;
    }
    let (is_own, is_teardown) = with_own(|frame| (frame.is_some(), frame.is_some_and(Frame::is_teardown)));
    let is_work = !is_own && work::with_own(|_| ()).is_some();
    let steals = with_stealing(|thread| thread.is_some());
    !is_teardown && !is_work && !steals && current::own().is_none_or(|own| here.node().is_at_or_below(own.node()))
}

impl CancelListener {
    pub(crate) fn new() -> Self {
        // A task's handle does not cancel shielded code, and a drop that runs after its task has no handle.
        let shield = is_shielded();
        let (is_own, teardown) = with_own(|frame| {
            let teardown = frame.filter(|frame| !shield && frame.is_teardown());
            (frame.is_some(), teardown.map(|frame| AtPool::new(frame.pool())))
        });
        let deaf = shield || teardown.is_some();
        // Before the current node, which is the same one in most cases: it exists after this line.
        let own = if deaf { None } else { current::own() };
        // A thread at no node is not made a node, since no handle could cancel it.
        let here = if current::stands() { current::here() } else { NodeRef::PROCESS };
        let own = own.filter(|own| own.as_ptr() != here.as_ptr());
        let steals = || {
            with_stealing(|thread| {
                thread.filter(|_| !deaf && !Flow::now().is_guest()).map(|thread| AtPool::new(thread.pool))
            })
        };
        let pool = teardown.or_else(steals);
        let work = if deaf || is_own { None } else { work::with_own(AtWork::new) };
        Self { here: Watch::new(&here), own: own.as_ref().map(Watch::new), pool, work }
    }

    /// Returns whether `done`. Otherwise the waker is woken when that may have changed.
    pub(crate) fn poll(&mut self, waker: &Waker, done: impl Fn(&Self) -> bool) -> bool {
        self.here.poll(waker, |_| false);
        if let Some(own) = &mut self.own {
            own.poll(waker, |_| false);
        }
        if let Some(pool) = &self.pool {
            pool.set(waker);
        }
        if let Some(at) = &self.work {
            at.work.waker_set().set(at.at, waker);
        }
        done(self)
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.node().cancel_requested())
            || self.here.node().is_cancelled()
            || self.pool_is_cancelled()
            || self.work.as_ref().is_some_and(|at| at.work.cancel_requested())
    }

    /// A number that changes with every request.
    pub(crate) fn requests(&self) -> u64 {
        let own = self.own.as_ref().map_or(0, |own| own.node().own_requests());
        let pool = u64::from(self.pool_is_cancelled());
        let work = self.work.as_ref().map_or(0, |at| at.work.requests());
        own.wrapping_add(self.here.node().requests()).wrapping_add(pool).wrapping_add(work)
    }

    fn pool_is_cancelled(&self) -> bool {
        self.pool.as_ref().is_some_and(|at| at.pool.is_cancelled())
    }
}

/// Listens for the requests of a spawned future's or job's handle, which is no node.
struct AtWork {
    work: Arc<Work>,
    at: usize,
}

impl AtWork {
    fn new(work: &Arc<Work>) -> Self {
        Self { work: Arc::clone(work), at: work.waker_set().insert() }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.work.waker_set().remove(self.at);
    }
}

/// Listens at the pool, for code without a node that the pool could cancel: the drops after a task, and the tasks of a
/// work-stealing pool.
struct AtPool {
    pool: Arc<Pool>,
    at: usize,
}

impl AtPool {
    fn new(pool: &Arc<Pool>) -> Self {
        Self { pool: Arc::clone(pool), at: pool.tracker.changed().insert() }
    }

    fn set(&self, waker: &Waker) {
        self.pool.tracker.changed().set(self.at, waker);
        self.pool.tracker.watch();
    }
}

impl Drop for AtPool {
    fn drop(&mut self) {
        self.pool.tracker.changed().remove(self.at);
    }
}
