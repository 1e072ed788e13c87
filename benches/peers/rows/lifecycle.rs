//! Rows: the life of a pool. One iteration is one pool from start to end; the question: how much does it cost?

use std::time::Duration;

use crate::suite::contest::{Contender, Medians, Plan, apart, back_to_back, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours::{Dedicated, Leased};
use crate::suite::pool::Pool;
use crate::suite::rivals::{Affinity, Futures, Rayon, Rusty, StdThread, StdWorkers, Threadpool, Tokio};

/// The peers that are pools.
const POOLS: &[&str] =
    &[Rusty::NAME, Affinity::NAME, Threadpool::NAME, Rayon::NAME, Tokio::NAME, Futures::NAME, StdWorkers::NAME];

pub(crate) const BACK_TO_BACK: Group = Group {
    key: "lifecycle",
    place: Place::Here,
    measure: |plan| lives(plan, back_to_back),
    rows: &[
        RowSpec {
            work: "lifecycle, leased, back to back",
            iteration: "create a manager, start 4 workers, submit a no-op, join it, stop",
            ours: Leased::NAME,
            peers: POOLS,
            unit: Unit::Nanoseconds,
            bar: Bar::OfBestPeer(1.0 / 40.0),
        },
        RowSpec {
            work: "lifecycle, dedicated, beside one thread",
            iteration: "the same with threads of its own, of which one task starts one; the peer spawns and joins a thread",
            ours: Dedicated::NAME,
            peers: &[StdThread::NAME],
            unit: Unit::Nanoseconds,
            bar: Bar::OfBestPeer(1.15),
        },
    ],
};

pub(crate) const APART: Group = Group {
    key: "lifecycle, 500 µs apart",
    place: Place::Here,
    measure: |plan| lives(plan, |n, life| apart(n, Duration::from_micros(500), life)),
    rows: &[RowSpec {
        work: "lifecycle, leased, 500 µs apart",
        iteration: "the same after 500 µs of sleep, which is not counted",
        ours: Leased::NAME,
        peers: POOLS,
        unit: Unit::Nanoseconds,
        bar: Bar::OfBestPeer(0.25),
    }],
};

fn lives(plan: &Plan, times: fn(u64, fn()) -> f64) -> Medians {
    let contenders = vec![
        contender::<Leased>(times),
        contender::<Dedicated>(times),
        contender::<Rusty>(times),
        contender::<Affinity>(times),
        contender::<Threadpool>(times),
        contender::<Rayon>(times),
        contender::<Tokio>(times),
        contender::<Futures>(times),
        contender::<StdWorkers>(times),
        contender::<StdThread>(times),
    ];
    contest(plan.threads, contenders)
}

fn contender<P: Pool>(times: fn(u64, fn()) -> f64) -> Contender<'static> {
    Contender::new(P::NAME, move |n| times(n, life::<P>))
}

fn life<P: Pool>() {
    let pool = P::start();
    pool.round_trip();
    pool.stop();
}
