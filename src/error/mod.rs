//! The errors, one file per operation, and [`Error`], their sum.
//!
//! The files hold words only, so that every room can name its errors: they import names, and nothing that runs. Each
//! message names the manager, scope or key, and names the remedy.

/// Defines an enum of other errors, which prints and converts as they do.
macro_rules! sum {
    (
        $(#[$attribute:meta])*
        pub enum $sum:ident {
            $($(#[doc = $doc:literal])* $(#[cfg($cfg:meta)])? $variant:ident($error:ty),)*
        }
    ) => {
        $(#[$attribute])*
        pub enum $sum {
            $($(#[doc = $doc])* $(#[cfg($cfg)] #[cfg_attr(docsrs, doc(cfg($cfg)))])? $variant($error),)*
        }

        impl std::fmt::Display for $sum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(error) => error.fmt(f),)*
                }
            }
        }

        impl std::error::Error for $sum {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(error) => error.source(),)*
                }
            }
        }

        $($(#[cfg($cfg)])? impl From<$error> for $sum {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

pub(crate) mod busy;
pub(crate) mod cancelled;
pub(crate) mod circle;
pub(crate) mod gate;
#[cfg(feature = "tokio")]
pub(crate) mod join;
pub(crate) mod lookup;
mod no_place;
#[cfg(feature = "tokio")]
pub(crate) mod portal;
pub(crate) mod refused;
#[cfg(feature = "tokio")]
pub(crate) mod spawn;
pub(crate) mod stack;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod submit;
pub(crate) mod task;
pub(crate) mod task_type;
pub(crate) mod timed_out;
pub(crate) mod value;
pub(crate) mod worker_init;

pub use self::busy::{Busy, Holder};
pub use self::cancelled::{CancelReason, Cancelled};
pub use self::circle::{Circle, Link, WouldDeadlock};
pub use self::gate::EnterError;
#[cfg(feature = "tokio")]
pub use self::join::JoinError;
pub use self::lookup::ManagerNotFound;
#[cfg(feature = "tokio")]
pub use self::portal::PortalError;
pub use self::refused::Refused;
#[cfg(feature = "tokio")]
pub use self::spawn::SpawnError;
pub use self::start::{StartError, StartErrorKind};
pub use self::stop::StopError;
pub use self::submit::{SubmitError, SubmitErrorKind};
pub use self::task::TaskError;
pub use self::task_type::UnknownTaskType;
pub use self::timed_out::TimedOut;
pub use self::value::{BindError, InitError, NotBound};

sum! {
    /// Any error of this crate, for a program that passes errors up with `?` and decides about them at one place.
    ///
    /// Every error of the crate converts into it, and it prints as the error that it holds. The details are in the
    /// variants. An enum of the caller's own takes all of them with one variant `#[from] heirloom::Error`, and with
    /// `heirloom::Error::from` where two conversions are needed.
    ///
    /// If the enum has no other foreign `#[from]`, one impl is enough, and `?` converts each of them at once. Beside a
    /// `From<std::io::Error>`, say, the compiler refuses that impl (E0119).
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
    /// A handler of a server chooses its answer by the error's [cause](Self::is_cancelled):
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
    /// assert!(error.is_cancelled()); // so no client waits for an answer
    /// # Ok::<(), Error>(())
    /// ```
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Error {
        /// No manager has that name at the node asked or above.
        ManagerNotFound(ManagerNotFound),
        /// A pool was not started.
        Start(StartError),
        /// A task was not accepted.
        Submit(SubmitError),
        /// A task gave no value.
        Task(TaskError),
        /// A stop, a wait or another end was refused.
        Stop(StopError),
        /// The running code was cancelled.
        Cancelled(Cancelled),
        /// No value is bound at the node asked or above.
        NotBound(NotBound),
        /// A value was not bound.
        Bind(BindError),
        /// An initialiser gave no value.
        Init(InitError),
        /// A gate was held by another holder.
        Busy(Busy),
        /// A pool takes another type of task.
        UnknownTaskType(UnknownTaskType),
        /// No task of a set, or not the next one of a map, finished in time.
        TimedOut(TimedOut),
        /// A portal gave no result.
        #[cfg(feature = "tokio")]
        Portal(PortalError),
        /// A future or a job was not spawned.
        #[cfg(feature = "tokio")]
        Spawn(SpawnError),
        /// A spawned future or job gave no value.
        #[cfg(feature = "tokio")]
        Join(JoinError),
    }
}

impl Error {
    /// Whether a cancel or an end caused the error: of the failed code, of the task or value that it waited for, or of
    /// the scope that they belong to. In a server the cause is a client that has gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Task(error) => {
                let left_the_gate = error.as_busy().is_some_and(|busy| busy.cancelled);
                error.is_cancelled() || left_the_gate || error.as_refused().is_some_and(ends)
            }
            Self::Submit(error) => ends(error),
            Self::Start(error) => matches!(error.kind(), StartErrorKind::ScopeEnded { .. }),
            Self::Bind(error) => matches!(error, BindError::OwnerGone { .. }),
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

    /// The waits that hold each other up, when the error refused a wait that would never end.
    #[must_use]
    pub fn circle(&self) -> Option<&Circle> {
        match self {
            Self::Task(error) => {
                let refused = || error.as_refused().and_then(circle_of_submit);
                let busy = || error.as_busy().and_then(|busy| busy.circle.as_ref());
                error.as_deadlock().or_else(refused).or_else(busy)
            }
            Self::Start(error) => match error.kind() {
                StartErrorKind::WouldDeadlock { circle } => Some(circle),
                _ => None,
            },
            Self::Submit(error) => circle_of_submit(error),
            Self::Stop(StopError::WouldDeadlock { circle, .. })
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

    /// Whether the same call can work later: a queue was full, a gate was held, a value or a worker was not ready, or
    /// the system refused a thread.
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

/// The submitter was cancelled, or its scope has ended.
fn ends(error: &SubmitError) -> bool {
    matches!(error.kind(), SubmitErrorKind::Cancelled | SubmitErrorKind::ScopeEnded { .. })
}

fn circle_of_submit(error: &SubmitError) -> Option<&Circle> {
    match error.kind() {
        SubmitErrorKind::WouldDeadlock { circle } => Some(circle),
        _ => None,
    }
}

/// The value's owner has ended, or the waiter was cancelled.
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
