//! Queueing a task, running it, and counting it out.

pub(crate) mod depth;
pub(crate) mod evict;
pub(crate) mod worker;
