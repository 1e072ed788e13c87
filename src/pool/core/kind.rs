//! [`Kind`]: where a pool's threads come from. The one place where the kinds of pool differ.

use std::borrow::Cow;
use std::io;

use crate::lineage::node::WeakNodeRef;
use crate::names::namespace::Namespace;
use crate::pool::config::{PoolConfig, PoolKind};
use crate::pool::core::notifier::Notifier;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::init;
use crate::pool::kinds::dedicated::state::States;
use crate::pool::kinds::dedicated::warm::Warm;
use crate::pool::kinds::stealing::Stealing;
use crate::sync::os::Arc;
use crate::threads::cache::{Cache, Settings, SpawnPolicy};
use crate::wait::waker_set::WakerSet;

/// The kinds of pool, as siblings: each names the cache its threads come from.
pub(crate) enum Kind {
    /// The process-wide cache.
    Leased,
    /// A private cache, made for this start and ended with it.
    Dedicated(Box<Dedicated>),
    /// None: the thread that has the [`LocalPool`](crate::pool::kinds::local::LocalPool) runs the tasks, and is told by this.
    Local(Box<Notifier>),
    /// The process-wide cache, by way of a rayon pool.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code, reason = "no pool is work-stealing"))]
    WorkStealing(Box<Stealing>),
}

/// Threads of a pool's own. Boxed: a pool per request has none.
pub(crate) struct Dedicated {
    pub(crate) cache: Arc<Cache>,
    /// Their preparation, if there is any.
    pub(crate) warm: Option<Arc<Warm>>,
    /// What each of them lends to tasks, if anything.
    pub(crate) states: Option<Arc<States>>,
    /// What their nodes stand below.
    pub(crate) below: WeakNodeRef,
}

impl Kind {
    pub(crate) fn new(namespace: &Namespace, owner: &WeakNodeRef, config: &PoolConfig) -> Self {
        match config.kind {
            PoolKind::Leased => Self::Leased,
            PoolKind::Local => Self::Local(Box::new(Notifier::new())),
            #[cfg(feature = "rayon")]
            PoolKind::WorkStealing => Self::WorkStealing(Box::new(Stealing::new())),
            PoolKind::Dedicated => {
                let threads = config.threads.as_deref().cloned().unwrap_or_default();
                let states = threads.state.clone().map(|maker| States::new(maker, config.limit));
                let hook = threads.on_start.clone();
                let hook = states.as_ref().map_or(hook.clone(), |states| Some(states.after(hook)));
                let warm = Warm::new(hook, &threads);
                let cache = Cache::new(Settings {
                    prefix: threads.prefix.unwrap_or_else(|| Cow::Owned(namespace.to_string())),
                    stack_size: threads.stack_size,
                    keep_alive: threads.keep_alive,
                    limit: config.limit,
                    // Nobody is let into a kept place, so `n` threads are enough for all places there are. Another one
                    // would be prepared for a job whose thread is about to rest.
                    strict: config.holds_permit,
                    private: true,
                    policy: warm.clone().map(|warm| warm as Arc<dyn SpawnPolicy>),
                    at_end: Some(init::detach),
                });
                Self::Dedicated(Box::new(Dedicated { cache, warm, states, below: init::scope_of(owner) }))
            }
        }
    }

    /// What its threads lend to tasks, if anything.
    pub(crate) fn states(&self) -> Option<&Arc<States>> {
        match self {
            Self::Dedicated(own) => own.states.as_ref(),
            Self::Leased | Self::Local(_) | Self::WorkStealing(_) => None,
        }
    }

    #[inline]
    pub(crate) fn cache(&self) -> &Arc<Cache> {
        match self {
            // A local pool has no place to send a thread for, so it asks for none.
            Self::Leased | Self::Local(_) | Self::WorkStealing(_) => crate::threads::leased(),
            Self::Dedicated(own) => &own.cache,
        }
    }

    /// Sends a thread for a place of the pool's.
    ///
    /// # Errors
    /// The system's, when nobody would come.
    #[inline]
    pub(crate) fn request_thread(&self, pool: &Arc<Pool>) -> io::Result<()> {
        match self {
            Self::WorkStealing(stealing) => stealing.request_thread(pool),
            _ => self.cache().request_thread(Arc::clone(pool) as _),
        }
    }

    /// The last place was given back by somebody who is none of its threads.
    pub(crate) fn rest(&self, pool: &Pool) {
        if let Self::WorkStealing(stealing) = self {
            stealing.end_if_idle(pool);
        }
    }

    /// Something was pushed for a pool that sends for no thread. False when nobody will run it.
    pub(crate) fn notify(&self) -> bool {
        match self {
            Self::Local(notifier) => notifier.notify(),
            _ => true,
        }
    }

    /// The pool has ended: threads of its own end too.
    pub(crate) fn dismiss(&self) {
        match self {
            Self::Leased | Self::Local(_) => {}
            Self::Dedicated(own) => own.cache.dismiss(),
            Self::WorkStealing(stealing) => stealing.dismiss(),
        }
    }

    /// Whether threads of its own are gone, or have gone back; other pools have none.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Leased | Self::Local(_) => true,
            Self::Dedicated(own) => own.cache.is_gone(),
            Self::WorkStealing(stealing) => stealing.is_gone(),
        }
    }

    /// Told when they are.
    pub(crate) fn gone(&self) -> &WakerSet {
        match self {
            Self::WorkStealing(stealing) => stealing.gone(),
            _ => self.cache().gone(),
        }
    }

    /// After `is_gone`: waits for the last the system has to do for their end.
    pub(crate) fn join_gone(&self) {
        if let Self::Dedicated(own) = self {
            own.cache.join_gone();
        }
    }
}
