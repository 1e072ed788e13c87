//! Handles: submitting tasks, and waiting for their results.

pub(crate) mod cancel_on_drop;
pub(crate) mod map;
pub(crate) mod members;
pub(crate) mod scope;
pub(crate) mod set;
pub(crate) mod submit;
pub(crate) mod task;
pub(crate) mod waiting;
