//! Rows: look-up. One iteration finds one manager from the current node; the questions: does the depth cost anything, and
//! how much does a server's mix cost, in which managers come and go?

use crate::suite::contest::contest;
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours;
use crate::suite::rivals::context::{otel_get, otel_map, tokio_current};

const WITH: RowSpec = RowSpec {
    work: "look-up by `with`, depth 0",
    iteration: "find a manager by its name and borrow it; its owner is so many scopes above",
    ours: ours::WITH[0].1,
    peers: &["tokio"],
    unit: Unit::Nanoseconds,
    bar: Bar::OfBestPeer(1.25),
};

const GET: RowSpec = RowSpec {
    work: "look-up by `get`, depth 0",
    iteration: "find a manager by its name, clone its handle and drop it",
    ours: ours::GET[0].1,
    bar: Bar::OfBestPeer(1.5),
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
        RowSpec { work: "look-up by `with`, depth 8", ours: ours::WITH[1].1, ..WITH },
        RowSpec { work: "look-up by `with`, depth 64", ours: ours::WITH[2].1, ..WITH },
        GET,
        RowSpec { work: "look-up by `get`, depth 8", ours: ours::GET[1].1, ..GET },
        RowSpec { work: "look-up by `get`, depth 64", ours: ours::GET[2].1, ..GET },
    ],
};

pub(crate) const MIX: Group = Group {
    key: "look-up, mix",
    place: Place::Here,
    measure: |plan| contest(plan.threads, vec![ours::mix(), tokio_current()]),
    rows: &[RowSpec {
        work: "look-up by `with` in a server's mix",
        iteration: "one of ten look-ups in a scope with a manager of its own, half of them of that one, on two threads",
        ours: ours::MIX,
        bar: Bar::OfBestPeer(2.0),
        ..WITH
    }],
};
