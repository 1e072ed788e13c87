//! Handles of tasks.

#[path = "../../../../src/pool/handle/scope.rs"]
pub(crate) mod scope;
#[path = "../../../../src/pool/handle/submit.rs"]
pub(crate) mod submit;
#[path = "../../../../src/pool/handle/task.rs"]
pub(crate) mod task;
#[path = "../../../../src/pool/handle/waiting.rs"]
pub(crate) mod waiting;
