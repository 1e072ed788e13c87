//! [`Role`]: the kind of a node, with the fields that only this kind has.

use std::thread::ThreadId;

use crate::names::id::TaskId;
use crate::wait::tracker::TaskTracker;

/// The kind of code that stands at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// The root of a family. The main thread stands at the process, whose managers and values all code finds.
    Process,
    /// An OS thread.
    Thread,
    /// A pool task.
    Task,
    /// A [`Scope`](crate::Scope), such as a request or a component.
    Scope,
}

impl NodeKind {
    /// Returns the kind in lower case, as trees and errors print it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Task => "task",
            Self::Scope => "scope",
        }
    }
}

/// A node's kind, with the fields of this kind.
pub(crate) enum Role {
    Process,
    Thread(ThreadId),
    Task(TaskId),
    Scope(ScopeTrackers),
}

/// Trackers of the tasks that were submitted at or below a scope, in any pool.
///
/// There are two, because the scope's end waits for one of them only.
pub(crate) struct ScopeTrackers {
    /// Counts tasks of joining pools.
    pub(crate) joining: TaskTracker,
    /// Counts tasks of daemon pools.
    pub(crate) daemon: TaskTracker,
}

impl ScopeTrackers {
    pub(crate) fn new() -> Self {
        Self { joining: TaskTracker::new(), daemon: TaskTracker::new() }
    }

    #[inline]
    pub(crate) fn of(&self, joins: bool) -> &TaskTracker {
        if joins { &self.joining } else { &self.daemon }
    }

    pub(crate) fn close(&self) {
        self.joining.close();
        self.daemon.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.joining.is_closed()
    }

    /// Returns true when both trackers are closed and empty, which is final.
    pub(crate) fn is_over(&self) -> bool {
        self.joining.is_ended() && self.daemon.is_ended()
    }

    pub(crate) fn count(&self) -> usize {
        self.joining.count() + self.daemon.count()
    }
}
