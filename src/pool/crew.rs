//! [`Crew`]: where a pool's threads come from. The one place where the kinds of pool differ.

use std::borrow::Cow;

use crate::lineage::node::WeakPlace;
use crate::namespace::Namespace;
use crate::pool::bell::Bell;
use crate::pool::config::{PoolConfig, PoolKind};
use crate::pool::ctx;
use crate::pool::warm::Warm;
use crate::sync::os::Arc;
use crate::threads::cache::{Cache, Gate, Settings};

/// The kinds of pool, as siblings: each names the cache its threads come from.
pub(crate) enum Crew {
    /// The process-wide cache.
    Leased,
    /// A private cache, made for this start and ended with it.
    Dedicated(Box<Own>),
    /// None: the thread that has the [`Pinned`](crate::pool::pinned::Pinned) runs the tasks, and is told by this.
    Pinned(Box<Bell>),
}

/// Threads of a pool's own. Boxed: a pool per request has none.
pub(crate) struct Own {
    pub(crate) cache: Arc<Cache>,
    /// Their preparation, if there is any.
    pub(crate) warm: Option<Arc<Warm>>,
    /// What their nodes stand below.
    pub(crate) below: WeakPlace,
}

impl Crew {
    pub(crate) fn new(namespace: &Namespace, owner: &WeakPlace, config: &PoolConfig) -> Self {
        match config.kind {
            PoolKind::Leased => Self::Leased,
            PoolKind::Pinned => Self::Pinned(Box::new(Bell::new())),
            PoolKind::Dedicated => {
                let threads = config.threads.as_deref().cloned().unwrap_or_default();
                let warm = Warm::new(&threads);
                let cache = Cache::new(Settings {
                    prefix: threads.prefix.unwrap_or_else(|| Cow::Owned(namespace.to_string().replace('\0', "?"))),
                    stack_size: threads.stack_size,
                    keep_alive: threads.keep_alive,
                    limit: config.limit,
                    private: true,
                    gate: warm.clone().map(|warm| warm as Arc<dyn Gate>),
                    at_end: Some(ctx::move_out),
                });
                Self::Dedicated(Box::new(Own { cache, warm, below: ctx::scope_of(owner) }))
            }
        }
    }

    #[inline]
    pub(crate) fn cache(&self) -> &Arc<Cache> {
        match self {
            // A pinned pool has no place to send a thread for, so it asks for none.
            Self::Leased | Self::Pinned(_) => crate::threads::leased(),
            Self::Dedicated(own) => &own.cache,
        }
    }

    /// Something was pushed for a pool that sends for no thread. False when nobody will run it.
    pub(crate) fn ring(&self) -> bool {
        match self {
            Self::Pinned(bell) => bell.ring(),
            _ => true,
        }
    }

    /// The pool has ended: threads of its own end too.
    pub(crate) fn dismiss(&self) {
        if let Self::Dedicated(own) = self {
            own.cache.dismiss();
        }
    }

    /// Whether threads of its own are gone; other pools have none.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Leased | Self::Pinned(_) => true,
            Self::Dedicated(own) => own.cache.is_gone(),
        }
    }

    /// After `is_gone`: waits for the last the system has to do for their end.
    pub(crate) fn join_gone(&self) {
        if let Self::Dedicated(own) = self {
            own.cache.join_gone();
        }
    }
}
