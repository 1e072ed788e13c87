//! [`Flow`]: one piece of code among several that take turns on a thread.
//!
//! A runtime polls many futures on one thread. Between two polls of one future the thread polls others, so an entry
//! keyed by the thread alone would go from one future to the next. With the feature `tokio` each of tokio's tasks (a
//! spawned future, a `spawn_blocking` job) is a flow of its own, named by tokio's id of it. All other code of a thread
//! is one flow: a plain thread's, a pool task's, the future that `block_on` polls.
//!
//! tokio sets the id while it polls a future and while it drops the future or its result. tokio may give the id of a
//! task that has ended to another one (its counter of 64 bits would have to wrap first): only a lasting leftover of the
//! ended task, such as a leaked guard, could be taken for the other one's.

#[cfg(feature = "tokio")]
use ::tokio::task::{Id, try_id};

/// No value: there is no runtime to ask for an id.
#[cfg(not(feature = "tokio"))]
type Id = std::convert::Infallible;

#[cfg(not(feature = "tokio"))]
#[inline(always)]
fn try_id() -> Option<Id> {
    None
}

/// One piece of code among those that take turns on a thread. Without the feature `tokio` there is one to a thread, and
/// the type has no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow(Option<Id>);

impl Flow {
    /// The flow of code that has the thread for itself, as far as is known.
    pub(crate) const THREAD: Self = Self(None);

    /// Returns the running flow. Costs one read of a thread-local of tokio's.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(try_id())
    }

    /// Returns whether the flow shares its thread with others.
    #[inline]
    pub(crate) fn is_guest(self) -> bool {
        self.0.is_some()
    }
}
