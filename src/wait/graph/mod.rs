//! The graph of waits: which thread waits for which, so that a wait which would close a circle is refused.
//!
//! Each thread has a [`Record`]. While the thread is in one of heirloom's waits, the record holds the wait's target and the
//! [`Stack`] of the waiting code: the tasks on the thread's stack, the trackers that count them, the permits that the wait
//! keeps. A thread that runs writes nothing, since only waiting threads are part of a circle.
//!
//! A thread that begins a wait writes its record. Then it follows the target from wait to wait. Where the way leads back to
//! the thread, the wait closes a circle and is refused, with the circle in words ([`Circle`]).
//!
//! # Waits in the graph
//! * Waits without a deadline, of threads: for a task, the first of several tasks, a thread; for the tasks of a pool, of a
//!   scope, of a borrowing scope; for a value that another thread initialises, a gate that another thread holds, capacity of
//!   a full queue, a future behind a portal; and, in `run_until` and `block_on`, for a future that tasks alone wake.
//! * Code on the stack of a waiting thread holds up the waits for it. Threads that keep all permits of a pool while they
//!   wait (`holds_permit`, a local pool's thread, a worker's initialiser) hold up the pool's queued tasks and the capacity of
//!   its queue. Workers of a runtime that all wait hold up a future behind a portal.
//!
//! # Waits outside of the graph
//! * Waits of other libraries: locks, channels, sockets, `std`'s joins and the end of `thread::scope`, rayon's waits, the
//!   code inside of `blocking`. A thread in one of these counts as one that runs.
//! * Futures. A future that awaits a handle blocks no thread, and the code that holds it up stands on no stack.
//! * Waits with a deadline, since they end by themselves. A wait for a value or a gate is in the graph all the same, and is
//!   told of a circle at once instead of at its deadline.
//! * Tasks that run in place inside more than 256 others on one stack: the innermost 256 are in the graph.
//! * Queued tasks of a scope: a wait for the scope is followed to its running tasks.
//! * Waits of thread-locals' destructors on a dedicated pool's thread.
//! * Waits in a fork of the process that made the pools.
//!
//! # The wait that is told
//! One wait of the circle is told: the first of these that the circle has.
//! 1. A wait for a value or a gate. Its caller may do without, so the choice does not depend on the order of the waits.
//! 2. A wait that blocks a runtime's worker, since it holds up the runtime.
//! 3. The wait that closes the circle.
//! 4. Another wait, where the caller of that one cannot be told (the end of a borrowing scope, a borrowing run, the end of
//!    the process).
//!
//! A wait that is told before it blocks is refused. A blocked wait that is told ends with the same error. Where no caller can
//! be told, the graph logs the circle at WARN, and the waits go on.
//!
//! # Proof: the graph misses no circle
//! Each thread writes its own record before it searches. Of the threads in a circle, the last one to write reads the
//! others' records. Nothing but the begin of a wait closes a circle: a gate or a permit is handed to a thread that runs.
//!
//! # Proof: the graph finds no circle that was never there
//! A search reads the records one after the other, from the target to the searching thread. When it gets there, it reads
//! all of them once more. A wait that is the same at both reads was there in between, so all of them were there at once. The
//! search's other observations (a task is queued, an obligation is unpaid) never become true again, so they held in between
//! too. Where a wait differs, the search begins again.
//!
//! # Proof: exactly one wait is told
//! Two threads may close a circle together, and both find it. A thread that finds one takes the lock of closers and searches
//! again. A refused wait has left its record before its thread releases the lock, so the second thread finds no circle.
//!
//! # Locks
//! A set shows its tasks under its own lock, and the search takes records' locks within. So no thread takes a set's lock
//! while it holds a record's. A thread that ends a wait releases the lock of closers before it looks at the wait around
//! it, since that look may take the lock again.
//!
//! # Cost
//! Nothing for a wait that does not block. A wait that blocks writes its record and searches from its target: about 0.1 µs
//! where the target is a running task, and a walk over all threads' records where it is a tracker.

mod found;
mod holds;
mod obliged;
mod record;
mod search;

use std::collections::HashMap;

use self::found::Found;
use self::record::{KEEP, Wait};
use self::search::find;
use crate::names::id::TaskId;
use crate::sync::fork;
use crate::sync::os::{Arc, Ordering, fence};
use crate::sync::unwind::swallow;

pub(crate) use self::obliged::{give_up_all, obliged};
pub(crate) use self::record::{
    Begin, ClosesCircle, Ends, Graph, IsQueued, Label, Obligation, Obligor, Permit, Record, Several, Stack, Target,
    Task, Worker, graph,
};

