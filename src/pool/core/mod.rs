//! The pool's data, and the protocol on it.

pub(crate) mod capacity;
pub(crate) mod cause;
pub(crate) mod chain;
pub(crate) mod claimed;
pub(crate) mod cold;
pub(crate) mod counters;
pub(crate) mod held_permits;
pub(crate) mod kind;
mod measure;
pub(crate) mod notifier;
mod ordered;
pub(crate) mod permits;
pub(crate) mod pool;
pub(crate) mod promised;
pub(crate) mod queue;
pub(crate) mod queue_stats;
pub(crate) mod running_tasks;
pub(crate) mod share_stats;
pub(crate) mod shares;
pub(crate) mod stats;
pub(crate) mod task_meta;
pub(crate) mod task_nodes;
mod turns;
