//! Tasks from outside.

#[path = "../../../../src/pool/handle/scope.rs"]
pub(crate) mod scope;
#[path = "../../../../src/pool/handle/task.rs"]
pub(crate) mod task;
