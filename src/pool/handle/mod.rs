//! Handles: submitting tasks, and waiting for their results.

pub(crate) mod call;
mod cancel_all;
pub(crate) mod cancel_on_drop;
pub(crate) mod feed;
pub(crate) mod map;
pub(crate) mod members;
pub(crate) mod promise;
pub(crate) mod scope;
mod scope_map;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod submit;
pub(crate) mod task;
pub(crate) mod try_join_all;
pub(crate) mod try_map;
pub(crate) mod unordered;
pub(crate) mod waiting;
mod window;
