//! [`TimedOut`]: no task of a set or a map finished in time.

/// No task of a [`TaskSet`](crate::TaskSet), or not the next one of a [`Map`](crate::Map), finished before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no awaited task finished in time; wait again, or cancel them")]
pub struct TimedOut;
