//! [`Cancelled`]: the running code was cancelled, for a [`CancelReason`], at one place.

use std::fmt;

use crate::error::kind::ErrorKind;
use crate::sync::os::Arc;

/// The running task or thread was cancelled, or its node, or a node above that.
///
/// Returned by [`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep) and the joins that pass cancel requests on.
/// It is an ordinary error, to be passed up with `?`: the task ends by returning. It is one word, and says why the request
/// was made and where: a server answers 504 to a [`Deadline`](CancelReason::Deadline), and nothing to a client that has
/// disconnected.
///
/// ```
/// use heirloom::{CancelReason, Scope};
///
/// let request = Scope::new("request 7");
/// let _at = request.enter();
/// request.cancel();
/// let cancelled = heirloom::checkpoint().unwrap_err();
/// let cancelled = cancelled.as_cancelled().unwrap();
/// assert_eq!(cancelled.reason(), CancelReason::Request);
/// assert!(cancelled.at().ends_with("\"request 7\"")); // such as: scope 12 "request 7"
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cancelled(Arc<Cause>);

#[derive(PartialEq, Eq, Hash)]
struct Cause {
    reason: CancelReason,
    at: Box<str>,
}

/// Why a cancel request was made.
///
/// Of several requests at one node, the first one that is not acknowledged gives its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// Code called a `cancel`: of a scope, a handle, a pool or a node.
    Request,
    /// The owner of the work ended: a scope was dropped or its future was, a daemon pool or a scope above its tasks was
    /// closed, or the thread of a local pool left it.
    OwnerEnd,
    /// The deadline of a scope or of a task has passed.
    Deadline,
    /// The family was shut down, or the process ends.
    Shutdown,
}

impl CancelReason {
    /// Returns the reason as one word in lower case, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::OwnerEnd => "owner_end",
            Self::Deadline => "deadline",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Cancelled {
    /// Makes the error. Allocates twice, since few checks return it.
    #[cold]
    pub(crate) fn new(reason: CancelReason, at: impl fmt::Display) -> Self {
        Self(Arc::new(Cause { reason, at: at.to_string().into() }))
    }

    /// Returns why the request was made.
    #[must_use]
    pub fn reason(&self) -> CancelReason {
        self.0.reason
    }

    /// Returns where the request was made, in words: the nearest cancelled scope, thread or task at or above the code, or
    /// its pool.
    ///
    /// For messages and logs; the words are those of a [`Lineage`](crate::Lineage)'s `Display`.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.0.at
    }

    /// Returns the kind of an error that a cancel may have caused: that of a deadline, or `otherwise`.
    pub(super) fn kind_of(cause: Option<&Self>, otherwise: ErrorKind) -> ErrorKind {
        match cause.map(Self::reason) {
            Some(CancelReason::Deadline) => ErrorKind::DeadlineExceeded,
            _ => otherwise,
        }
    }

    /// Returns the cause of an end in brackets, for the texts of errors.
    pub(super) fn in_brackets(cause: Option<&Self>) -> impl fmt::Display + '_ {
        InBrackets(cause)
    }

    /// Returns the reason and the place as a clause.
    pub(crate) fn why(&self) -> impl fmt::Display + '_ {
        Why(&self.0)
    }
}

struct Why<'a>(&'a Cause);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cause { reason, at } = self.0;
        match reason {
            CancelReason::Request => write!(f, "a cancel request was made at {at}"),
            CancelReason::OwnerEnd => write!(f, "{at} has ended"),
            CancelReason::Deadline => write!(f, "the deadline of {at} has passed"),
            CancelReason::Shutdown => write!(f, "{at} was shut down"),
        }
    }
}

struct InBrackets<'a>(Option<&'a Cancelled>);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // The text says already that the owner has ended.
            Some(cause) if cause.reason() != CancelReason::OwnerEnd => write!(f, " ({})", cause.why()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cancelled: {}; pass this up", self.why())
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("reason", &self.0.reason).field("at", &self.0.at).finish()
    }
}

impl std::error::Error for Cancelled {}
