//! The kinds of pool: where the threads of a pool come from.

pub(crate) mod dedicated;
pub(crate) mod leased;
pub(crate) mod local;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "rayon")]
pub(crate) mod stealing;

use crate::lineage::node::WeakNodeRef;
use crate::names::namespace::Namespace;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;
use crate::pool::core::claimed;
use crate::pool::core::kind::Kind;
use crate::pool::core::pool::Pool;
use crate::pool::kinds::dedicated::own::Dedicated;
use crate::pool::kinds::leased::Leased;
use crate::pool::kinds::local::Local;
#[cfg(feature = "remote")]
use crate::pool::kinds::remote::Remote;
#[cfg(feature = "rayon")]
use crate::pool::kinds::stealing::Stealing;
use crate::pool::run::evict;
use crate::sync::os::Arc;

/// Starts a pool of the kind that the settings name.
pub(crate) fn start(namespace: Namespace, owner: WeakNodeRef, config: PoolConfig) -> Arc<Pool> {
    let kind: Box<dyn Kind<Pool>> = match config.kind {
        PoolKind::Leased => Box::new(Leased),
        PoolKind::Dedicated => Box::new(Dedicated::new(&namespace, &owner, &config)),
        PoolKind::Local => Box::new(Local::new()),
        #[cfg(feature = "remote")]
        PoolKind::Remote => Box::new(Remote::new(&config)),
        #[cfg(feature = "rayon")]
        PoolKind::WorkStealing => Box::new(Stealing::new()),
    };
    evict::install();
    let pool = Pool::new(namespace, owner, config, kind);
    claimed::register_at_owner(&pool);
    pool
}
