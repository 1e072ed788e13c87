//! Thread pools that run in the family.
//!
//! A server has one thread pool for each purpose: rendering, files, request handling. If all requests share them, a
//! slow job of one holds up another, and a request's id and tracing span are lost where its work changes threads. If each
//! request has its own, their handles go through every call. heirloom makes every thread, pool task and request a node of
//! a **family tree**, and finds pools **by name, walking up the tree from the current node**. So a request can own its
//! `"render"` pool: the code that it runs, on any thread and at any depth, finds that pool, and no other request does.
//! Starting a pool starts no thread; the pool borrows threads while it has tasks.
//!
//! ```
//! use heirloom::{PoolConfig, Scope};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
//!
//! fn main() -> Result<()> {
//!     heirloom::create("io").start(PoolConfig::leased(8))?; // the process's: all code finds it
//!     let page = Scope::run("request 7", |request| {
//!         request.create("render").start(PoolConfig::leased(4))?; // this request's alone
//!         line_counts()
//!     })?; // all the tasks of the request have ended
//!     println!("{}", page.join("\n"));
//!     Ok(())
//! }
//!
//! /// Takes no pool as an argument: it finds the pools of the request that it runs in.
//! fn line_counts() -> Result<Vec<String>> {
//!     let count = |file: &'static str| {
//!         let text = heirloom::call("io", move || std::fs::read_to_string(file)).join()?; // find, submit, wait
//!         Ok(format!("{file}: {} lines", text.lines().count()))
//!     };
//!     heirloom::get("render")?.try_map(["Cargo.toml", "src/lib.rs"], count).collect() // the first error cancels the rest
//! }
//! ```
//!
//! Three words come up everywhere. A **manager** ([`PoolManager`]) is the named owner of at most one running **pool**; it
//! belongs to one **node** of the tree: the process, a thread, a task or a [`Scope`]. A [`Lineage`] is a handle to a
//! node. The [glossary](guide::glossary) has all the words.
//!
//! Programs write the crate's name before the items, as here, or `use heirloom::prelude::*` ([`prelude`]).
//!
//! # The guide
//!
//! | chapter | about |
//! |---|---|
//! | [`guide::scopes`] | a node for each request, component or tenant, and its end |
//! | [`guide::finding`] | names, look-up, and the current node |
//! | [`guide::pools`] | kinds of pools, warm workers, worker state, pools of one thread, task types |
//! | [`guide::many`] | calls, maps and streams: one result, many results, all or none |
//! | [`guide::waiting`] | waits inside tasks, permits, circles |
//! | [`guide::parallel`] | parallel loops on work-stealing pools |
//! | [`guide::gates`] | one at a time, with an answer instead of a queue |
//! | [`guide::errors`] | one error for all verbs, and what to do about it |
//! | [`guide::ending`] | close, stop, cancel, shutdown, and the process's exit |
//! | [`guide::cancelling`] | cancel requests, and the code that answers them |
//! | [`guide::values`] | values that go along with the tree |
//! | [`guide::async_code`] | handles as futures, `spawn`, and the async form of each wait |
//! | [`guide::machines`] | with the feature `remote`: one name's work on many machines |
//! | [`guide::servers`] | a scope for each request of a server, its end, and its tests |
//! | [`guide::seeing`] | trees, snapshots, metrics, the inspector, the log of a task |
//! | [`guide::after_the_response`] | work that outlives its response: upgrades, WebSockets, buffers |
//! | [`guide::other_runtimes`] | the call that each other runtime or thread pool needs, once |
//! | [`guide::glossary`] | the words |
//!
//! # Items by purpose
//!
//! | for | see |
//! |---|---|
//! | the tree | [`current`], [`Lineage`], [`Entered`], [`NodeKind`], [`Ancestors`], [`PathNode`], [`wrap`], [`wrap_fn`], [`thread`] |
//! | scopes | [`Scope`]; for futures [`FutureExt`], [`InScope`], [`InLineage`] |
//! | finding managers | [`get`], [`get_or_create`], [`get_or_start`], [`get_or_start_async`], [`create`], [`with`], [`Namespace`] |
//! | parallel loops | with the feature `rayon` `PoolConfig::work_stealing`, `PoolManager::install`; [`Lineage::carry`] |
//! | starting and submitting | [`PoolManager`], [`PoolConfig`], [`PoolKind`], [`PoolMode`], [`PoolStats`], [`ShareStats`] |
//! | order of a queue | [`PoolConfig::priorities`], [`PoolConfig::fair`], [`PoolConfig::fair_by`], [`FairBy`], [`Scope::priority`], [`Scope::weight`], [`PoolManager::submit_at`] |
//! | work for one thread | [`PoolManager::start_local`], [`PoolConfig::local`], [`LocalPool`] |
//! | threads of a dedicated pool | [`worker`], [`WorkerCtx`], [`PoolConfig::on_worker_start`], [`PoolConfig::warm`], [`PoolConfig::worker_state`], [`PoolManager::submit_with_state`], [`StatefulManager`] |
//! | tasks | [`TaskHandle`], [`Promise`], [`CancelOnDrop`], [`TaskStatus`], [`CancelOutcome`], [`TaskSet`], [`blocking`], [`block_on()`] |
//! | calls, and many results | [`call()`], [`Call`], [`Map`], [`MapUnordered`], [`Indexed`], [`TryMap`], [`TaskStream`], [`StreamSender`] |
//! | deadlines | [`Scope::deadline`], [`Scope::run_timeout`], [`InScope::timeout`], [`InScopeTimeout`], [`PoolConfig::task_timeout`], [`TaskHandle::timeout`], [`deadline()`], [`remaining`] |
//! | cancelling | [`checkpoint`], [`is_cancelled`], [`sleep`], [`cancelled`], [`on_cancel`], [`OnCancel`], [`acknowledge_cancel`], [`Cancelled`], [`CancelReason`] |
//! | values | [`Heirloom`], [`HeirloomAt`], [`HeirloomMap`], [`HeirloomMapAt`], [`OnFailure`], [`Subscription`], [`Binding`], [`NotBound`], [`BindError`], [`InitError`] |
//! | tasks that borrow | [`PoolManager::scope`], [`TaskScope`], [`ScopedHandle`], [`PoolManager::run`] |
//! | task types | [`OfType`], [`TaskType`], [`TaskKind`], [`Task`], [`TypedManager`] |
//! | one at a time | [`Gate`], [`GateGuard`], [`GateMode`], [`Holder`]; for pools [`PoolConfig::gate`] |
//! | ending | [`StopReport`], [`RunningTask`], [`shutdown`], [`ShutdownReport`], [`PoolReport`]; for servers [`Drain`], [`Drained`], [`Stopping`], with the feature `tokio` `terminated` |
//! | the process's exit | [`exit_guard`], [`run_main`], [`run_main_async`], [`exit_timeout`], [`exit_grace`], [`on_exit`], [`ExitPolicy`] |
//! | inspection | [`Registry`], [`Tree`], [`Snapshot`], [`NodeSnapshot`], [`ManagerSnapshot`], [`Quantiles`]; with the feature `inspector` `inspector::{router, Inspector}`, with `metrics` `metrics::{Publisher, Publishing}` |
//! | servers | with the feature `tower` `tower::{grpc_timeout, set_grpc_timeout, timeout_millis, timeout_seconds, ScopeLayer, ScopeUsage, ScopeService, ScopeFuture, ScopedBody, RequestTimedOut}`; with the feature `tokio` `spawn`, `spawn_blocking`, `SpawnHandle`, `JoinSet`, `JoinError`, `SpawnError`, `portal`, `Portal`, `PortalHandle`, `PortalError` |
//! | logs of tasks | [`task_id`], [`name_task`]; with the feature `task-log` `task_log::{TaskLog, Record, LogLine}` |
//! | borrowed threads | [`threads`] |
//! | many machines | with the feature `remote` `remote::{Job, Queue, serve, Serving, Origin, loopback}`, `PoolConfig::remote`, `remote::call_job`, `PoolManager::{send, send_timeout, send_async, call_job}`, `RemoteError`, `Heirloom::travels` |
//! | tests | [`test::isolated`](test::isolated()), [`test::isolated_async`] |
//! | circles of waits | [`Circle`], [`Link`] |
//! | errors | [`Error`], which every verb returns, and [`ErrorKind`]; its details [`ManagerNotFound`], [`StartError`] and [`StartErrorKind`], [`SubmitError`] and [`SubmitErrorKind`], [`TaskError`], [`JoinError`], [`SpawnError`], [`StopError`], [`Busy`], [`UnknownTaskType`], [`TimedOut`]; [`Refused`], which returns the closure |
//! | ids | [`NodeId`], [`TaskId`] |
// `.ci/run` compiles the models beside an empty crate: they contain the engine's files themselves.
#![cfg(not(models_alone))]
#![cfg_attr(loom, allow(dead_code, reason = "the build for the models leaves out the keys of gates"))]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The README's programs run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod cancel;
mod drain;
mod error;
mod exit;
mod gate;
pub mod guide;
mod integration;
mod lineage;
mod names;
mod pool;
pub mod prelude;
mod registry;
#[cfg(feature = "remote")]
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
pub mod remote;
mod runtime;
mod subscriber;
mod sync;
mod task;
pub mod test;
pub mod thread;
pub mod threads;
mod timer;
mod totals;
mod value;
mod wait;
#[cfg(feature = "remote")]
mod wire;

