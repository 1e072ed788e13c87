//! Rows: the memory and threads of a started, idle manager. One iteration is one manager; the question: how much is it?

use std::thread::sleep;
use std::time::Duration;

use crate::suite::contest::{Medians, Plan};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::heap::count;
use crate::suite::host::{resident_bytes, threads};
use crate::suite::ours::{self, Requests};
use crate::suite::pool::Pool;
use crate::suite::rivals::{Rayon, Rusty, Threadpool};

const STARTED: &str = "heirloom, started";
const USED: &str = "heirloom, used";
const THREADS: &str = "heirloom, threads";

pub(crate) const BYTES: Group = Group {
    key: "idle managers",
    place: Place::OwnProcess,
    measure: bytes,
    rows: &[
        RowSpec {
            work: "a started, idle manager",
            iteration: "create a manager in a scope of its own and start it: bytes on the heap, without the scope's",
            ours: STARTED,
            peers: &["started"],
            unit: Unit::Bytes,
            bar: Bar::AtMost(384.0),
        },
        RowSpec {
            work: "a started, idle manager that ran a task",
            iteration: "the same, after one task was submitted and joined",
            ours: USED,
            peers: &["used"],
            unit: Unit::Bytes,
            bar: Bar::AtMost(384.0),
        },
    ],
};

pub(crate) const MILLION: Group = Group {
    key: "a million managers",
    place: Place::OwnProcess,
    measure: million,
    rows: &[
        RowSpec {
            work: "a million idle managers at once: memory of one",
            iteration: "a manager in a scope of its own, started, after a task: growth of the resident set, without the scopes'",
            ours: USED,
            peers: &["used"],
            unit: Unit::Bytes,
            bar: Bar::AtMost(384.0),
        },
        RowSpec {
            work: "a million idle managers at once: threads of all",
            iteration: "all of them, once the process-wide cache has let its idle threads end",
            ours: THREADS,
            peers: &["threads"],
            unit: Unit::Threads,
            bar: Bar::AtMost(0.0),
        },
    ],
};

fn bytes(plan: &Plan) -> Medians {
    let managers = plan.managers / 100;
    let each = |live_bytes: i64| live_bytes as f64 / managers as f64;
    let mut requests = Requests::open(managers);
    requests.warm_up();
    let started = count(|| requests.start_managers()).1;
    let used = count(|| requests.use_managers()).1;
    vec![
        (STARTED.into(), each(started.live_bytes)),
        (USED.into(), each(started.live_bytes + used.live_bytes)),
        heap_of::<Rusty>(plan, false),
        heap_of::<Rusty>(plan, true),
        heap_of::<Threadpool>(plan, false),
        heap_of::<Threadpool>(plan, true),
        heap_of::<Rayon>(plan, false),
        heap_of::<Rayon>(plan, true),
    ]
}

fn heap_of<P: Pool>(plan: &Plan, used: bool) -> (String, f64) {
    let mut pools = Vec::with_capacity(plan.peer_pools);
    let counted = count(|| fill::<P>(&mut pools, used)).1;
    pools.into_iter().for_each(P::stop);
    let when = if used { "used" } else { "started" };
    (format!("{}, {when}", P::NAME), counted.live_bytes as f64 / plan.peer_pools as f64)
}

fn fill<P: Pool>(pools: &mut Vec<P>, used: bool) {
    while pools.len() < pools.capacity() {
        let pool = P::start();
        if used {
            pool.round_trip();
        }
        pools.push(pool);
    }
}

fn million(plan: &Plan) -> Medians {
    let mut medians = Medians::new();
    ours::let_threads_end_early();
    let mut requests = Requests::open(plan.managers);
    requests.warm_up();
    ours::wait_for_threads_to_end();
    let (memory, before) = (resident_bytes(), threads());
    requests.start_managers();
    requests.use_managers();
    ours::wait_for_threads_to_end();
    let grown = resident_bytes().zip(memory).map(|(after, before)| (after - before) / plan.managers as f64);
    medians.extend(grown.map(|bytes| (USED.into(), bytes)));
    medians.extend(threads().zip(before).map(|(after, before)| (THREADS.into(), after - before)));
    drop(requests);
    medians.extend(resident_of::<Rusty>(plan));
    medians.extend(resident_of::<Threadpool>(plan));
    medians.extend(resident_of::<Rayon>(plan));
    medians
}

/// The memory, and the threads, of one pool of a peer.
fn resident_of<P: Pool>(plan: &Plan) -> Vec<(String, f64)> {
    let each = plan.peer_pools as f64;
    let mut pools = Vec::<P>::with_capacity(plan.peer_pools);
    let (memory, before) = (resident_bytes(), threads());
    fill(&mut pools, true);
    let grown = resident_bytes().zip(memory).map(|(after, before)| (after - before) / each);
    let started = threads().zip(before).map(|(after, before)| (after - before) / each);
    pools.into_iter().for_each(P::stop);
    // Some peers do not wait for their threads; the next one must not count them.
    sleep(Duration::from_millis(100));
    let memory = grown.map(|bytes| (format!("{}, used", P::NAME), bytes));
    memory.into_iter().chain(started.map(|threads| (format!("{}, threads", P::NAME), threads))).collect()
}
