//! [`Cold`]: the data of a pool that most pools never have, in an allocation of its own.
//!
//! The first use makes it, once for each pool. A pool whose tasks run, return and are joined has none.

use slab::Slab;

use crate::error::Cancelled;
use crate::lineage::node::WeakNodeRef;
use crate::pool::core::promised::PromisedTasks;
use crate::sync::os::{AtomicU64, Mutex, OnceLock};

/// The data of a pool that most pools never have.
#[derive(Default)]
pub(crate) struct Cold {
    /// Nodes of running tasks, for the canceller.
    pub(super) nodes: Mutex<Slab<WeakNodeRef>>,
    pub(crate) promised: PromisedTasks,
    pub(crate) cause: OnceLock<Cancelled>,
    pub(crate) interrupted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
}
