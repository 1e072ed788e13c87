//! Row: the submitter's node, carried into a task. One iteration is one task; the question: how much does the node cost?

use std::time::Instant;

use crate::suite::contest::contest;
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours;
use crate::suite::rivals::context::otel_carry;

pub(crate) const CARRY: Group = Group {
    key: "carry",
    place: Place::Here,
    measure: |plan| contest(plan.alone, vec![ours::carry(), otel_carry()]),
    rows: &[RowSpec {
        work: "carry the place into a task and restore it",
        iteration: "take the current place along with a no-op, run it at another place, be back there",
        ours: ours::CARRY,
        peers: &[],
        unit: Unit::Nanoseconds,
        bar: Bar::OfBestPeer(1.0),
    }],
};

/// Wraps tasks at one node and runs them at another, in batches, until `n` are done.
///
/// Returns the nanoseconds of one task.
pub(crate) fn in_batches<T>(n: u64, mut take: impl FnMut(&mut Vec<T>, u64), mut run: impl FnMut(T)) -> f64 {
    const BATCH: u64 = 64;
    let batches = n.div_ceil(BATCH);
    let mut carried = Vec::with_capacity(BATCH as usize);
    let start = Instant::now();
    for _ in 0..batches {
        take(&mut carried, BATCH);
        carried.drain(..).for_each(&mut run);
    }
    start.elapsed().as_nanos() as f64 / (batches * BATCH) as f64
}
