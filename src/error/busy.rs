//! [`Busy`]: a gate is held by another holder.

use std::fmt;
use std::thread::ThreadId;
use std::time::Duration;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::names::id::TaskId;
use crate::names::label::Printed;
use crate::names::namespace::Namespace;

/// A [`Gate`](crate::Gate) was held by another holder for as long as the caller was ready to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Busy {
    /// The gate's name.
    pub gate: &'static str,
    /// How long the caller waited.
    pub waited: Duration,
    /// The holder when the wait ended.
    pub holder: Box<Holder>,
    /// The holder cannot leave before the caller is done, because it waits for the caller or needs the caller's thread.
    /// The wait ended as soon as that was seen; a longer one would not have helped.
    pub would_deadlock: bool,
    /// The waits that hold each other up, if they are known.
    pub circle: Option<Circle>,
    /// The reason and the place of the cancel that ended the wait, when one did.
    pub cancelled: Option<Cancelled>,
    /// The holder's thread does not exist in this process, which is a fork of the one where it holds the gate.
    pub forked: bool,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gate, holder, .. } = self;
        write!(f, "gate \"{gate}\" is held by {holder}, {}", Advice(self))
    }
}

impl std::error::Error for Busy {}

/// The holder of a [`Gate`](crate::Gate) at one moment: a task, or a thread outside of any task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The task; `None` for code outside of any task.
    pub task: Option<TaskId>,
    /// The name of the manager whose pool the task was submitted to.
    pub namespace: Option<Namespace>,
    /// The holder's thread.
    pub thread: ThreadId,
    /// The thread's name.
    pub thread_name: Option<Box<str>>,
    /// Time since the holder entered the gate.
    pub held_for: Duration,
}

impl Holder {
    /// `task 7 of "camera" on thread "camera-0"`.
    pub(crate) fn code(&self) -> String {
        Code(self).to_string()
    }
}

struct Code<'a>(&'a Holder);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Self(holder) = self;
        if let Some(task) = holder.task {
            write!(f, "task {task}")?;
            if let Some(namespace) = &holder.namespace {
                write!(f, " of \"{namespace}\"")?;
            }
            f.write_str(" on ")?;
        }
        match &holder.thread_name {
            Some(name) => write!(f, "thread {:?}", Printed(name)),
            None => write!(f, "a thread without a name ({:?})", holder.thread),
        }
    }
}

impl fmt::Display for Holder {
    /// `task 7 of "camera" on thread "camera-0", for 12.0ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, for {:.1?}", Code(self), self.held_for)
    }
}

impl Busy {
    /// The reason: `Busy`, and the same call can work later; or `WouldDeadlock`, `Cancelled`, `DeadlineExceeded` or `Forked`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self { would_deadlock: true, .. } => ErrorKind::WouldDeadlock,
            Self { forked: true, .. } => ErrorKind::Forked,
            Self { cancelled: Some(cause), .. } => Cancelled::kind_of(Some(cause), ErrorKind::Cancelled),
            _ => ErrorKind::Busy,
        }
    }
}

struct Advice<'a>(&'a Busy);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.0.waited;
        if let Some(circle) = &self.0.circle {
            write!(
                f,
                "which waits for this very code ({circle}); leave the gate before waiting, or do this without entering it"
            )
        } else if self.0.would_deadlock {
            f.write_str(
                "which waits for this very code, or for its thread; leave the gate before waiting, or do this without \
                 entering it",
            )
        } else if self.0.forked {
            f.write_str(
                "whose thread does not exist in this process, a fork; enter the gate in the process that holds it, or make another",
            )
        } else if let Some(cause) = &self.0.cancelled {
            write!(f, "and the wait for it was cancelled: {}; pass this up", cause.why())
        } else if waited.is_zero() {
            f.write_str("and this call does not wait; try later, or wait with `enter_timeout`")
        } else {
            write!(f, "and did not become free within {waited:.1?}; try later, or wait longer with `enter_timeout`")
        }
    }
}
