//! [`Fault`]: an engine did not do a request.

use std::fmt;
use std::time::Duration;

use crate::error::{ErrorKind, SubmitError, SubmitErrorKind};
use crate::names::namespace::Namespace;

/// Why an engine did not do a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The engine's queue is at its limit.
    Full,
    /// The process has no right to do this. The text names the subject, the queue or the operation.
    NotAllowed(String),
    /// The message has more bytes than the engine takes.
    TooLarge {
        /// The bytes of the message.
        bytes: usize,
        /// The most bytes that the engine takes.
        most: usize,
    },
    /// The engine has no connection now. The request was not done, or its answer was lost.
    Away,
    /// No process of that name is there.
    Gone,
    /// The process did not answer in time.
    NoAnswer(Duration),
    /// Another fault, in the engine's words. Trying again does not help.
    Broken(String),
}

impl Fault {
    /// Returns the refusal of a request to the queue of a manager's pool.
    pub(crate) fn refusal(&self, namespace: &Namespace) -> SubmitError {
        SubmitError::new(namespace, SubmitErrorKind::EngineRefused { kind: self.kind(), why: self.to_string() })
    }

    /// Returns the reason in one word.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Full => ErrorKind::QueueFull,
            Self::NotAllowed(_) => ErrorKind::NotAllowed,
            Self::TooLarge { .. } => ErrorKind::NotSendable,
            Self::Away | Self::Gone | Self::NoAnswer(_) | Self::Broken(_) => ErrorKind::EngineFailed,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full; try later, or raise its limit"),
            Self::NotAllowed(subject) => write!(f, "this process has no right to {subject}; ask the operator for it"),
            Self::TooLarge { bytes, most } => {
                write!(
                    f,
                    "{bytes} bytes are more than the {most} that a message may have; send a name of the data instead"
                )
            }
            Self::Away => f.write_str("the engine has no connection; it connects again by itself"),
            Self::Gone => f.write_str("the other process has ended; send the job again"),
            Self::NoAnswer(after) => write!(f, "the other process did not answer within {after:?}; try again"),
            Self::Broken(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Fault {}
