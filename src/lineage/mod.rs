//! The family tree: nodes, the current node and the look-up.
//!
//! # Invariants
//! 1. A parent exists before its child and never changes afterwards, so a walk towards the root takes no lock and ends.
//! 2. Ids are never reused, and no table is keyed on an id that the operating system may recycle.
//! 3. A node lives as long as its own code runs, or a descendant lives, or a handle to it is held. Each child holds its
//!    parent; a parent holds no child.
//! 4. A thread and a task become nodes when code first looks at them. Until then, the threads and tasks that
//!    they start stand below the nearest real node.

mod cancel_word;
pub(crate) mod current;
mod display;
mod epoch;
pub(crate) mod family;
pub(crate) mod flow;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod hazard;
pub(crate) mod intake;
mod locals;
pub(crate) mod lookup;
mod memo;
pub(crate) mod node;
pub(crate) mod path;
pub(crate) mod queued;
pub(crate) mod slots;
pub(crate) mod thread_state;
pub(crate) mod watch;
pub(crate) mod whose;
#[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only the feature spawns any"))]
pub(crate) mod work;
