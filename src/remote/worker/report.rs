//! [`ServingStats`] and [`ServingReport`]: the numbers of a serving, and how it ended.

use std::fmt;
use std::time::Duration;

use crate::names::label::Printed;
use crate::wire::address::JobId;

/// The numbers of a [`Serving`](crate::remote::Serving), since its start.
///
/// Each accepted job runs or has one end. At each moment `accepted` is the sum of `running`, `done`, `given_back`, `lost`,
/// `not_understood` and `cancelled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServingStats {
    /// Jobs that this process took from the queue.
    pub accepted: u64,
    /// Jobs that have no end yet: they ask to begin, are queued, or run.
    pub running: usize,
    /// Jobs that have ended, and whose origin has not confirmed the end yet.
    pub telling: usize,
    /// Jobs that ended by a value or a panic.
    pub done: u64,
    /// Jobs that go to another worker: they had not begun here, or are repeatable.
    pub given_back: u64,
    /// Jobs that had begun, are not repeatable, and were given up when the serving stopped.
    pub lost: u64,
    /// Jobs that this worker does not know or cannot read, and outputs that cannot be written.
    pub not_understood: u64,
    /// Jobs that had ended at their origin before they ended here: by a cancel, another worker's result, or the origin's own end.
    /// Code of theirs that runs is cancelled, and its result is dropped.
    pub cancelled: u64,
    /// Results among `done` that had no use: the job had ended at its origin.
    pub duplicates: u64,
}

/// How a [`Serving`](crate::remote::Serving) ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says whether a job was lost"]
pub struct ServingReport {
    /// The numbers since the start.
    pub stats: ServingStats,
    /// The jobs whose code still ran at the end of the time, the oldest first.
    pub still_running: Vec<RunningJob>,
}

/// A job in a [`ServingReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// The job's id.
    pub id: JobId,
    /// The job's [`NAME`](crate::remote::Job::NAME).
    pub job: String,
    /// The scope that the job was sent from, and its host.
    pub scope: String,
    /// The time since the job was delivered.
    pub age: Duration,
    /// Whether another worker may begin the job again.
    pub repeatable: bool,
}

impl ServingReport {
    /// Returns whether no job runs any more, none was lost, and each origin knows the end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let ServingStats { running, telling, lost, .. } = self.stats;
        self.still_running.is_empty() && (running, telling, lost) == (0, 0, 0)
    }
}

impl fmt::Display for ServingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServingStats { running, telling, done, given_back, lost, not_understood, cancelled, duplicates, .. } =
            self.stats;
        write!(f, "{done} done, {given_back} given back, {lost} lost, {cancelled} cancelled, ")?;
        write!(f, "{not_understood} not understood, {duplicates} duplicate(s), {} remaining", running + telling)?;
        self.still_running.iter().try_for_each(|job| write!(f, "\n  still running: {job}"))
    }
}

impl fmt::Display for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, job, scope, age, repeatable } = self;
        let fate = if *repeatable { "given back" } else { "lost" };
        write!(f, "job {id} ({:?}) below {:?}, for {age:.1?}, {fate}", Printed(job), Printed(scope))
    }
}
