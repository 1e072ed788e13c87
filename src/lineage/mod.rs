//! The family tree: who stands below whom.
//!
//! # Invariants
//! 1. A parent exists before its child and never changes afterwards, so a walk towards the root takes no lock and ends.
//! 2. Ids are never reused, and nothing is keyed on an id that the operating system may recycle.
//! 3. A node lives as long as its own code runs, or a descendant lives, or a handle to it is held. Each child holds its
//!    parent; nobody holds a child for being one.
//! 4. Nothing is made for a thread or a task until it is looked at. Until then, what it starts stands below the nearest
//!    real node.

pub(crate) mod current;
pub(crate) mod family;
pub(crate) mod flow;
mod flows;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod hazard;
pub(crate) mod lookup;
pub(crate) mod node;
pub(crate) mod queued;
pub(crate) mod slots;
pub(crate) mod thread_state;
pub(crate) mod watch;
pub(crate) mod whose;
#[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only the feature spawns any"))]
pub(crate) mod work;
