//! [`RemoteError`]: an error of this crate as data, which travels with a job's output.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::cancelled::{CancelReason, Cancelled};
use crate::error::kind::ErrorKind;
use crate::sync::os::OnceLock;

/// An error of this crate that comes from another process: its kind, its text, and the cancel behind it.
///
/// [`Error`](crate::Error) serialises, and arrives as an [`Error::Remote`](crate::Error::Remote) with these. So the output of a
/// [job](crate::remote::Job) may be a `Result<T, heirloom::Error>`, or have the error in an enum of its own, and `?` works in the
/// job as it does elsewhere. [`kind`](crate::Error::kind), [`is_cancelled`](crate::Error::is_cancelled),
/// [`is_temporary`](crate::Error::is_temporary), [`as_cancelled`](crate::Error::as_cancelled) and
/// [`panic_message`](crate::Error::panic_message) answer as they did there. The other details stay in their process.
///
/// ```
/// use std::time::Duration;
/// use heirloom::remote::Job;
/// use heirloom::{Error, ErrorKind, PoolConfig, Scope};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// enum DrawError {
///     #[error(transparent)]
///     Pools(#[from] Error), // the same variant as in any error of a program
///     #[error("there is no page {0:?}")]
///     NoPage(String),
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Draw {
///     page: String,
/// }
///
/// impl Job for Draw {
///     const NAME: &'static str = "draw";
///     type Output = Result<u32, DrawError>;
///
///     fn run(self) -> Self::Output {
///         for _ in 0.. {
///             heirloom::checkpoint()?;
///             if self.page != "/" {
///                 return Err(DrawError::NoPage(self.page));
///             }
///         }
///         Ok(1)
///     }
/// }
/// # let engine = heirloom::remote::loopback();
/// # let scope = Scope::new("doc");
/// # let here = scope.create("draw-here");
/// # here.start(PoolConfig::leased(1))?;
/// # let serving = heirloom::remote::serve(engine.another().queue("draw"), &here).job::<Draw>().start()?;
/// # let pool = scope.create("draw");
/// # pool.start(PoolConfig::remote(1, engine.queue("draw")))?;
///
/// let missing = pool.call_job(Draw { page: "/x".into() }).join();
/// assert!(matches!(missing, Err(DrawError::NoPage(page)) if page == "/x"));
///
/// let late = pool.call_job(Draw { page: "/".into() }).timeout(Duration::from_millis(50)).join();
/// assert!(matches!(late, Err(DrawError::Pools(error)) if error.kind() == ErrorKind::DeadlineExceeded));
/// # serving.stop()?;
/// # Ok::<(), DrawError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    #[serde(default)]
    pub(super) panic: Option<String>,
    /// The name of a manager that was not found.
    #[serde(default)]
    pub(super) missing: Option<String>,
    /// The node of this process that has a manager of that name.
    #[serde(skip)]
    pub(super) found_at: Option<String>,
    #[serde(default, serialize_with = "write_cancel", deserialize_with = "read_cancel")]
    pub(super) cancelled: Option<Cancelled>,
}

/// Returns the node, in words, at which the running code finds a manager of this name. Set by code above that knows managers.
pub(crate) static FOUND_AT: OnceLock<fn(&str) -> Option<String>> = OnceLock::new();

impl RemoteError {
    /// Returns the reason in one word.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(super) fn panic_message(&self) -> Option<&str> {
        self.panic.as_deref()
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.found_at.iter().try_for_each(|at| {
            write!(
                f,
                "; this process has one at {at}: start one at the worker too, or use this one before the job is sent"
            )
        })
    }
}

impl std::error::Error for RemoteError {}

/// A cancel in a message. The reason is a text, so that an older version reads a newer one's.
#[derive(Serialize, Deserialize)]
struct Cancel {
    reason: String,
    at: String,
}

fn write_cancel<S: Serializer>(cause: &Option<Cancelled>, serializer: S) -> Result<S::Ok, S::Error> {
    let cancel = cause.as_ref().map(|cause| Cancel { reason: cause.reason().as_str().into(), at: cause.at().into() });
    cancel.serialize(serializer)
}

fn read_cancel<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cancelled>, D::Error> {
    let cancel = Option::<Cancel>::deserialize(deserializer)?;
    Ok(cancel.map(|Cancel { reason, at }| Cancelled::new(reason_of(&reason), at)))
}

fn reason_of(text: &str) -> CancelReason {
    let known = [CancelReason::OwnerEnd, CancelReason::Deadline, CancelReason::Shutdown];
    known.into_iter().find(|reason| reason.as_str() == text).unwrap_or(CancelReason::Request)
}
