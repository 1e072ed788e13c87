//! One iteration is a remote job's way and back, or the end of many. The question: how much does heirloom cost beside plain NATS,
//! and beside other ways to have work done elsewhere?
//!
//! ```text
//! cargo bench --package heirloom-nats                   every row, some five minutes
//! cargo bench --package heirloom-nats -- --quick        a smoke run: every row, too short to judge by
//! cargo bench --package heirloom-nats -- --no-peers     heirloom and plain NATS alone
//! ```
//!
//! The bench prints a table for each kind of work, with the ratios of each row to the two raw JetStream rows, and then heirloom's
//! rows beside the bars. The same goes to `target/remote.json`. A peer that needs a program which the machine does not have
//! (`redis-server`, `python3` with `pip`) is skipped, and its row says so.
//!
//! # Fairness
//! 1. Both ends of a row are on this machine, on one server that the bench starts, with a connection and a runtime each.
//! 2. The rows of a table take turns, so that a busy minute of the machine hits all of them. A turn begins with work that is not
//!    counted. Medians drop the rest of the noise.
//! 3. Raw JetStream does the least that does not lose a result: the worker sends it as a request, which the sender confirms, and
//!    settles the job after that. Its two ends share one runtime with one thread, on which the job is a future.
//! 4. JetStream between threads sends the same messages as code that may block does: the caller is a thread, each end has a runtime,
//!    and the job runs in `spawn_blocking`. heirloom's callers and jobs are such code, too.
//! 5. Each peer is used as its own documentation would have it, in the fastest form that gives each job's result to its sender. Its
//!    program, in `benches/peers`, takes the time itself: the way between the bench and that program is not counted.

#[allow(dead_code, unreachable_pub, reason = "a part of the helpers is used")]
#[path = "../../tests/common/mod.rs"]
mod common;

mod contest;
mod jobs;
mod ours;
mod peers;
mod raw;
mod report;
mod rows;
mod threads;

use common::server::Setup;

use crate::contest::Plan;
use crate::ours::Ours;
use crate::peers::Peers;
use crate::rows::{cancel, death, trips};

fn main() {
    if ours::is_child() {
        ours::serve_for_ever();
    }
    let has = |flag: &str| std::env::args().any(|word| word == flag);
    // `cargo test --benches` comes without `--bench`: there the question is only whether it runs.
    let quick = has("--quick") || !has("--bench");
    let plan = if quick { Plan::QUICK } else { Plan::FULL };
    let Some(server) = Setup::default().config("max_payload: 8388608").start() else { return };
    let ours = Ours::start(&server.url());
    let peers = if has("--no-peers") || !has("--bench") { Peers::none() } else { Peers::start() };
    let mut rows = trips::measure(&plan, &server.url(), &ours, &peers);
    drop(peers);
    rows.push(cancel::measure(&plan, &ours));
    rows.push(death::measure(&plan, ours, &server.url()));
    report::print(&rows, quick);
    report::write_json(&rows);
}
