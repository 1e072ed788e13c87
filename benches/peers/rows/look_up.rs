//! Rows: look-up. One iteration finds one manager from the current node; the question: how much does each level cost?

use crate::suite::contest::contest;
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours;
use crate::suite::rivals::context::{otel_get, otel_map, tokio_current};

/// The most that cloning the handle may add to a look-up, in nanoseconds.
const CLONE: f64 = 6.0;

const WITH: RowSpec = RowSpec {
    work: "look-up by `with`, depth 0",
    iteration: "find a manager by its name and borrow it; its owner is so many scopes above",
    ours: ours::WITH[0].1,
    peers: &[],
    unit: Unit::Nanoseconds,
    bar: Bar::AtMost(5.0),
};

const GET: RowSpec = RowSpec {
    work: "look-up by `get`, depth 0",
    iteration: "find a manager by its name, clone its handle and drop it",
    ours: ours::GET[0].1,
    bar: Bar::AtMost(5.0 + CLONE),
    ..WITH
};

pub(crate) const LOOK_UP: Group = Group {
    key: "look-up",
    place: Place::Here,
    measure: |plan| {
        let mut contenders: Vec<_> = ours::WITH.into_iter().map(|(depth, name)| ours::with(depth, name)).collect();
        contenders.extend(ours::GET.into_iter().map(|(depth, name)| ours::get(depth, name)));
        contenders.extend([tokio_current(), otel_get(), otel_map()]);
        contest(plan.alone, contenders)
    },
    rows: &[
        WITH,
        RowSpec { work: "look-up by `with`, depth 8", ours: ours::WITH[1].1, bar: Bar::AtMost(10.0), ..WITH },
        RowSpec { work: "look-up by `with`, depth 64", ours: ours::WITH[2].1, bar: Bar::AtMost(90.0), ..WITH },
        GET,
        RowSpec { work: "look-up by `get`, depth 8", ours: ours::GET[1].1, bar: Bar::AtMost(10.0 + CLONE), ..GET },
        RowSpec { work: "look-up by `get`, depth 64", ours: ours::GET[2].1, bar: Bar::AtMost(90.0 + CLONE), ..GET },
    ],
};
