//! The cache of threads, and the shared one that leased pools borrow from.

use std::time::Duration;

use crate::sync::os::Arc;
use crate::threads::cache::Cache;
use crate::threads::settings::Settings;

/// No model has a deadline of a node.
pub(crate) mod aside {
    pub(crate) fn run(f: impl FnOnce() + Send + 'static) {
        f();
    }
}

#[path = "../../../src/threads/blocked.rs"]
pub(crate) mod blocked;
#[path = "../../../src/threads/cache.rs"]
pub(crate) mod cache;
#[path = "../../../src/threads/job.rs"]
pub(crate) mod job;
#[path = "../../../src/threads/requests.rs"]
pub(crate) mod requests;
#[path = "../../../src/threads/roster.rs"]
mod roster;
#[path = "../../../src/threads/settings.rs"]
pub(crate) mod settings;
#[path = "../../../src/threads/show.rs"]
pub(crate) mod show;
#[path = "../../../src/threads/spin.rs"]
pub(crate) mod spin;
#[path = "../../../src/threads/stats.rs"]
pub(crate) mod stats;

loom::lazy_static! {
    /// Its threads end as soon as they are idle: each execution of a model begins with none and ends with none.
    static ref LEASED: Arc<Cache> = Cache::new(Settings {
        prefix: "model".into(),
        stack_size: None,
        keep_alive: Some(Duration::ZERO),
        limit: 512,
        strict: false,
        private: false,
        policy: None,
        at_end: None,
    });
}

/// loom's threads have stacks of their own, which do not grow.
pub(crate) mod stack {
    use crate::error::stack::NoRoom;

    pub(crate) fn has(_needed: usize, _depth: u32) -> bool {
        true
    }

    pub(crate) fn grows() -> bool {
        true
    }

    pub(crate) fn grow(_needed: usize, _f: &mut dyn FnMut()) -> Result<(), NoRoom> {
        Err(NoRoom::CannotGrow)
    }
}

pub(crate) fn leased() -> &'static Arc<Cache> {
    &LEASED
}
