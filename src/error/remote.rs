//! [`RemoteFailure`]: a remote task gave no value, for a reason that tasks of this process do not have.

use std::fmt;

use crate::error::kind::ErrorKind;

/// Why a remote task has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteFailure {
    /// The engine refused the job. It did not run.
    Refused { kind: ErrorKind, why: String },
    /// The worker died in the job, or was stopped meanwhile.
    WorkerLost { worker: String },
    /// The worker does not know the job, or the job or its output was not read.
    NotUnderstood { worker: String, why: String, ran: bool },
}

impl RemoteFailure {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { kind, .. } => *kind,
            Self::WorkerLost { .. } => ErrorKind::WorkerLost,
            Self::NotUnderstood { .. } => ErrorKind::NotUnderstood,
        }
    }

    pub(super) fn maybe_ran(&self) -> bool {
        match self {
            Self::Refused { .. } => false,
            Self::WorkerLost { .. } => true,
            Self::NotUnderstood { ran, .. } => *ran,
        }
    }
}

impl fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { why, .. } => write!(f, "did not run, because its engine refused it: {why}"),
            Self::WorkerLost { worker } => write!(
                f,
                "was lost with its worker {worker}, and may have run; look whether it did, or make the job `REPEATABLE`"
            ),
            Self::NotUnderstood { worker, why, ran: false } => write!(
                f,
                "did not run, because the worker {worker} did not understand it: {why}; deploy the job there first"
            ),
            Self::NotUnderstood { worker, why, ran: true } => {
                write!(
                    f,
                    "ran at the worker {worker}, and its output was not understood: {why}; read it as the same type"
                )
            }
        }
    }
}