impl Graph {
    /// Notes that the calling thread waits, until the result is dropped. The error says that the wait would close a
    /// circle. Runs no user code but the `tracing` subscriber for a warning, where no wait of a circle can be told.
    pub(crate) fn begin(&self, me: Arc<Record>, wait: Begin) -> Result<Waiting<'_>, ClosesCircle> {
        let Begin { on, label, stack, ends, waker } = wait;
        if me.waker.get().is_none() {
            let _ = me.waker.set(waker());
        }
        let key = me.next_number();
        if fork::is_fork() {
            // A thread that does not exist here may have held a lock of the graph's.
            return Ok(Waiting { graph: self, record: me, key, outer: None, is_noted: false });
        }
        for (task, _) in &stack.tasks {
            self.shard(*task).lock().insert(*task, Arc::clone(&me));
        }
        let outer = me.wait.lock().replace(Wait { key, number: key, on, label, stack, ends });
        let waiting = Waiting { graph: self, record: me, key, outer, is_noted: true };
        // The record first, then the look; see the module.
        fence(Ordering::SeqCst);
        match find(self, &waiting.record) {
            None => Ok(waiting),
            Some(_) => self.close(waiting),
        }
    }

    /// Decides about a wait that closed a circle a moment ago.
    #[cold]
    fn close<'a>(&self, mut waiting: Waiting<'a>) -> Result<Waiting<'a>, ClosesCircle> {
        let one = self.closing.lock();
        while let Some(found) = find(self, &waiting.record) {
            match found.to_be_told() {
                Some(0) => {
                    // The wait leaves its record before others search. The search for the wait around it takes the lock
                    // too.
                    let has_outer = waiting.end();
                    drop(one);
                    if has_outer {
                        self.goes_on(&waiting.record);
                    }
                    return Err(found.why(0));
                }
                Some(other) => found.tell(other),
                None => {
                    drop(one);
                    warn(&found);
                    return Ok(waiting);
                }
            }
        }
        Ok(waiting)
    }
}

/// No wait of the circle can be told.
fn warn(found: &Found) {
    // A subscriber is user code.
    swallow(|| {
        tracing::warn!(
            target: "heirloom",
            circle = %found.why(0).circle,
            "waits hold each other up, and none of them can fail: they end only if one is ended from outside",
        );
    });
}

/// A thread's wait, until dropped. Waits of one thread may be inside one another; the innermost counts.
pub(crate) struct Waiting<'a> {
    graph: &'a Graph,
    record: Arc<Record>,
    key: u64,
    outer: Option<Wait>,
    is_noted: bool,
}

impl Waiting<'_> {
    /// The wait is refused, since it would never end.
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.record.told.load(Ordering::SeqCst) == self.key
    }

    /// The reason, if the wait is refused.
    pub(crate) fn refusal(&self) -> Option<ClosesCircle> {
        if self.is_refused() { self.record.why.lock().clone() } else { None }
    }

    /// For code that hands the awaited obligation to another thread.
    pub(crate) fn edge(&self) -> Edge {
        Edge { record: Arc::clone(&self.record), key: self.key }
    }
}

impl Waiting<'_> {
    /// Ends the wait, once. True when the thread is back in a wait around it.
    fn end(&mut self) -> bool {
        if !std::mem::take(&mut self.is_noted) {
            return false;
        }
        let outer = self.outer.take();
        let has_outer = outer.is_some();
        let inner = std::mem::replace(&mut *self.record.wait.lock(), outer);
        if let Some(inner) = &inner {
            let outer = self.record.wait.lock();
            let stays =
                |task: TaskId| outer.iter().any(|outer| outer.stack.tasks.iter().any(|(other, _)| *other == task));
            for (task, _) in &inner.stack.tasks {
                if !stays(*task) {
                    self.graph.leave(*task, &self.record);
                }
            }
        }
        has_outer
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.end() {
            self.graph.goes_on(&self.record);
        }
    }
}

impl Graph {
    fn leave(&self, task: TaskId, record: &Arc<Record>) {
        let mut shard = self.shard(task).lock();
        let left = shard.remove(&task);
        debug_assert!(left.is_none_or(|left| Arc::ptr_eq(&left, record)), "a task is on one stack");
        if shard.is_empty() && shard.capacity() > KEEP {
            *shard = HashMap::new();
        }
    }

    /// Searches again when a thread is back in a wait after one within it: others may have begun to wait for the thread
    /// meanwhile.
    #[cold]
    fn goes_on(&self, record: &Arc<Record>) {
        fence(Ordering::SeqCst);
        if find(self, record).is_none() {
            return;
        }
        let one = self.closing.lock();
        while let Some(found) = find(self, record) {
            match found.to_be_told() {
                Some(told) => found.tell(told),
                None => {
                    drop(one);
                    return warn(&found);
                }
            }
        }
    }
}

/// A wait, as other threads change it. Its target can go from one thread to another, and the code that hands it on
/// turns the wait in the same step; otherwise a search could find a circle that was never there.
pub(crate) struct Edge {
    record: Arc<Record>,
    key: u64,
}

impl Edge {
    /// Sets the target, which a running thread owes.
    pub(crate) fn turn(&self, on: Target) {
        let mut wait = self.record.wait.lock();
        // Only while this wait is the thread's innermost.
        let before = wait.as_mut().filter(|wait| wait.key == self.key).map(|wait| {
            wait.number = self.record.next_number();
            std::mem::replace(&mut wait.on, on)
        });
        drop(wait);
        drop(before);
    }
}
