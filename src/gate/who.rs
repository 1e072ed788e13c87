//! [`Who`]: a caller of a gate: the innermost task of a thread, or the thread outside of any task.

use std::thread::Thread;
use std::time::Duration;

use crate::error::busy::Holder;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::pool::context::code::{Code, Running};
use crate::pool::context::thread::{task_id, with_own};
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::wait::graph::{Obligation, Record};
use crate::wait::here;

/// A caller of a gate: its waiter, and then its holder.
pub(super) struct Who {
    running: Running,
    task: Option<TaskId>,
    namespace: Option<Namespace>,
    thread: Thread,
    /// The thread's record in the graph of waits.
    record: Arc<Record>,
    generation: u64,
}

impl Who {
    /// The calling code.
    pub(super) fn here(running: Running) -> Self {
        let task = task_id();
        Self {
            running,
            task,
            namespace: with_own(|frame| Some(frame.filter(|_| task.is_some())?.pool().namespace.clone())),
            thread: std::thread::current(),
            record: here::me(),
            generation: fork::generation(),
        }
    }

    pub(super) fn key(&self) -> Code {
        self.running.code
    }

    pub(super) fn shares_its_thread_with(&self, other: &Who) -> bool {
        self.running.thread == other.running.thread
    }

    /// Its thread runs in the process that this one is a fork of.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    /// The obligation to leave the gate, for the waiters.
    pub(super) fn owes(&self) -> Arc<Obligation> {
        Obligation::new(Arc::clone(&self.record))
    }

    pub(super) fn holder(&self, held_for: Duration) -> Holder {
        Holder {
            task: self.task,
            namespace: self.namespace.clone(),
            thread: self.thread.id(),
            thread_name: self.thread.name().map(Box::from),
            held_for,
        }
    }
}
