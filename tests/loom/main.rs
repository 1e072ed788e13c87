//! Models of the engine: loom runs their threads in every order, to a bound.
#![cfg(loom)]

mod model;
use model::*;

#[path = "../../src/lineage/epoch.rs"]
mod epoch;
#[path = "../../src/value/flight.rs"]
mod flight;
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
#[path = "../../src/gate/mod.rs"]
mod gate;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the models use a part of it")]
#[path = "../../src/wait/graph/mod.rs"]
mod graph;
#[path = "../../src/cancel/hook.rs"]
mod hook;
#[allow(dead_code, reason = "the models use a part of it")]
#[path = "../../src/integration/tower/lend.rs"]
mod lend;
#[allow(dead_code, reason = "the models use a part of it")]
#[path = "../../src/timer/mod.rs"]
mod timer;

mod loom_batch;
mod loom_cache;
mod loom_cancel;
mod loom_deadline;
mod loom_epoch;
mod loom_flight;
mod loom_gate;
mod loom_hook;
mod loom_lend;
mod loom_local;
mod loom_permits;
mod loom_pool;
mod loom_promise;
mod loom_queue;
mod loom_spin;
#[cfg(feature = "rayon")]
mod loom_stealing;
mod loom_task;
mod loom_timer;
mod loom_tracker;
mod loom_waits;
mod loom_warm;
