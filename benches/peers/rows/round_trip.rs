//! Rows: a round trip. One iteration submits one no-op and joins it; the question: how long does the caller wait?

use std::time::Duration;

use crate::suite::contest::{Contender, Medians, Plan, apart, back_to_back, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours::{Dedicated, Leased};
use crate::suite::pool::{Pool, Running};
use crate::suite::rivals::{Affinity, Blocking, Futures, Rayon, Rusty, StdThread, StdWorkers, Threadpool, Tokio};

const ROW: RowSpec = RowSpec {
    work: "round trip, busy pool",
    iteration: "submit a no-op to a running pool and join it, one after the other",
    ours: Leased::NAME,
    peers: &[],
    unit: Unit::Nanoseconds,
    bar: Bar::OfBestPeer(1.0 / 20.0),
};

pub(crate) const BUSY: Group =
    Group { key: "round trip", place: Place::Here, measure: |plan| trips(plan, busy), rows: &[ROW] };

pub(crate) const AFTER_IDLENESS: Group = Group {
    key: "round trip, 1 ms apart",
    place: Place::Here,
    measure: |plan| trips(plan, after_idleness),
    rows: &[RowSpec {
        work: "round trip, after 1 ms of idleness",
        iteration: "the same after 1 ms of sleep, which is not counted",
        bar: Bar::OfBestPeer(0.5),
        ..ROW
    }],
};

pub(crate) const ONE_CPU: Group = Group {
    key: "round trip, one CPU",
    place: Place::OneCpu,
    measure: |plan| trips(plan, busy),
    rows: &[RowSpec {
        work: "round trip, on one CPU",
        iteration: "submit a no-op and join it, one after the other, in a process pinned to one CPU",
        bar: Bar::OfBestPeer(0.5),
        ..ROW
    }],
};

type Times = fn(u64, &mut dyn FnMut()) -> f64;

fn busy(n: u64, trip: &mut dyn FnMut()) -> f64 {
    back_to_back(n, trip)
}

fn after_idleness(n: u64, trip: &mut dyn FnMut()) -> f64 {
    apart(n, Duration::from_millis(1), trip)
}

fn trips(plan: &Plan, times: Times) -> Medians {
    let contenders = vec![
        contender::<Leased>(times),
        contender::<Dedicated>(times),
        contender::<Rusty>(times),
        contender::<Affinity>(times),
        contender::<Rayon>(times),
        contender::<Threadpool>(times),
        contender::<Tokio>(times),
        contender::<Futures>(times),
        contender::<Blocking>(times),
        contender::<StdWorkers>(times),
        contender::<StdThread>(times),
    ];
    contest(plan.threads, contenders)
}

fn contender<P: Pool + 'static>(times: Times) -> Contender<'static> {
    let pool = Running::<P>::start();
    Contender::new(P::NAME, move |n| times(n, &mut || pool.get().round_trip()))
}
