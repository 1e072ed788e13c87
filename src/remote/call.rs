//! [`call_job`]: find, send and wait in one.

use crate::error::Error;
use crate::names::namespace::Namespace;
use crate::pool::handle::call::Call;
use crate::registry::find::with;
use crate::registry::manager::PoolManager;
use crate::remote::job::Job;

/// Finds a manager by name, sends a job, and returns the wait for its result.
///
/// The form of [`call`](crate::call()) for a [`Job`] whose output is a `Result`: one error for the look-up, the
/// [send](PoolManager::send), the job's way and the job itself. That is the error of the output, into which [`Error`] converts, and
/// which travels: `heirloom::Error` itself, or an enum with a `#[from] heirloom::Error`; see [`RemoteError`](crate::RemoteError).
///
/// Never blocks. The returned [`Call`] waits, by [`join`](Call::join) or as a future, and its drop cancels the job, wherever it
/// runs.
///
/// ```
/// use heirloom::remote::{self, Job};
/// use heirloom::{Error, PoolConfig};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Words {
///     text: String,
/// }
///
/// impl Job for Words {
///     const NAME: &'static str = "words";
///     type Output = Result<usize, Error>;
///
///     fn run(self) -> Self::Output {
///         heirloom::checkpoint()?;
///         Ok(self.text.split_whitespace().count())
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// heirloom::create("words").start(PoolConfig::leased(2))?; // or `PoolConfig::remote`
/// let one = remote::call_job("words", Words { text: "a b".into() });
/// let two = remote::call_job("words", Words { text: "c".into() }); // both are under way
/// assert_eq!(one.join()? + two.join()?, 3); // or `.await`
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// None here: a look-up that finds nothing and a refusal are errors of the returned call.
pub fn call_job<J, T, E>(ns: impl Into<Namespace>, job: J) -> Call<T, E>
where
    J: Job<Output = Result<T, E>>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    with(ns, |manager| manager.call_job(job)).unwrap_or_else(|missing| Call::new(Err(missing)))
}

impl PoolManager {
    /// Sends a job, and returns the wait for its result: [`send`](Self::send) and [`join`](crate::TaskHandle::join) with one error.
    ///
    /// For a job whose output is a `Result`, in a pool of any kind. The error is the output's own, into which [`Error`] converts;
    /// see [`remote::call_job`](crate::remote::call_job). Never blocks.
    ///
    /// # Errors
    /// None here: a refusal is the error of the returned call.
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    pub fn call_job<J, T, E>(&self, job: J) -> Call<T, E>
    where
        J: Job<Output = Result<T, E>>,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        Call::submit(|| self.send(job))
    }
}
