//! Bridges to other crates, each behind a feature of its own.

#[cfg(feature = "inspector")]
pub mod inspector;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "task-log")]
pub mod task_log;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
