//! [`ServingStats`] and [`ServingReport`]: the numbers of a serving, and how it ended.

use std::fmt;
use std::time::Duration;

use crate::names::label::Printed;
use crate::wire::address::JobId;

/// The numbers of a [`Serving`](crate::remote::Serving), since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServingStats {
    /// Jobs that are here: they ask to begin, are queued, run, or tell their end.
    pub running: usize,
    /// Jobs that ended by a value or a panic.
    pub done: u64,
    /// Jobs that go to another worker: they had not begun here, or are repeatable.
    pub given_back: u64,
    /// Jobs that had begun, are not repeatable, and were given up when the serving stopped.
    pub lost: u64,
    /// Results of jobs that had ended at their origin: by another worker's result, or by a cancel there.
    pub duplicates: u64,
    /// Jobs that this worker does not know or cannot read, and outputs that cannot be written.
    pub not_understood: u64,
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
    pub place: String,
    /// The time since the job was delivered.
    pub age: Duration,
    /// Whether another worker may begin the job again.
    pub repeatable: bool,
}

impl ServingReport {
    /// Returns whether no job runs any more and none was lost.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.still_running.is_empty() && self.stats.running == 0 && self.stats.lost == 0
    }
}

impl fmt::Display for ServingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServingStats { running, done, given_back, lost, duplicates, not_understood } = self.stats;
        write!(f, "{done} done, {given_back} given back, {lost} lost, {not_understood} not understood, ")?;
        write!(f, "{duplicates} duplicate(s), {running} remaining")?;
        self.still_running.iter().try_for_each(|job| write!(f, "\n  still running: {job}"))
    }
}

impl fmt::Display for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, job, place, age, repeatable } = self;
        let fate = if *repeatable { "given back" } else { "lost" };
        write!(f, "job {id} ({:?}) below {:?}, for {age:.1?}, {fate}", Printed(job), Printed(place))
    }
}
