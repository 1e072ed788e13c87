//! Jobs on their way and back.

use std::time::Duration;

use crate::contest::{Contender, Medians, Plan, contest};
use crate::jobs::{Echo, EchoAgain};
use crate::ours::Ours;
use crate::raw::Raw;
use crate::report::{self, Bar, Row};

const REQUEST: &str = "a request of NATS";
const JETSTREAM: &str = "JetStream, confirmed result";
const AGAIN: &str = "heirloom, repeatable";
const ONCE: &str = "heirloom, begun at most once";

/// The most that a repeatable job may cost, beside raw JetStream.
const REPEATABLE: f64 = 1.15;

/// Measures all tables, prints each, and returns the rows that have a bar.
pub(crate) fn measure(plan: &Plan, url: &str, ours: &Ours) -> Vec<Row> {
    let raw = Raw::new(url);
    let works = [
        ("one job of 100 bytes", 100, 1, plan.rounds),
        ("64 jobs in flight, each", 100, 64, plan.rounds / 10),
        ("one job of 1 MiB", 1 << 20, 1, plan.rounds / 10),
    ];
    works
        .into_iter()
        .flat_map(|(work, size, count, rounds)| table(plan, ours, &raw, (work, size, count, rounds)))
        .collect()
}

fn table(
    plan: &Plan,
    ours: &Ours,
    raw: &Raw,
    (work, size, count, rounds): (&'static str, usize, usize, usize),
) -> Vec<Row> {
    let data = &vec![7_u8; size];
    let contenders = vec![
        Contender::new(REQUEST, move || (0..count).for_each(|_| raw.request(data))),
        Contender::new(JETSTREAM, move || raw.jobs(data, count)),
        Contender::new(AGAIN, move || ours.jobs(count, || EchoAgain { data: data.clone() })),
        Contender::new(ONCE, move || ours.jobs(count, || Echo { data: data.clone() })),
    ];
    let mut medians = contest(plan, rounds, contenders);
    medians.iter_mut().for_each(|(_, median)| *median /= u32::try_from(count).unwrap_or(u32::MAX));
    let of = |name| of(&medians, name);
    let jetstream = of(JETSTREAM);
    report::print_table(work, &medians, jetstream);
    let once = jetstream.mul_f64(REPEATABLE) + of(REQUEST);
    vec![
        Row::new(work, AGAIN, of(AGAIN), Bar::OfPeer(REPEATABLE, JETSTREAM, jetstream)),
        Row::new(work, ONCE, of(ONCE), Bar::OfSum("1.15 of JetStream and a request of NATS", once)),
    ]
}

fn of(medians: &Medians, name: &str) -> Duration {
    medians.iter().find(|(other, _)| *other == name).expect("it was measured").1
}
