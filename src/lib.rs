//! Thread pools that run in the family.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod error;
mod id;
mod index;
mod label;
mod lineage;
mod namespace;
mod pool;
mod quiet;
mod registry;
mod sync;
mod tally;
mod task;
mod task_type;
pub mod threads;

pub use crate::error::{ManagerNotFound, Refused, StartError, StopError, SubmitError, TaskError, UnknownTaskType};
pub use crate::id::{NodeId, TaskId};
pub use crate::lineage::future::InLineage;
pub use crate::lineage::handle::{Ancestors, Entered, Lineage, current, wrap, wrap_fn};
pub use crate::lineage::node::NodeKind;
pub use crate::lineage::thread;
pub use crate::namespace::Namespace;
pub use crate::pool::config::{PoolConfig, PoolKind, PoolMode};
pub use crate::pool::end::{RunningTask, StopReport};
pub use crate::pool::exit::{ExitGuard, ExitPolicy, exit_deadline, exit_guard, on_exit, run_main};
pub use crate::pool::handle::{CancelOutcome, TaskHandle, TaskStatus};
pub use crate::pool::map::Map;
pub use crate::pool::scope::{ScopedHandle, TaskScope};
pub use crate::pool::set::{Ended, TaskSet, TimedOut};
pub use crate::pool::stats::PoolStats;
pub use crate::pool::wait::blocking;
pub use crate::registry::find::{create, get, get_or_create, with};
pub use crate::registry::manager::PoolManager;
pub use crate::registry::scope::{FutureExt, InScope, Scope};
pub use crate::registry::table::{PoolReport, Registry, ShutdownReport, shutdown};
pub use crate::registry::tree::{ManagerSnapshot, NodeSnapshot, Snapshot, Tree};
pub use crate::registry::typed::TypedManager;
pub use crate::task_type::{Task, TaskKind, TaskType};
