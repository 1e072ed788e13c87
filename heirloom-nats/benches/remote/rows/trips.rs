//! Jobs on their way and back.

use std::time::Duration;

use crate::contest::{Contender, Medians, Plan, contest};
use crate::jobs::{Echo, EchoAgain};
use crate::ours::Ours;
use crate::peers::{CELERY, Peers};
use crate::raw::Raw;
use crate::report::{self, Bar, Row};
use crate::threads::Threads;

const REQUEST: &str = "a request of NATS";
const JETSTREAM: &str = "JetStream, confirmed result";
const THREADS: &str = "JetStream between threads";
const AGAIN: &str = "heirloom, repeatable";
const ONCE: &str = "heirloom, begun at most once";

/// The most that a repeatable job may cost, beside raw JetStream.
const REPEATABLE: f64 = 1.15;
/// The most that a job may cost, beside celery.
const OF_CELERY: f64 = 1.0 / 8.0;

/// The work of one table.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    /// Bytes of a job.
    size: usize,
    /// Jobs that are sent together.
    count: usize,
    rounds: usize,
}

/// Measures all tables, prints each, and returns their rows.
pub(crate) fn measure(plan: &Plan, url: &str, ours: &Ours, peers: &Peers) -> Vec<Row> {
    let (raw, threads) = (Raw::new(url), Threads::new(url));
    let works = [
        Work { name: "one job of 100 bytes", size: 100, count: 1, rounds: plan.rounds },
        Work { name: "64 jobs in flight, each", size: 100, count: 64, rounds: plan.rounds / 10 },
        Work { name: "one job of 1 MiB", size: 1 << 20, count: 1, rounds: plan.rounds / 10 },
    ];
    works.into_iter().flat_map(|work| table(plan, work, ours, (&raw, &threads), peers)).collect()
}

fn table(plan: &Plan, work: Work, ours: &Ours, (raw, threads): (&Raw, &Threads), peers: &Peers) -> Vec<Row> {
    let Work { name, size, count, rounds } = work;
    let data = &vec![7_u8; size];
    let mut contenders = vec![
        Contender::new(REQUEST, move || raw.requests(data, count)),
        Contender::new(JETSTREAM, move || raw.jobs(data, count)),
        Contender::new(THREADS, move || threads.jobs(data, count)),
        Contender::new(AGAIN, move || ours.jobs(count, || EchoAgain { data: data.clone() })),
        Contender::new(ONCE, move || ours.jobs(count, || Echo { data: data.clone() })),
    ];
    contenders.extend(peers.iter().map(|peer| Contender::elsewhere(peer.name, move || peer.turn(size, count))));
    let mut medians = contest(plan, rounds, contenders);
    let each = |median: &mut Duration| *median /= u32::try_from(count).unwrap_or(u32::MAX);
    medians.iter_mut().filter_map(|(_, median)| median.as_mut().ok()).for_each(each);
    let of = |contender| of(&medians, contender);
    let (Some(request), Some(jetstream), Some(threads)) = (of(REQUEST), of(JETSTREAM), of(THREADS)) else {
        return Vec::new();
    };
    report::print_table(name, &medians, &[("of JetStream", jetstream), ("between threads", threads)]);
    let sum = jetstream.mul_f64(REPEATABLE) + request;
    let mut rows: Vec<Row> = medians.iter().map(|(contender, median)| Row::told(name, contender, median)).collect();
    let mut judge = |contender, bar| rows.extend(of(contender).map(|median| Row::new(name, contender, median, bar)));
    judge(AGAIN, Bar::OfPeer(REPEATABLE, JETSTREAM, jetstream));
    judge(ONCE, Bar::OfSum("1.15 of JetStream and a request of NATS", sum));
    if let Some(celery) = of(CELERY) {
        judge(ONCE, Bar::OfPeer(OF_CELERY, CELERY, celery));
    }
    rows
}

fn of(medians: &Medians, name: &str) -> Option<Duration> {
    medians.iter().find(|(other, _)| *other == name).and_then(|(_, median)| median.clone().ok())
}
