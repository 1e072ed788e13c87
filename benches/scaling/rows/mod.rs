//! The rows.

mod ending;
mod look_up;
mod queue;
mod tree;
mod waiting;

use super::judge::{Promise, Row};

/// All rows. The one about ended threads is the first: no other row has started a thread then.
pub(crate) fn all() -> impl Iterator<Item = Row> {
    [look_up::ROWS, tree::ROWS, queue::ROWS, waiting::ROWS, ending::ROWS].into_iter().flatten().copied()
}

const MANY: usize = 100_000;

const fn constant(name: &'static str, run: fn(usize) -> f64) -> Row {
    Row { name, promise: Promise::Constant, most: MANY, run }
}

const fn linear(name: &'static str, run: fn(usize) -> f64) -> Row {
    Row { name, promise: Promise::Linear, most: MANY, run }
}

const fn at_most(most: usize, row: Row) -> Row {
    Row { most, ..row }
}
