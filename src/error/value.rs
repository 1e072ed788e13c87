//! The errors of values: [`NotBound`], [`BindError`] and [`InitError`].

use std::error::Error;
use std::fmt;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::error::no_place::NO_PLACE;
use crate::names::id::NodeId;
use crate::sync::os::Arc;

/// No value of this key is bound at the node asked or at any node above it.
#[derive(Debug, Clone)]
pub struct NotBound(Box<Missing>);

#[derive(Debug, Clone)]
struct Missing {
    key: &'static str,
    place: String,
    place_id: NodeId,
    cause: Option<InitError>,
    /// The look-up searched the node asked alone.
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

    /// The node asked, in words.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The id of the node asked.
    #[must_use]
    pub fn place_id(&self) -> NodeId {
        self.0.place_id
    }

    /// Why a value for the node alone could not be made ([`fresh`](crate::Heirloom::fresh)) or looked up
    /// ([`isolated`](crate::Heirloom::isolated)); `None` when no value was bound.
    #[must_use]
    pub fn init_error(&self) -> Option<&InitError> {
        self.0.cause.as_ref()
    }

    pub(super) fn kind(&self) -> ErrorKind {
        self.init_error().map_or(ErrorKind::NotBound, InitError::kind)
    }
}

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Missing { key, place, cause, .. } = &*self.0;
        match cause {
            None if self.0.isolated => write!(
                f,
                "no value of \"{key}\" is bound at {place} itself, and it is not inherited; `bind` one at that very node"
            ),
            None => write!(
                f,
                "no value of \"{key}\" is bound at {place}, or at a node that it could be inherited from; `bind` one, or \
                 ask with `get_or_init`"
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// The node has a value already.
    AlreadyBound {
        /// The key's name.
        key: &'static str,
        /// The node, in words.
        place: String,
    },
    /// The key was sealed.
    Sealed {
        /// The key's name.
        key: &'static str,
    },
    /// The scope, thread or task has ended.
    OwnerGone {
        /// The key's name.
        key: &'static str,
        /// The node, in words.
        place: String,
        /// The cancel that ended it, such as its deadline; `None` when it ended without one.
        cause: Option<Cancelled>,
    },
    /// The code shares its thread with other code (it is a runtime's future, or runs on a thread that was
    /// [marked](crate::thread::mark_shared)) and has no node of its own, so the value would have no owner.
    NoPlace {
        /// The key's name.
        key: &'static str,
    },
}

impl BindError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::AlreadyBound { .. } => ErrorKind::AlreadyBound,
            Self::Sealed { .. } => ErrorKind::Sealed,
            Self::OwnerGone { cause, .. } => Cancelled::kind_of(cause.as_ref(), ErrorKind::ScopeEnded),
            Self::NoPlace { .. } => ErrorKind::NoPlace,
        }
    }

    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::OwnerGone { cause, .. } => cause.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        match self {
            Self::AlreadyBound { key, place } => {
                write!(f, "\"{key}\" is bound at {place} already; `unbind` that one first, or replace it with `bind`")
            }
            Self::Sealed { key } => {
                write!(f, "\"{key}\" is sealed, so nothing more is bound; bind before `seal` is called")
            }
            Self::OwnerGone { key, place, cause } => write!(
                f,
                "\"{key}\" cannot be bound at {place}, which has ended{}; bind at a node that is open",
                Cancelled::in_brackets(cause.as_ref())
            ),
            Self::NoPlace { key } => write!(
                f,
                "\"{key}\" cannot be bound here: {}, or bind at `Lineage::process()` if the whole process is meant",
                NO_PLACE
            ),
        }
    }
}

impl Error for BindError {}

