//! Bridges to other crates, each behind a feature of its own.
//!
//! No file outside of this folder imports a bridge, except `lib.rs`. A few have a feature's `cfg` around a method that one
//! bridge alone calls; `totals/`, which the engine calls, is empty without its features.
//!
//! # Why they are inside
//! A bridge does most of its work with the public API: scopes, lineages, keys, snapshots, pools. For the rest it uses
//! parts of the engine that are too easy to misuse to be public:
//!
//! | bridge | uses | because |
//! |---|---|---|
//! | `tower` | `InLineage`'s looks and early drop, `timer`, `Watch`, a `Job` of the thread cache | a body ends at its node although its server does not poll it, without a runtime's timer |
//! | `tokio` | `Work`, `PermitsReleased`, `CancelListener`, the graph of waits | spawned work is counted by scopes; a wait for a future releases permits, is interrupted and is refused in a circle |
//! | `inspector` | `WakerSet`, `block_on_wakers` | its thread waits as the crate's own waits do |
//! | `task-log` | frames, the borrowed current node | a log line takes no lock and counts no reference to find its task |
//! | `metrics`, `inspector` | `totals/` | an ended pool leaves its counters before a publisher exists; tasks are measured for a reader |
//! | `serde` | fields of public types | the shape of a snapshot is a promise |
//! | `stream` | where a map's tasks go, a private trait | the maps of a pool and of a borrowing scope are one type |
//!
//! All use `sync`: the seam that loom replaces, `swallow` around user code, and `fork`. No bridge imports the engine's core:
//! pools, queues, permits and workers.

#[cfg(feature = "inspector")]
pub mod inspector;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "serde")]
mod settings;
#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "task-log")]
pub mod task_log;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
