//! The messages between a job's worker and its origin. They travel as MessagePack with field names, so that a later version
//! may add fields.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::CancelReason;

/// A worker's request to a job's origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// The worker wants to begin the job, or has begun it, where it is repeatable. The receipt is that of the delivered message,
    /// and `ask` a number of the worker's own, which stays the same when the request is repeated.
    /// `count` is that of the delivery, and `again` says that another worker may have begun the job before.
    Begin { job: u64, receipt: u64, ask: u64, count: u64, again: bool },
    /// The job has ended on the worker. Sent until it is confirmed.
    /// `ask` is that of the request to begin.
    Ended { job: u64, attempt: u32, ask: u64, outcome: Outcome },
    /// The worker gives this delivery back, and has not begun the job. `ask` is that of the request to begin; 0 without one.
    GaveBack { job: u64, receipt: u64, ask: u64, count: u64 },
    /// The worker lives and runs these jobs, in these scopes of the origin.
    Sign { jobs: Vec<u64>, scopes: Vec<u64> },
}

/// The origin's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The job may begin, as this attempt.
    Begin { attempt: u32 },
    /// The job has ended at its origin, or may not begin a second time: the delivery is done.
    Over,
    /// Another worker has the job by a later delivery of the same message.
    Stale,
    /// The end is noted. `first` is false where another end was noted before.
    Confirmed { first: bool },
    /// The answer to a sign: those of the worker's jobs that are to stop, those that the origin does not know, and
    /// those of the scopes that have ended.
    Signed { stop: Vec<u64>, unknown: Vec<u64>, ended: Vec<u64> },
}

/// A broadcast of an origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    /// All that stands below these scopes of the origin, and these of its jobs, is cancelled.
    Stop { scopes: Vec<u64>, jobs: Vec<u64>, reason: Why },
    /// The scopes have ended without a cancel: what was kept for them can go.
    Ended { scopes: Vec<u64> },
}

/// The reason of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Why {
    Request,
    OwnerEnd,
    Deadline,
    Shutdown,
}

impl From<CancelReason> for Why {
    fn from(reason: CancelReason) -> Self {
        match reason {
            CancelReason::Request => Self::Request,
            CancelReason::OwnerEnd => Self::OwnerEnd,
            CancelReason::Deadline => Self::Deadline,
            CancelReason::Shutdown => Self::Shutdown,
        }
    }
}

impl From<Why> for CancelReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Request => Self::Request,
            Why::OwnerEnd => Self::OwnerEnd,
            Why::Deadline => Self::Deadline,
            Why::Shutdown => Self::Shutdown,
        }
    }
}

/// How a job has ended on its worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The bytes of its output.
    Value(Bytes),
    /// The text of its panic.
    Panicked(String),
    /// It was cancelled before it ran.
    NotRun,
    /// It ran, or may have run, and its end is not known: the worker was stopped meanwhile.
    Lost,
    /// The worker does not know the job, or cannot read it.
    NotUnderstood(String),
    /// It ran, and its output cannot be written, or has too many bytes.
    NoOutput(String),
}

/// Encodes a message. These types have no value that does not encode.
pub(crate) fn encode(message: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(message).unwrap_or_default().into()
}

/// Decodes a message. Returns `None` for bytes of another form.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}
