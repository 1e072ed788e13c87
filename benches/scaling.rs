//! One iteration is one operation beside, below or on so many others. The question: does its cost grow with their number?
//!
//! `cargo bench --bench scaling` measures each operation at sizes of 10 to 100 000, prints the cost of one at each size, and
//! flags a row whose cost grows faster than its promise. A promise is a ratio between sizes, never a time:
//!
//! * *constant*: the operation costs at the largest size at most twice as much as at the smallest.
//! * *linear*: the operation handles as many things as the size says, and the cost of one of them grows at most tenfold for a
//!   hundred times as many. That of a quadratic operation grows a hundredfold. Memory that no cache holds explains up to seven.
//!
//! ```text
//! cargo bench --bench scaling                     every row and size, about two minutes
//! cargo bench --bench scaling -- --quick          some sizes, ten seconds
//! cargo bench --bench scaling -- "cancel"         the rows with this in their name
//! ```
//!
//! The process ends with code 1 when a row is flagged. On a busy machine a time is an upper bound of the cost, so each size
//! keeps its best of several rounds, in which the sizes take turns, and a flagged row is measured again before it counts.

#[path = "scaling/mod.rs"]
mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main()
}
