//! [`ThreadConfig`]: the settings of a dedicated pool's threads.

use std::borrow::Cow;
use std::time::Duration;

use crate::pool::config::worker_ctx::Hook;
use crate::pool::config::worker_state::Maker;

/// The settings of a dedicated pool's threads; the other kinds refuse all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ThreadConfig {
    pub(crate) prefix: Option<Cow<'static, str>>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) state: Option<Maker>,
    pub(crate) warm: usize,
    pub(crate) warm_at_once: Option<usize>,
    pub(crate) warm_timeout: Option<Duration>,
}
