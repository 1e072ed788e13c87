//! The engine, with a few small files in the place of what no model needs.

pub(crate) mod blocking;
/// As `exit`: nobody asks what runs.
pub(crate) mod cancelled_tasks {
    use crate::pool::run::worker::Task;

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
pub(crate) mod kinds;
#[path = "../../../../src/pool/run/mod.rs"]
pub(crate) mod run;
