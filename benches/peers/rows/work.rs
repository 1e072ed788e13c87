//! Rows: tasks that work. One iteration is one task of 50 µs, or a map of items of 30 µs; the question: how much is added?

use std::hint::black_box;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Scope};
use rayon::prelude::*;

use crate::suite::contest::{Contender, Medians, Plan, back_to_back, contest, median};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::host::context_switches;
use crate::suite::pool::WORKERS;

pub(crate) const ROUND_TRIP: Group = Group {
    key: "round trip, 50 µs",
    place: Place::Here,
    measure: round_trip,
    rows: &[RowSpec {
        work: "round trip of a task of 50 µs",
        iteration: "submit the task to a running pool and join it, one after the other; the peer is the task alone",
        ours: "heirloom leased",
        peers: &[],
        unit: Unit::Nanoseconds,
        bar: Bar::OfBestPeer(1.05),
    }],
};

pub(crate) const SWITCHES: Group = Group {
    key: "switches of a map",
    place: Place::OwnProcess,
    measure: switches,
    rows: &[RowSpec {
        work: "context switches of a map",
        iteration: "map 1 000 items of 30 µs on 4 workers: switches of the whole process; the peer is `par_iter`",
        ours: "heirloom map",
        peers: &[],
        unit: Unit::Switches,
        bar: Bar::OfBestPeer(2.0),
    }],
};

/// Work of the same number of steps each time.
#[derive(Clone, Copy)]
struct Work(u64);

impl Work {
    /// About so long, on an idle core.
    fn of(length: Duration) -> Self {
        let steps = 100_000;
        let time = |_| {
            let begin = Instant::now();
            Self(steps).run();
            begin.elapsed()
        };
        let best = (0..20).map(time).min().unwrap_or_default();
        Self((steps as f64 * length.as_secs_f64() / best.as_secs_f64()) as u64)
    }

    fn run(self) {
        (0..self.0).for_each(|step| {
            black_box(step);
        });
    }
}

fn round_trip(plan: &Plan) -> Medians {
    let work = Work::of(Duration::from_micros(50));
    let scope = Scope::new("scope");
    let pool = scope.create("pool");
    pool.start(PoolConfig::leased(WORKERS)).expect("it starts");
    let submitted = || pool.submit(move || work.run()).expect("it is accepted").join().expect("it ends well");
    let contenders = vec![
        Contender::new("heirloom leased", |n| back_to_back(n, submitted)),
        Contender::new("the task alone", |n| back_to_back(n, || work.run())),
    ];
    contest(plan.threads, contenders)
}

fn switches(plan: &Plan) -> Medians {
    const ITEMS: usize = 1_000;
    let work = Work::of(Duration::from_micros(30));
    let scope = Scope::new("scope");
    let pool = scope.create("pool");
    pool.start(PoolConfig::leased(WORKERS)).expect("it starts");
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("a pool");
    let ours = || assert_eq!(pool.map(0..ITEMS, move |_| work.run()).expect("it runs").count(), ITEMS);
    let theirs = || rayon.install(|| (0..ITEMS).into_par_iter().for_each(|_| work.run()));
    let rounds = plan.flood / 5_000;
    let of = |name: &str, run: &dyn Fn()| {
        let once = |_| {
            let before = context_switches()?;
            run();
            Some(context_switches()? - before)
        };
        let mut counts: Vec<f64> = (0..=rounds).filter_map(once).collect();
        (!counts.is_empty()).then(|| (name.to_owned(), median(&mut counts)))
    };
    of("heirloom map", &ours).into_iter().chain(of("rayon", &theirs)).collect()
}
