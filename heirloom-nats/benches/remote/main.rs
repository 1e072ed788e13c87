//! One iteration is a remote job's way and back, or the end of many. The question: how much does heirloom cost beside plain NATS?
//!
//! ```text
//! cargo bench --package heirloom-nats                   every row, some minutes
//! cargo bench --package heirloom-nats -- --quick        a smoke run: every row, too short to judge by
//! ```
//!
//! The bench prints a table for each kind of work, with the ratio of each row to the raw JetStream row, and then heirloom's rows
//! beside the bars. The same goes to `target/remote.json`.
//!
//! # Fairness
//! 1. Both ends of a row are on this machine, on one server that the bench starts, with a connection and a runtime each.
//! 2. The rows of a table take turns, so that a busy minute of the machine hits all of them. Medians drop the rest of the noise.
//! 3. Raw JetStream does the least that does not lose a result: the worker sends it as a request, which the sender confirms, and
//!    settles the job after that.

#[allow(dead_code, unreachable_pub, reason = "a part of the helpers is used")]
#[path = "../../tests/common/mod.rs"]
mod common;

mod contest;
mod jobs;
mod ours;
mod raw;
mod report;
mod rows;

use common::server::Setup;

use crate::contest::Plan;
use crate::ours::Ours;
use crate::rows::{cancel, death, trips};

fn main() {
    if ours::is_child() {
        ours::serve_for_ever();
    }
    // `cargo test --benches` comes without `--bench`: there the question is only whether it runs.
    let full = std::env::args().any(|word| word == "--bench") && std::env::args().all(|word| word != "--quick");
    let plan = if full { Plan::FULL } else { Plan::QUICK };
    let Some(server) = Setup::default().config("max_payload: 8388608").start() else { return };
    let ours = Ours::start(&server.url());
    let mut rows = trips::measure(&plan, &server.url(), &ours);
    rows.push(cancel::measure(&plan, &ours));
    rows.push(death::measure(&plan, ours, &server.url()));
    report::print(&rows, !full);
    report::write_json(&rows);
}