/// Why an initialiser gave no value. All callers that wait for one run get the same error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum InitError {
    /// The initialiser returned an error. The next call tries again, unless the key keeps failures.
    Failed {
        /// The key's name.
        key: &'static str,
        /// The initialiser's error.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// The initialiser panicked, on the thread of another caller. The next call tries again.
    Panicked {
        /// The key's name.
        key: &'static str,
        /// The panic's text.
        message: String,
    },
    /// The key was asked for inside of its own initialiser, on the same thread. An initialiser that passes this error
    /// up fails with it: its callers see [`Failed`](Self::Failed), with this as [`as_failed`](Self::as_failed).
    Reentrant {
        /// The key's name.
        key: &'static str,
    },
    /// The wait would never end, because the initialiser itself waits, directly or through others, for the caller. The
    /// refused wait may be one inside that initialiser, which then may fail with it, as with
    /// [`Reentrant`](Self::Reentrant).
    WouldDeadlock {
        /// The key's name.
        key: &'static str,
        /// The waits that hold each other up.
        circle: Circle,
    },
    /// The future that initialised the value was dropped before it was ready. Waiters start a new run instead of
    /// returning this.
    Abandoned {
        /// The key's name.
        key: &'static str,
    },
    /// The node that was to own the value has ended, or was cancelled.
    OwnerGone {
        /// The key's name.
        key: &'static str,
        /// The cancel, such as the node's deadline; `None` when the node ended without one.
        cause: Option<Cancelled>,
    },
    /// The initialiser was not ready in time. The run goes on, and a later call finds its value.
    TimedOut {
        /// The key's name.
        key: &'static str,
    },
    /// The waiter was cancelled. The initialiser goes on.
    Cancelled {
        /// The key's name.
        key: &'static str,
        /// The reason and the place of the cancel.
        cause: Cancelled,
    },
    /// The caller does not stand at or below the node that was to own the value.
    NotBelow {
        /// The key's name.
        key: &'static str,
        /// The node that was to own the value, in words.
        owner: String,
        /// The caller's node, in words.
        place: String,
    },
    /// The value would be that of one node alone ([`isolated`](crate::Heirloom::isolated),
    /// [`fresh`](crate::Heirloom::fresh)), and the code shares its thread with other code and has no node of its own.
    NoPlace {
        /// The key's name.
        key: &'static str,
    },
    /// The key was sealed before the value was ready, so nothing more is bound.
    Sealed {
        /// The key's name.
        key: &'static str,
    },
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        match self {
            Self::Failed { key, error } => write!(
                f,
                "the initialiser of \"{key}\" failed: {error}; correct that and ask again, after `forget` where the key keeps \
                 failures"
            ),
            Self::Panicked { key, message } => {
                write!(f, "the initialiser of \"{key}\" panicked: {message}; correct that, the next call runs it again")
            }
            Self::Reentrant { key } => write!(
                f,
                "\"{key}\" is asked for inside of its own initialiser; pass the value in instead of asking for the key there"
            ),
            Self::WouldDeadlock { key, circle } => write!(
                f,
                "the wait for \"{key}\" would never end: {circle}; pass the initialiser its input instead of having it wait for code \
                 that asks for the key"
            ),
            Self::Abandoned { key } => {
                write!(f, "the future that initialised \"{key}\" was dropped before it was ready; ask again")
            }
            Self::OwnerGone { key, cause } => write!(
                f,
                "the node that was to own \"{key}\" has ended or was cancelled{}; ask at a node that is open",
                Cancelled::in_brackets(cause.as_ref())
            ),
            Self::TimedOut { key } => write!(
                f,
                "the initialiser of \"{key}\" was not ready in time; it goes on, so ask again later, or wait longer"
            ),
            Self::Cancelled { key, cause } => {
                write!(f, "the wait for \"{key}\" was cancelled: {}; pass this up", cause.why())
            }
            Self::NotBelow { key, owner, place } => write!(
                f,
                "\"{key}\" can be initialised at {owner} only by code that stands there or below, and the caller stands at {place}; \
                 ask at a node above the caller, or enter the owner first"
            ),
            Self::NoPlace { key } => write!(
                f,
                "\"{key}\" has a value for each node, and {}, or ask at `Lineage::process()` if the whole process is meant",
                NO_PLACE
            ),
            Self::Sealed { key } => {
                write!(f, "\"{key}\" is sealed, so nothing more is bound; initialise it before `seal` is called")
            }
        }
    }
}

impl Error for InitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(&**error),
            _ => None,
        }
    }
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
            | Self::OwnerGone { key, .. }
            | Self::TimedOut { key }
            | Self::Cancelled { key, .. }
            | Self::NotBelow { key, .. }
            | Self::NoPlace { key }
            | Self::Sealed { key } => key,
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Failed { .. } => ErrorKind::InitFailed,
            Self::Panicked { .. } => ErrorKind::Panicked,
            Self::Reentrant { .. } => ErrorKind::Reentrant,
            Self::WouldDeadlock { .. } => ErrorKind::WouldDeadlock,
            Self::Abandoned { .. } => ErrorKind::Abandoned,
            Self::OwnerGone { cause, .. } => Cancelled::kind_of(cause.as_ref(), ErrorKind::ScopeEnded),
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Cancelled { cause, .. } => Cancelled::kind_of(Some(cause), ErrorKind::Cancelled),
            Self::NotBelow { .. } => ErrorKind::NotBelow,
            Self::NoPlace { .. } => ErrorKind::NoPlace,
            Self::Sealed { .. } => ErrorKind::Sealed,
        }
    }

    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::OwnerGone { cause, .. } => cause.as_ref(),
            Self::Cancelled { cause, .. } => Some(cause),
            _ => None,
        }
    }

    pub(super) fn panic_message(&self) -> Option<&str> {
        match self {
            Self::Panicked { message, .. } => Some(message),
            _ => None,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match self {
            Self::WouldDeadlock { circle, .. } => Some(circle),
            _ => None,
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
