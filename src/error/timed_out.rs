//! [`TimedOut`]: no task of a set or a map finished in time.

use std::fmt;

/// No task of a [`TaskSet`](crate::TaskSet), or not the next one of a [`Map`](crate::Map), finished before the
/// deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no awaited task finished in time; wait again, or cancel them")
    }
}

impl std::error::Error for TimedOut {}