pub use crate::cancel::deadline::{deadline, remaining};
pub use crate::cancel::{OnCancel, acknowledge_cancel, cancelled, checkpoint, is_cancelled, on_cancel, sleep};
pub use crate::drain::{Drain, Drained, Stopping};
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use crate::error::PortalError;
#[cfg(feature = "remote")]
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
pub use crate::error::RemoteError;
pub use crate::error::{
    BindError, Busy, CancelReason, Cancelled, Circle, Error, ErrorKind, Holder, InitError, JoinError, Link,
    ManagerNotFound, NotBound, Refused, SpawnError, StartError, StartErrorKind, StopError, SubmitError,
    SubmitErrorKind, TaskError, TimedOut, UnknownTaskType,
};
pub use crate::exit::guard::{ExitGuard, exit_guard, run_main, run_main_async};
pub use crate::exit::settings::{ExitPolicy, exit_grace, exit_timeout, on_exit};
pub use crate::gate::Gate;
pub use crate::gate::guard::GateGuard;
#[cfg(feature = "inspector")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspector")))]
pub use crate::integration::inspector;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use crate::integration::metrics;
#[cfg(feature = "task-log")]
#[cfg_attr(docsrs, doc(cfg(feature = "task-log")))]
pub use crate::integration::task_log;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use crate::integration::tokio::{
    JoinSet, Portal, PortalHandle, SpawnHandle, portal, spawn, spawn_blocking, terminated,
};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use crate::integration::tower;
pub use crate::lineage::future::InLineage;
pub use crate::lineage::handle::{Ancestors, Entered, Lineage, current, wrap, wrap_fn};
pub use crate::lineage::node::NodeKind;
pub use crate::lineage::path::PathNode;
pub use crate::names::id::{NodeId, TaskId};
pub use crate::names::namespace::Namespace;
pub use crate::names::task_type::{Task, TaskKind, TaskType};
pub use crate::pool::blocking::block_on::block_on;
pub use crate::pool::blocking::release::blocking;
pub use crate::pool::config::PoolConfig;
pub use crate::pool::config::gate::GateMode;
pub use crate::pool::config::kind::{PoolKind, PoolMode};
pub use crate::pool::config::order::FairBy;
pub use crate::pool::config::worker_ctx::WorkerCtx;
pub use crate::pool::context::thread::task_id;
pub use crate::pool::handle::call::Call;
pub use crate::pool::handle::cancel_on_drop::CancelOnDrop;
pub use crate::pool::handle::map::Map;
pub use crate::pool::handle::promise::Promise;
pub use crate::pool::handle::scope::{ScopedHandle, TaskScope};
pub use crate::pool::handle::set::{Ended, TaskSet};
pub use crate::pool::handle::stream::reader::TaskStream;
pub use crate::pool::handle::stream::sender::StreamSender;
pub use crate::pool::handle::task::TaskHandle;
pub use crate::pool::handle::try_map::TryMap;
pub use crate::pool::handle::unordered::{Indexed, MapUnordered};
pub use crate::pool::kinds::dedicated::here::worker;
pub use crate::pool::kinds::local::LocalPool;
pub use crate::pool::report::{CancelOutcome, TaskStatus};
pub use crate::pool::report::{PoolStats, ShareStats};
pub use crate::pool::report::{RunningTask, StopReport};
pub use crate::pool::run::name::name_task;
pub use crate::registry::call::call;
pub use crate::registry::find::{create, get, get_or_create, with};
pub use crate::registry::get_or_start::{get_or_start, get_or_start_async};
pub use crate::registry::in_scope::timeout::InScopeTimeout;
pub use crate::registry::in_scope::{FutureExt, InScope};
pub use crate::registry::manager::PoolManager;
pub use crate::registry::of_type::OfType;
pub use crate::registry::registry::Registry;
pub use crate::registry::scope::Scope;
pub use crate::registry::shutdown::{
    PoolReport, ShutdownReport, shutdown, shutdown_async, shutdown_timeout, shutdown_timeout_async,
};
pub use crate::registry::snapshot::{ManagerSnapshot, NodeSnapshot, Snapshot, Tree};
pub use crate::registry::stateful::StatefulManager;
pub use crate::registry::typed::TypedManager;
pub use crate::totals::quantiles::Quantiles;
pub use crate::value::binding::Binding;
pub use crate::value::heirloom::Heirloom;
pub use crate::value::heirloom::at::HeirloomAt;
pub use crate::value::map::at::HeirloomMapAt;
pub use crate::value::map::{HeirloomMap, OnFailure};
pub use crate::value::subscribe::Subscription;
