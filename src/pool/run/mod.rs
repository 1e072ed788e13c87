//! The engine's run of a task: admission, queue, worker, result, counts.

pub(crate) mod admit;
pub(crate) mod batch;
pub(crate) mod cancel_task;
pub(crate) mod deadline;
pub(crate) mod depth;
pub(crate) mod dispatch;
pub(crate) mod evict;
pub(crate) mod gate;
pub(crate) mod leave;
pub(crate) mod name;
pub(crate) mod promise;
pub(crate) mod rank;
pub(crate) mod stop;
pub(crate) mod task;
pub(crate) mod worker;
