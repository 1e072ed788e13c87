//! [`Settings`]: how a cache makes its threads.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use crate::sync::os::Arc;

/// Whether a cache may start threads now.
pub(crate) trait SpawnPolicy: Send + Sync {
    /// The reason to start none, reported as if the system had refused.
    fn refuses(&self) -> Option<io::Error>;
}

/// How a cache makes its threads.
pub(crate) struct Settings {
    pub(crate) prefix: Cow<'static, str>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) limit: usize,
    /// Threads inside a wait count against the limit too.
    pub(crate) strict: bool,
    /// The cache serves one pool, so reaching the limit is its normal state.
    pub(crate) private: bool,
    pub(crate) policy: Option<Arc<dyn SpawnPolicy>>,
    /// Runs last on each thread, before its locals are destroyed.
    pub(crate) at_end: Option<fn()>,
}
