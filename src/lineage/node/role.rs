//! [`Role`]: the kind of a node, with the fields that only this kind has.

use std::thread::ThreadId;

use crate::lineage::node::scope_trackers::ScopeTrackers;
use crate::names::id::TaskId;

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
