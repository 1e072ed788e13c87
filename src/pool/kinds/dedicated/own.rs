//! [`Dedicated`]: the threads of a pool's own.

use std::borrow::Cow;

use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::names::namespace::Namespace;
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::init;
use crate::pool::kinds::dedicated::state::States;
use crate::pool::kinds::dedicated::warm::Warm;
use crate::sync::os::Arc;
use crate::threads::cache::Cache;
use crate::threads::settings::{Settings, SpawnPolicy};

/// A private cache of threads, made for one start of a pool and ended with it.
pub(crate) struct Dedicated {
    pub(crate) cache: Arc<Cache>,
    /// The initialisation of the threads, if there is one.
    pub(super) warm: Option<Arc<Warm>>,
    /// The state that each thread lends to tasks, if there is one.
    pub(super) states: Option<Arc<States>>,
    /// The node below which the nodes of the threads stand.
    pub(super) below: WeakNodeRef,
}

impl Dedicated {
    pub(crate) fn new(namespace: &Namespace, owner: &WeakNodeRef, config: &PoolConfig) -> Self {
        let threads = config.rare().threads.as_deref().cloned().unwrap_or_default();
        let states = threads.state.clone().map(|maker| States::new(maker, config.limit()));
        let hook = threads.on_start.clone();
        let hook = states.as_ref().map_or(hook.clone(), |states| Some(states.after(hook)));
        let warm = Warm::new(hook, &threads);
        let cache = Cache::new(Settings {
            prefix: threads.prefix.unwrap_or_else(|| Cow::Owned(namespace.to_string())),
            stack_size: threads.stack_size,
            keep_alive: threads.keep_alive,
            limit: config.limit(),
            // No other task acquires a permit that a wait holds, so `n` threads are enough for all permits. One more
            // thread would be initialised for a job whose thread is about to become idle.
            strict: config.holds_permit,
            private: true,
            policy: warm.clone().map(|warm| warm as Arc<dyn SpawnPolicy>),
            at_end: Some(init::detach),
        });
        Self { cache, warm, states, below: innermost_scope(owner) }
    }

    /// The threads of a dedicated pool; `None` for the other kinds.
    pub(super) fn of(pool: &Pool) -> Option<&Self> {
        pool.kind.as_any().downcast_ref()
    }
}

/// The innermost scope at or above the owner of a pool.
fn innermost_scope(owner: &WeakNodeRef) -> WeakNodeRef {
    let scope = owner.upgrade().and_then(|owner| owner.innermost_scope());
    scope.unwrap_or(NodeRef::PROCESS).downgrade()
}
