//! The peers: one file each, of the same shape.
//!
//! forte is missing: its versions since the first beta need Rust 1.96, and the ones before turn `tracing` off in the whole build.

mod affinity;
mod answer;
pub(crate) mod context;
mod futures_pool;
mod rayon_pool;
mod rusty;
mod std_threads;
mod threadpool_crate;
mod tokio_blocking;
mod unblock;

pub(crate) use affinity::Affinity;
pub(crate) use futures_pool::Futures;
pub(crate) use rayon_pool::Rayon;
pub(crate) use rusty::Rusty;
pub(crate) use std_threads::{StdThread, StdWorkers};
pub(crate) use threadpool_crate::Threadpool;
pub(crate) use tokio_blocking::Tokio;
pub(crate) use unblock::Blocking;
