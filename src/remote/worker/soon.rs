//! [`Soon`]: the requests to begin of repeatable jobs, made a moment after the jobs have begun.
//!
//! A repeatable job begins without a grant, and the origin learns of the begin for its own sake: the job counts as running there,
//! and a cancel reaches it. A job that ends within a [`MOMENT`] tells its end instead, which says both. So a short job costs the
//! request of its end alone. A cancel of the origin that comes within the moment gets its answer by the late request, or at the
//! end.

use std::time::Duration;

use crate::remote::worker::run::Run;
use crate::sync::os::{Arc, Mutex, Weak};

/// The time until a job that still runs is asked for.
pub(super) const MOMENT: Duration = Duration::from_millis(1);

/// The runs that are to ask. One call of the clock serves all runs of a moment.
#[derive(Default)]
pub(super) struct Soon(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    runs: Vec<Weak<Run>>,
    /// The clock takes the runs within a moment.
    is_due: bool,
}

impl Soon {
    /// Adds a run that has begun. Returns whether the caller is to [take](Self::take) the runs after a [`MOMENT`].
    #[must_use]
    pub(super) fn add(&self, run: &Arc<Run>) -> bool {
        let mut soon = self.0.lock();
        soon.runs.push(Arc::downgrade(run));
        !std::mem::replace(&mut soon.is_due, true)
    }

    /// Takes the runs. Where there is one, the caller is to take the next ones after a further [`MOMENT`].
    #[must_use]
    pub(super) fn take(&self) -> Vec<Weak<Run>> {
        let mut soon = self.0.lock();
        soon.is_due = !soon.runs.is_empty();
        std::mem::take(&mut soon.runs)
    }
}
