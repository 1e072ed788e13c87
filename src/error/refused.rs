//! [`Refused`]: a refused task, handed back with the reason.

use std::fmt;

use crate::error::sum::Error;

/// A task that was not accepted, handed back together with the reason.
///
/// In a function that returns [`Error`], `?` drops the closure and passes the reason up. In one that returns another
/// error, `submit` does that.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// let refused = pool.try_submit(|| 7).unwrap_err(); // not started
/// assert!(!refused.is_temporary());
/// let f = refused.into_task();
/// pool.start(PoolConfig::leased(1))?;
/// assert_eq!(pool.try_submit(f)?.join()?, 7);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Refused<F> {
    pub(crate) task: F,
    pub(crate) reason: Error,
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<F> std::error::Error for Refused<F> {}

impl<F> Refused<F> {
    /// Returns the closure, to submit it again or to run it elsewhere.
    #[must_use]
    pub fn into_task(self) -> F {
        self.task
    }

    /// Why the task was refused.
    #[must_use]
    pub fn reason(&self) -> &Error {
        &self.reason
    }

    /// Returns the closure and the reason.
    #[must_use]
    pub fn into_parts(self) -> (F, Error) {
        (self.task, self.reason)
    }

    /// Whether the same submit can work later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.reason.is_temporary()
    }
}

/// The closure is dropped.
impl<F> From<Refused<F>> for Error {
    fn from(refused: Refused<F>) -> Self {
        refused.reason
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}
