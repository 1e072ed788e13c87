//! Rows: scopes, as of requests. One iteration is one scope; the question: how much do its time and its memory cost?

use crate::suite::contest::{Contender, Medians, Plan, back_to_back, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::host::resident_bytes;
use crate::suite::ours;

const SCOPE: &str = "heirloom scope";

/// The memory, in bytes, that the allocator may keep in a row that counts as flat: a tenth of a byte per scope.
const FLAT: f64 = 1_000_000.0;

pub(crate) const RATE: Group = Group {
    key: "scopes",
    place: Place::Here,
    measure: |plan| {
        let contender = Contender::new(SCOPE, |n| back_to_back(n, ours::request_scope));
        contest(plan.alone, vec![contender])
    },
    rows: &[RowSpec {
        work: "request scopes opened and closed",
        iteration: "open a scope, enter it, leave it, close it, drop it, on one thread",
        ours: SCOPE,
        peers: &[],
        unit: Unit::Nanoseconds,
        bar: Bar::AtMost(150.0),
    }],
};

pub(crate) const MEMORY: Group = Group {
    key: "scopes, memory",
    place: Place::OwnProcess,
    measure: memory,
    rows: &[RowSpec {
        work: "ten million request scopes: memory kept",
        iteration: "all of them, one after the other: growth of the resident set",
        ours: SCOPE,
        peers: &[],
        unit: Unit::Bytes,
        bar: Bar::AtMost(FLAT),
    }],
};

fn memory(plan: &Plan) -> Medians {
    // The first few allocate the memory that every later scope uses again.
    (0..plan.scopes / 100).for_each(|_| ours::request_scope());
    let before = resident_bytes();
    (0..plan.scopes).for_each(|_| ours::request_scope());
    let kept = resident_bytes().zip(before).map(|(after, before)| (after - before).max(0.0));
    kept.map(|kept| (SCOPE.into(), kept)).into_iter().collect()
}
