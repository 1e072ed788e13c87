//! The engine: a pool is a queue, a count of what it accepted, and a count of places (`inner`).
//!
//! # What keeps what alive
//! A manager holds its running pool. While anything accepted has not ended, the pool holds itself
//! (`inner::Pool::accept`); a thread on its way to a pool, or working for it, holds it too. A task holds its
//! submitter's node until it ends. A handle holds its task's cell and nothing else.

pub(crate) mod admission;
pub(crate) mod block_on;
pub(crate) mod cancel_forwarder;
pub(crate) mod cancel_listener;
pub(crate) mod cancel_on_drop;
pub(crate) mod cancelled_tasks;
pub(crate) mod capacity;
pub(crate) mod config;
pub(crate) mod ctx;
pub(crate) mod depth;
pub(crate) mod end;
pub(crate) mod evict;
pub(crate) mod exit;
pub(crate) mod frame;
pub(crate) mod handle;
pub(crate) mod held_permits;
pub(crate) mod inner;
pub(crate) mod interrupted;
pub(crate) mod kind;
pub(crate) mod local_pool;
pub(crate) mod map;
mod measure;
pub(crate) mod notifier;
pub(crate) mod overdue;
pub(crate) mod permits;
pub(crate) mod polled;
pub(crate) mod queue;
pub(crate) mod queue_stats;
#[cfg(feature = "rayon")]
pub(crate) mod rayon;
pub(crate) mod ready;
pub(crate) mod scope;
pub(crate) mod set;
pub(crate) mod stats;
#[cfg_attr(not(feature = "rayon"), path = "stealing/absent.rs")]
pub(crate) mod stealing;
pub(crate) mod wait;
pub(crate) mod warm;
pub(crate) mod woken;
pub(crate) mod worker;
pub(crate) mod worker_state;
