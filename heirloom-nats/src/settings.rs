//! [`Settings`]: the choices of an opened connection that its driver needs.

use std::time::Duration;

/// The choices of an opened connection.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) app: String,
    /// The first token of each inbox.
    pub(crate) inbox_prefix: String,
    pub(crate) lease: Duration,
    /// Streams are kept in files, not in memory.
    pub(crate) file: bool,
    pub(crate) replicas: usize,
}
