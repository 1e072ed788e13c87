//! Why there is no value, and why one was not bound. Each message names the key and says what can be done.

use std::error::Error;
use std::fmt;

use crate::error::NO_PLACE;
use crate::names::id::NodeId;
use crate::sync::os::Arc;
use crate::wait::graph::Circle;

/// Nobody from the place asked up to the process has bound a value of this key.
#[derive(Debug, Clone)]
pub struct NotBound(Box<Missing>);

#[derive(Debug, Clone)]
struct Missing {
    key: &'static str,
    place: String,
    place_id: NodeId,
    cause: Option<InitError>,
    /// Only that very place was looked at.
    isolated: bool,
}

impl NotBound {
    pub(crate) fn new(key: &'static str, place: String, place_id: NodeId, cause: Option<InitError>) -> Self {
        Self(Box::new(Missing { key, place, place_id, cause, isolated: false }))
    }

    /// Of a key that is not inherited.
    pub(crate) fn isolated(mut self) -> Self {
        self.0.isolated = true;
        self
    }

    /// The key's name.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.0.key
    }

    /// Where it was asked, in words.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The id of the place asked.
    #[must_use]
    pub fn place_id(&self) -> NodeId {
        self.0.place_id
    }

    /// Why a value for the place alone could not be made ([`fresh`](crate::Heirloom::fresh)) or looked for
    /// ([`isolated`](crate::Heirloom::isolated)), if that is what went wrong.
    #[must_use]
    pub fn init_error(&self) -> Option<&InitError> {
        self.0.cause.as_ref()
    }
}

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { key, place, cause, .. } = &*self.0;
        match cause {
            None if self.0.isolated => write!(
                f,
                "no value of \"{key}\" is bound at {place} itself, and it is not inherited; `bind` one at that very place"
            ),
            None => write!(
                f,
                "no value of \"{key}\" is bound at {place}, or where it could be inherited from; `bind` one, or ask with \
                 `get_or_init`"
            ),
            Some(cause) if self.0.isolated => write!(f, "no value of \"{key}\" is found: {cause}"),
            Some(cause) => write!(f, "no value of \"{key}\" could be made for {place}: {cause}"),
        }
    }
}

impl Error for NotBound {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

/// Why a value was not bound. Nothing was changed, and the value was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// That very place has one.
    #[error("\"{key}\" is bound at {place} already; `unbind` that one first, or replace it with `bind`")]
    AlreadyBound {
        /// The key's name.
        key: &'static str,
        /// The place, in words.
        place: String,
    },
    /// The key was sealed.
    #[error("\"{key}\" is sealed, so nothing more is bound; bind before `seal` is called")]
    Sealed {
        /// The key's name.
        key: &'static str,
    },
    /// The scope, thread or task has ended.
    #[error("\"{key}\" cannot be bound at {place}, which has ended; bind at a place that is open")]
    OwnerGone {
        /// The key's name.
        key: &'static str,
        /// The place, in words.
        place: String,
    },
    /// The code shares its thread with other code (it is a runtime's future, or runs on a thread that was
    /// [marked](crate::thread::mark_shared)) and has no place of its own, so the value would be nobody's.
    #[error(
        "\"{key}\" cannot be bound here: {}, or bind at `Lineage::process()` if the whole process is meant",
        NO_PLACE
    )]
    NoPlace {
        /// The key's name.
        key: &'static str,
    },
}

/// Why an initialiser gave no value. Every waiter of one run gets the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// It returned an error. The next call tries again, unless the key keeps failures.
    #[error("the initialiser of \"{key}\" failed: {error}")]
    Failed {
        /// The key's name.
        key: &'static str,
        /// Its error.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// It panicked, on the thread of another caller. The next call tries again.
    #[error("the initialiser of \"{key}\" panicked: {message}")]
    Panicked {
        /// The key's name.
        key: &'static str,
        /// The panic's text.
        message: String,
    },
    /// The key was asked for inside of its own initialiser, on the same thread. One that passes it up fails with it, so
    /// its callers see [`Failed`](Self::Failed), with this as [`as_failed`](Self::as_failed).
    #[error(
        "\"{key}\" is asked for inside of its own initialiser; give the initialiser what it needs instead of asking for \
         the key there"
    )]
    Reentrant {
        /// The key's name.
        key: &'static str,
    },
    /// The wait would never end, because the initialiser itself waits, directly or by others, for what the caller owes.
    /// It may be told inside that initialiser, which then may fail with it, as with [`Reentrant`](Self::Reentrant).
    #[error(
        "the wait for \"{key}\" would never end: {circle}; give the initialiser what it needs instead of having it wait for \
         what asks for the key"
    )]
    WouldDeadlock {
        /// The key's name.
        key: &'static str,
        /// Who waits for whom.
        circle: Circle,
    },
    /// The future that initialised it was dropped before it was ready. Those who wait begin anew instead of being told
    /// this.
    #[error("the future that initialised \"{key}\" was dropped before it was ready; ask again")]
    Abandoned {
        /// The key's name.
        key: &'static str,
    },
    /// The place that was to own the value has ended, or was asked to stop.
    #[error("the place that was to own \"{key}\" has ended or was asked to stop; ask at a place that is open")]
    OwnerGone {
        /// The key's name.
        key: &'static str,
    },
    /// The initialiser was not ready in time. It goes on, and a later call finds its value.
    #[error("the initialiser of \"{key}\" was not ready in time; it goes on, so ask again later, or wait longer")]
    TimedOut {
        /// The key's name.
        key: &'static str,
    },
    /// Whoever waited was asked to stop. The initialiser goes on.
    #[error("the wait for \"{key}\" was cancelled, because the waiting task or thread was asked to stop")]
    Cancelled {
        /// The key's name.
        key: &'static str,
    },
    /// The caller does not stand at or below the place that was to own the value.
    #[error(
        "\"{key}\" can be initialised at {owner} only by what stands there or below, and the caller stands at {place}"
    )]
    NotBelow {
        /// The key's name.
        key: &'static str,
        /// The place that was to own the value, in words.
        owner: String,
        /// Where the caller stands, in words.
        place: String,
    },
    /// The value would be that of one place alone ([`isolated`](crate::Heirloom::isolated),
    /// [`fresh`](crate::Heirloom::fresh)), and the code shares its thread with other code and has no place of its own.
    #[error(
        "\"{key}\" has a value for each place, and {}, or ask at `Lineage::process()` if the whole process is meant",
        NO_PLACE
    )]
    NoPlace {
        /// The key's name.
        key: &'static str,
    },
    /// The key was sealed before the value was ready, so nothing more is bound.
    #[error("\"{key}\" is sealed, so nothing more is bound; initialise it before `seal` is called")]
    Sealed {
        /// The key's name.
        key: &'static str,
    },
}

impl InitError {
    /// The key's name.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Failed { key, .. }
            | Self::Panicked { key, .. }
            | Self::Reentrant { key }
            | Self::Abandoned { key }
            | Self::WouldDeadlock { key, .. }
            | Self::OwnerGone { key }
            | Self::TimedOut { key }
            | Self::Cancelled { key }
            | Self::NotBelow { key, .. }
            | Self::NoPlace { key }
            | Self::Sealed { key } => key,
        }
    }

    /// The initialiser's own error, when it returned one.
    #[must_use]
    pub fn as_failed(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(&**error),
            _ => None,
        }
    }
}
