//! Rows: a hundred thousand tasks at once. One iteration is one task; the question: how much does it cost in a flood?

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::suite::contest::{Contender, Medians, Plan, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::ours::{Dedicated, Leased};
use crate::suite::pool::{Pool, Running};
use crate::suite::rivals::{Affinity, Blocking, Futures, Rayon, Rusty, StdWorkers, Threadpool, Tokio};

/// Threads that submit at once, in the row of many.
const PRODUCERS: usize = 4;

const ROW: RowSpec = RowSpec {
    work: "100 000 no-op tasks, handles joined",
    iteration: "one task of 100 000 that one thread submits, and then joins in turn",
    ours: Leased::NAME,
    peers: &[],
    unit: Unit::Nanoseconds,
    bar: Bar::OfBestPeer(0.5),
};

pub(crate) const ONE_PRODUCER: Group =
    Group { key: "flood", place: Place::Here, measure: |plan| floods(plan, 1), rows: &[ROW] };

pub(crate) const FOUR_PRODUCERS: Group = Group {
    key: "flood, four producers",
    place: Place::Here,
    measure: |plan| floods(plan, PRODUCERS),
    rows: &[RowSpec {
        work: "100 000 no-op tasks, four producers",
        iteration: "one task of 100 000; four threads submit and join a quarter each",
        bar: Bar::OfBestPeer(0.7),
        ..ROW
    }],
};

pub(crate) const MAP: Group = Group {
    key: "map",
    place: Place::Here,
    measure: map,
    rows: &[
        RowSpec {
            work: "`map` of 100 000 no-ops",
            iteration: "one item of a map of 100 000; the peer is one of as many tasks submitted and joined one by one",
            ours: MAPPED,
            peers: &[JOINED],
            ..ROW
        },
        RowSpec {
            work: "`submit_many` of 100 000 no-ops",
            iteration: "one task of 100 000 that are submitted at once, without its join; the peer is one of as many submits",
            ours: AT_ONCE,
            peers: &[SUBMITTED],
            ..ROW
        },
        RowSpec {
            work: "`submit_many` of 100 000 no-ops, joined",
            iteration: "the same, with the joins in turn, for both",
            ours: AT_ONCE_JOINED,
            peers: &[JOINED],
            ..ROW
        },
    ],
};

const MAPPED: &str = "heirloom map";
const AT_ONCE: &str = "heirloom submit_many";
const AT_ONCE_JOINED: &str = "heirloom submit_many, joined";
const SUBMITTED: &str = "submitted one by one";
const JOINED: &str = "one by one, joined";

fn map(plan: &Plan) -> Medians {
    let tasks = plan.flood;
    let running = Running::<Leased>::start();
    let pool = &running;
    let each = tasks as f64;
    let contenders = vec![
        Contender::fixed(MAPPED, move || {
            let start = Instant::now();
            pool.get().map(tasks);
            start.elapsed().as_nanos() as f64 / each
        }),
        Contender::fixed(AT_ONCE, move || pool.get().flood_at_once(tasks).0 / each),
        Contender::fixed(AT_ONCE_JOINED, move || pool.get().flood_at_once(tasks).1 / each),
        Contender::fixed(SUBMITTED, move || pool.get().flood_one_by_one(tasks).0 / each),
        Contender::fixed(JOINED, move || pool.get().flood_one_by_one(tasks).1 / each),
    ];
    contest(plan.floods, contenders)
}

fn floods(plan: &Plan, producers: usize) -> Medians {
    let contenders = vec![
        contender::<Leased>(plan, producers),
        contender::<Dedicated>(plan, producers),
        contender::<Rusty>(plan, producers),
        contender::<Affinity>(plan, producers),
        contender::<Tokio>(plan, producers),
        contender::<Rayon>(plan, producers),
        contender::<Threadpool>(plan, producers),
        contender::<Futures>(plan, producers),
        contender::<Blocking>(plan, producers),
        contender::<StdWorkers>(plan, producers),
    ];
    contest(plan.floods, contenders)
}

fn contender<P: Pool + 'static>(plan: &Plan, producers: usize) -> Contender<'static> {
    let tasks = plan.flood;
    let running = Running::<P>::start();
    Contender::fixed(P::NAME, move || {
        let pool = running.get();
        pool.flood(tasks / 100);
        let took = if producers == 1 { alone(pool, tasks) } else { together(pool, tasks, producers) };
        took / tasks as f64
    })
}

fn alone(pool: &impl Pool, tasks: usize) -> f64 {
    let start = Instant::now();
    pool.flood(tasks);
    start.elapsed().as_nanos() as f64
}

/// From the first producer's start to the last one's end.
fn together(pool: &impl Pool, tasks: usize, producers: usize) -> f64 {
    let barrier = Barrier::new(producers);
    let produce = || {
        barrier.wait();
        let start = Instant::now();
        pool.flood(tasks / producers);
        (start, Instant::now())
    };
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..producers).map(|_| scope.spawn(produce)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the producer ends well")).collect()
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    first.zip(last).map_or(0.0, |(first, last)| (last - first).as_nanos() as f64)
}
