//! One iteration is named by each row. The question: how much does heirloom cost beside its peers, on the same work?
//!
//! `cargo bench --bench peers` runs heirloom and its peers in one process, in turns (A B C A B C …), and prints one
//! row per promise of the budget: heirloom's median, the best peer's, their ratio, the bar and whether it is met. The
//! same goes to `target/peers.json`.
//!
//! ```text
//! cargo bench --bench peers                     every row, about a minute
//! cargo bench --bench peers -- --quick          a smoke run: every row, too short to judge by
//! cargo bench --bench peers -- "round trip"     the rows with this in their name
//! ```
//!
//! # Fairness
//! 1. Every pool has [`WORKERS`](suite::pool::WORKERS) workers and gets the same closure.
//! 2. Every peer is used as its own documentation would have it, in the fastest form that gives each task's result back
//!    by itself.
//! 3. Contenders take turns, so a noisy minute of the machine falls on all of them. Medians drop the rest of the noise.

#[path = "peers/mod.rs"]
mod suite;

#[global_allocator]
static HEAP: suite::heap::Counting = suite::heap::Counting;

fn main() {
    suite::main();
}
