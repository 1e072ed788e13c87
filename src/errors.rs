//! [`Error`]: any error of this crate.

use crate::busy::Busy;
use crate::error::{Cancelled, Refused, StartError, StopError, SubmitError, TaskError, UnknownTaskType};
use crate::gate_key::EnterError;
#[cfg(feature = "tokio")]
use crate::integration::tokio::{JoinError, PortalError, SpawnError};
use crate::pool::handle::set::TimedOut;
use crate::registry::not_found::ManagerNotFound;
use crate::value::error::{BindError, InitError, NotBound};
use crate::wait::graph::Circle;

/// Any error of this crate, for a program that passes them up with `?` and asks at one place what to make of them.
///
/// Each of them converts into it, and it prints as it. What only one knows is in its variant. An error of the caller's
/// own makes room for all of them with one variant `#[from] heirloom::Error`, and `heirloom::Error::from` where two
/// conversions are needed.
///
/// If your enum has no other foreign `#[from]`, one impl is enough, and `?` converts each of them at once. Beside a
/// `From<std::io::Error>`, say, the compiler refuses it (E0119).
///
/// ```
/// use heirloom::PoolConfig;
///
/// #[derive(Debug)]
/// enum AppError {
///     Pools(heirloom::Error),
///     TooLarge(u32),
/// }
///
/// impl<E: Into<heirloom::Error>> From<E> for AppError {
///     fn from(error: E) -> Self {
///         Self::Pools(error.into())
///     }
/// }
///
/// fn size(of: u32) -> Result<u32, AppError> {
///     let pool = heirloom::get_or_start("sizes", || PoolConfig::leased(1))?; // a `StartError`
///     let checked = pool.submit(move || heirloom::checkpoint().map(|()| of))?; // a `SubmitError`
///     match checked.join()?? { // a `TaskError`, and a `Cancelled`
///         size @ ..=100 => Ok(size),
///         size => Err(AppError::TooLarge(size)),
///     }
/// }
///
/// assert_eq!(size(7).unwrap(), 7);
/// assert!(matches!(size(700), Err(AppError::TooLarge(700))));
/// let missing = heirloom::get("nowhere").map_err(AppError::from).unwrap_err();
/// assert!(matches!(missing, AppError::Pools(heirloom::Error::ManagerNotFound(_))));
/// ```
///
/// A handler of a server answers by what an error [is](Self::is_cancelled):
///
/// ```
/// use heirloom::{Error, PoolConfig, Scope};
///
/// fn page() -> Result<String, Error> {
///     heirloom::create("render").start(PoolConfig::leased(1))?;
///     let lines = heirloom::get("render")?.submit(|| ["a", "b"].map(|line| heirloom::checkpoint().map(|()| line)))?.join()?;
///     let mut page = String::new();
///     for line in lines {
///         page.push_str(line?);
///     }
///     Ok(page)
/// }
///
/// let request = Scope::new("request 7");
/// assert_eq!(request.run(page)?, "ab");
/// request.cancel(); // the client has gone
/// let error = request.run(page).unwrap_err();
/// assert!(error.is_cancelled()); // so there is nobody to be told
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No manager has that name here or above.
    #[error(transparent)]
    ManagerNotFound(#[from] ManagerNotFound),
    /// A pool was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A task was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A task gave no value.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// An end or a wait was not carried out.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// The running code was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A value is bound nowhere here or above.
    #[error(transparent)]
    NotBound(#[from] NotBound),
    /// A value was not bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An initialiser gave no value.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A gate did not let in.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A pool takes another type of task.
    #[error(transparent)]
    UnknownTaskType(#[from] UnknownTaskType),
    /// No task of a set, or not the next one of a map, ended in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// A portal gave no result.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// A future or a job was not spawned.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A spawned future or job gave no value.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl Error {
    /// Somebody asked for an end: of the code that was told, of what it waited for, or of the scope that all of it
    /// belongs to. In a server that is the client that has gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Task(error) => {
                let left_the_gate = error.as_busy().is_some_and(|busy| busy.cancelled);
                error.is_cancelled() || left_the_gate || error.as_refused().is_some_and(ends)
            }
            Self::Submit(error) => ends(error),
            Self::Start(StartError::ScopeEnded { .. }) | Self::Bind(BindError::OwnerGone { .. }) => true,
            Self::Init(error) => gave_up(error),
            Self::NotBound(error) => error.init_error().is_some_and(gave_up),
            Self::Busy(busy) => busy.cancelled,
            #[cfg(feature = "tokio")]
            Self::Portal(error) => matches!(error, PortalError::Cancelled),
            #[cfg(feature = "tokio")]
            Self::Spawn(error) => matches!(error, SpawnError::ScopeEnded { .. }),
            #[cfg(feature = "tokio")]
            Self::Join(error) => error.is_cancelled(),
            _ => false,
        }
    }

    /// The wait would never have ended; then who waits for whom.
    #[must_use]
    pub fn circle(&self) -> Option<&Circle> {
        match self {
            Self::Task(error) => {
                let refused = || match error.as_refused() {
                    Some(SubmitError::WouldDeadlock { circle, .. }) => Some(circle),
                    _ => None,
                };
                let busy = || error.as_busy().and_then(|busy| busy.circle.as_ref());
                error.as_deadlock().or_else(refused).or_else(busy)
            }
            Self::Start(StartError::WouldDeadlock { circle, .. })
            | Self::Submit(SubmitError::WouldDeadlock { circle, .. })
            | Self::Stop(StopError::WouldDeadlock { circle, .. })
            | Self::Init(InitError::WouldDeadlock { circle, .. }) => Some(circle),
            Self::NotBound(error) => match error.init_error() {
                Some(InitError::WouldDeadlock { circle, .. }) => Some(circle),
                _ => None,
            },
            Self::Busy(busy) => busy.circle.as_ref(),
            #[cfg(feature = "tokio")]
            Self::Portal(PortalError::WouldDeadlock { circle }) => circle.as_ref(),
            _ => None,
        }
    }

    /// The same may work if it is tried again later: what was full or taken, or not ready, or refused by the system, is
    /// so for a time.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Start(error) => error.is_temporary(),
            Self::Submit(error) => error.is_temporary(),
            Self::Task(error) => error.is_temporary(),
            Self::Init(InitError::TimedOut { .. }) | Self::TimedOut(_) => true,
            Self::Busy(busy) => busy.opens(),
            _ => false,
        }
    }
}

/// The submitter was told to stop, or its scope to end.
fn ends(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Cancelled { .. } | SubmitError::ScopeEnded { .. })
}

/// The value's place has ended, or whoever waited for it was asked to stop.
fn gave_up(error: &InitError) -> bool {
    matches!(error, InitError::Cancelled { .. } | InitError::OwnerGone { .. })
}

/// The closure is dropped.
impl<F> From<Refused<F>> for Error {
    fn from(refused: Refused<F>) -> Self {
        Self::Submit(refused.into_parts().1)
    }
}

impl From<EnterError> for Error {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Busy(busy) => Self::Busy(busy),
            EnterError::Missing(missing) => Self::NotBound(missing),
        }
    }
}
