//! [`Soon`]: the requests to begin of repeatable jobs, made a moment after the jobs have begun.
//!
//! A repeatable job begins without a grant, and the origin learns of the begin for its own sake: the job counts as running there, and a cancel
//! reaches it. A job that ends within a [`MOMENT`] tells its end instead, which says both. So a short job costs the request of its
//! end alone. A cancel of the origin that comes within the moment gets its answer by the late request, or at the end.

use std::time::Duration;

use crate::remote::worker::begin;
use crate::remote::worker::run::Run;
use crate::remote::worker::state::Worker;
use crate::sync::os::{Arc, Mutex, Weak};

/// The time until a job that still runs is asked for.
const MOMENT: Duration = Duration::from_millis(1);

/// The runs that are to ask. One call of the clock serves all runs of a moment.
#[derive(Default)]
pub(super) struct Soon(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    runs: Vec<Weak<Run>>,
    /// The clock calls [`ask_all`].
    is_due: bool,
}

/// Asks the origin of a run that has begun, unless the run ends within a moment.
pub(super) fn ask(worker: &Arc<Worker>, run: &Arc<Run>) {
    let was_due = {
        let mut soon = worker.soon.0.lock();
        soon.runs.push(Arc::downgrade(run));
        std::mem::replace(&mut soon.is_due, true)
    };
    if !was_due {
        worker.after(MOMENT, ask_all);
    }
}

fn ask_all(worker: &Arc<Worker>) {
    let runs = {
        let mut soon = worker.soon.0.lock();
        soon.is_due = !soon.runs.is_empty();
        std::mem::take(&mut soon.runs)
    };
    if !runs.is_empty() {
        // The clock's thread is awake, and need not be unparked for the next jobs.
        worker.after(MOMENT, ask_all);
    }
    runs.iter().filter_map(Weak::upgrade).for_each(|run| begin::ask(worker, &run));
}
