//! [`Cancelled`]: the running code was cancelled.

use std::fmt;

/// The running task or thread was cancelled, or its node, or a node above that.
///
/// Returned by [`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep) and the joins that pass cancel requests on.
/// It is an ordinary error, to be passed up with `?`: the task ends by returning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cancelled {}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled: a cancel request has reached the running code; pass this up")
    }
}

impl std::error::Error for Cancelled {}

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self {}
    }
}
