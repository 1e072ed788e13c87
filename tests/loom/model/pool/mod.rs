//! The engine, with a few small files in place of the parts that no model needs.

pub(crate) mod blocking;
/// As `exit`: no model asks for running tasks.
pub(crate) mod cancelled_tasks {
    use crate::pool::core::task_meta::Task;

    pub(crate) fn note(_task: Task) {}
}
#[path = "../../../../src/pool/config/mod.rs"]
pub(crate) mod config;
pub(crate) mod context;
#[path = "../../../../src/pool/core/mod.rs"]
pub(crate) mod core;
#[path = "../../../../src/pool/end.rs"]
pub(crate) mod end;
pub(crate) mod handle;
#[path = "../../../../src/pool/kinds/mod.rs"]
pub(crate) mod kinds;
#[path = "../../../../src/pool/report.rs"]
pub(crate) mod report;
#[path = "../../../../src/pool/run/mod.rs"]
pub(crate) mod run;
