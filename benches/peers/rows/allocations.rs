//! Rows: a task's allocations. One iteration is one task of a flood; the question: how many blocks does it allocate?

use crate::suite::contest::{Medians, Plan};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};
use crate::suite::heap::count;
use crate::suite::ours::{Dedicated, Leased};
use crate::suite::pool::Pool;
use crate::suite::rivals::{Affinity, Blocking, Futures, Rayon, Rusty, StdWorkers, Threadpool, Tokio};

const ROW: RowSpec = RowSpec {
    work: "allocations per submitted task",
    iteration: "one task of a flood, from submit to join, counted in the whole process",
    ours: Leased::NAME,
    peers: &[],
    unit: Unit::Allocations,
    bar: Bar::AtMost(1.0),
};

pub(crate) const ALLOCATIONS: Group = Group {
    key: "allocations",
    place: Place::Here,
    measure,
    rows: &[ROW, RowSpec { work: "allocations per submitted task, dedicated", ours: Dedicated::NAME, ..ROW }],
};

fn measure(plan: &Plan) -> Medians {
    vec![
        allocations::<Leased>(plan),
        allocations::<Dedicated>(plan),
        allocations::<Rusty>(plan),
        allocations::<Affinity>(plan),
        allocations::<Tokio>(plan),
        allocations::<Rayon>(plan),
        allocations::<Threadpool>(plan),
        allocations::<Futures>(plan),
        allocations::<Blocking>(plan),
        allocations::<StdWorkers>(plan),
    ]
}

fn allocations<P: Pool>(plan: &Plan) -> (String, f64) {
    let tasks = plan.flood;
    let pool = P::start();
    pool.flood(tasks);
    let counted = count(|| pool.flood(tasks)).1;
    pool.stop();
    // To hundredths: the vector that holds the handles is not the tasks'.
    let each = counted.allocations as f64 / tasks as f64;
    (P::NAME.into(), (each * 100.0).round() / 100.0)
}
