//! Deadlines of nodes and of tasks: the alarm of each, and its way to the code below.
//!
//! The timer's thread runs no user code. It notes the request at the node, which takes the same time however much is below,
//! and hands the rest to another thread ([`threads::aside`](crate::threads::aside)): ending queued tasks, waking waiters,
//! dropping closures. So a slow drop holds up no other deadline.

use std::task::{Wake, Waker};
use std::time::Instant;

use crate::error::CancelReason;
use crate::lineage::current;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::lineage::queued::Claims;
use crate::names::id::NodeId;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::{Task, TaskMeta};
use crate::pool::run::cancel_task;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::task::claimed::Claimed;
use crate::threads::aside;
use crate::timer::deadlines::{Owner, deadlines};
use crate::timer::timer;
use crate::wait::park;

/// Cancels what is below a node whose request is noted. Runs user code.
pub(crate) type Carry = fn(NodeRef);

/// Sets the deadline of a node, or moves it; one that has passed cancels at once, on this thread. Does nothing at a node
/// that has ended, and in a fork's child.
pub(crate) fn set(node: &NodeRef, at: Instant, carry: Carry) {
    if fork::is_fork() {
        return;
    }
    let id = node.node().id();
    let owner = Owner::Node(id);
    let note = || node.node().note_deadline();
    if at > Instant::now() {
        let alarm = || Waker::from(Arc::new(NodeAlarm { node: node.downgrade(), id, carry }));
        deadlines().set(owner, at, || timer().at(at, alarm()), note);
    } else if deadlines().expire(owner, at, note) {
        node.node().note_cancel(CancelReason::Deadline);
        carry(node.clone());
    }
}

/// Notes the deadline of a node, which the caller fires and forgets itself.
#[cfg(feature = "tower")]
pub(crate) fn note(node: &NodeRef, at: Instant) -> Option<Owner> {
    let owner = Owner::Node(node.node().id());
    let noted = !fork::is_fork();
    if noted {
        deadlines().set(owner, at, || None, || node.node().note_deadline());
    }
    noted.then_some(owner)
}

/// Sets the deadline of a task, or moves it, as [`set`] does for a node.
pub(crate) fn set_for_task(task: &Task, at: Instant) {
    if fork::is_fork() {
        return;
    }
    let owner = Owner::Task(task.id());
    let note = || task.state().note_deadline();
    if at > Instant::now() {
        let alarm = || Waker::from(Arc::new(TaskAlarm { task: task.another() }));
        deadlines().set(owner, at, || timer().at(at, alarm()), note);
    } else if deadlines().expire(owner, at, note) {
        let _ = cancel_task::cancel(task, CancelReason::Deadline);
    }
}

/// Removes the deadline of a task, unless it has passed.
pub(crate) fn remove_from_task(task: &Task) {
    if !fork::is_fork() && deadlines().any() {
        deadlines().end(Owner::Task(task.id()));
    }
}

/// Begins the time of a task that the calling thread is about to run, in the task's frame. The task becomes a node, so that
/// its deadline reaches the tasks and threads below it. The node's end removes the deadline.
#[inline]
pub(super) fn begin(pool: &Pool, claimed: &Claimed<TaskMeta>) {
    if pool.config.rare().task_timeout.is_some() || claimed.task().state().is_timed() {
        begin_limited(pool);
    }
}

#[cold]
fn begin_limited(pool: &Pool) {
    let Some(own) = current::own().filter(|_| !pool.config.steals()) else { return };
    if let Some(at) = pool.config.rare().task_timeout.and_then(park::after) {
        set(&own, at, cancel_below);
    }
}

/// Begins the time of a promised task, at its own node.
pub(super) fn begin_promised(pool: &Pool, own: &NodeRef) {
    if let Some(at) = pool.config.rare().task_timeout.and_then(park::after) {
        set(own, at, cancel_below);
    }
}

/// The carry of a node that is no scope.
pub(crate) fn cancel_below(at: NodeRef) {
    let node = at.node();
    let mut claims = Claims::new();
    node.claim_cancelled(&mut claims);
    claims.end(|| node.cancelled_for(CancelReason::Deadline), || node.notify_cancelled());
}

/// Woken by the timer at a node's deadline.
struct NodeAlarm {
    node: WeakNodeRef,
    id: NodeId,
    carry: Carry,
}

impl Wake for NodeAlarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(node) = self.node.upgrade() else { return };
        let carry = self.carry;
        if deadlines().fire(Owner::Node(self.id), Instant::now()) {
            node.node().note_cancel(CancelReason::Deadline);
            aside::run(move || carry(node));
        } else if let Some(last) = node.into_last() {
            // The drop of a node drops its values, which is user code.
            aside::run(move || drop(last));
        }
    }
}

/// Woken by the timer at the deadline of a task's handle.
struct TaskAlarm {
    task: Task,
}

impl Wake for TaskAlarm {
    fn wake(self: Arc<Self>) {
        if deadlines().fire(Owner::Task(self.task.id()), Instant::now()) {
            aside::run(move || {
                let _ = cancel_task::cancel(&self.task, CancelReason::Deadline);
            });
        } else {
            // The last reference to a task drops its waker, which is user code.
            aside::run(move || drop(self));
        }
    }
}
