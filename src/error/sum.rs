//! [`Error`]: the error of every verb of this crate.

use std::any::Any;
use std::fmt;

use crate::error::busy::Busy;
use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::join::JoinError;
use crate::error::kind::ErrorKind;
use crate::error::lookup::ManagerNotFound;
#[cfg(feature = "tokio")]
use crate::error::portal::PortalError;
use crate::error::spawn::SpawnError;
use crate::error::start::StartError;
use crate::error::stop::StopError;
use crate::error::submit::SubmitError;
use crate::error::task::TaskError;
use crate::error::task_type::UnknownTaskType;
use crate::error::timed_out::TimedOut;
#[cfg(feature = "remote")]
use crate::error::travelled::RemoteError;
use crate::error::value::{BindError, InitError, NotBound};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;

/// Defines the enum, with `From` and a borrow for each variant. A detail larger than a pointer is boxed in its variant.
macro_rules! errors {
    (
        $(#[$attribute:meta])*
        pub enum Error {
            $($(#[doc = $doc:literal])* $(#[cfg($cfg:meta)])? $variant:ident($held:ty) from $error:ty $(, $borrow:ident)?;)*
        }
    ) => {
        $(#[$attribute])*
        pub enum Error {
            $($(#[doc = $doc])* $(#[cfg($cfg)] #[cfg_attr(docsrs, doc(cfg($cfg)))])? $variant($held),)*
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(error) => error.fmt(f),)*
                }
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant(error) => error.source(),)*
                }
            }
        }

        $(
            $(#[cfg($cfg)])?
            impl From<$error> for Error {
                #[cold]
                fn from(error: $error) -> Self {
                    Self::$variant(error.into())
                }
            }
        )*

        impl Error {
            $($(#[cfg($cfg)])? borrow!($variant: $error, $($borrow)?);)*
        }
    };
}

macro_rules! borrow {
    ($variant:ident: $error:ty,) => {};
    ($variant:ident: $error:ty, $borrow:ident) => {
        #[doc = concat!("Returns the details of [`", stringify!($variant), "`](Self::", stringify!($variant), ").")]
        #[must_use]
        pub fn $borrow(&self) -> Option<&$error> {
            match self {
                Self::$variant(error) => Some(error),
                _ => None,
            }
        }
    };
}

errors! {
    /// The error of every verb of this crate.
    ///
    /// It is two words, prints as the detail that it holds, and names the remedy. [`kind`](Self::kind) is the reason in
    /// one word, and [`is_cancelled`](Self::is_cancelled), [`is_temporary`](Self::is_temporary) and
    /// [`is_panic`](Self::is_panic) answer the usual questions. The details are in the variants: match them, or borrow
    /// one with [`as_submit`](Self::as_submit), [`as_task`](Self::as_task) and so on.
    ///
    /// # In an enum of the caller's own
    ///
    /// One `#[from] heirloom::Error` is all that `?` needs, beside as many others:
    ///
    /// ```
    /// use heirloom::PoolConfig;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// enum AppError {
    ///     #[error(transparent)]
    ///     Pools(#[from] heirloom::Error),
    ///     #[error(transparent)]
    ///     Files(#[from] std::io::Error),
    /// }
    ///
    /// fn length(file: &'static str) -> Result<usize, AppError> {
    ///     let files = heirloom::get_or_start("files", || PoolConfig::leased(2))?;
    ///     let text = files.submit(move || std::fs::read(file))?.join()??; // the pool's error, and the file's
    ///     Ok(text.len())
    /// }
    ///
    /// assert!(length("Cargo.toml")? > 0);
    /// assert!(matches!(length("no such file"), Err(AppError::Files(_))));
    /// # Ok::<(), AppError>(())
    /// ```
    ///
    /// # In a server
    ///
    /// A handler chooses its answer by the kind. `examples/errors.rs` does so in axum's `IntoResponse`:
    ///
    /// ```
    /// use heirloom::{Error, ErrorKind};
    ///
    /// fn status(error: &Error) -> u16 {
    ///     match error.kind() {
    ///         ErrorKind::DeadlineExceeded | ErrorKind::TimedOut => 504,
    ///         _ if error.is_cancelled() => 499, // the client has gone, so no client waits for an answer
    ///         _ if error.is_temporary() => 503, // with `Retry-After`: a queue is full, or a gate held
    ///         _ => 500,
    ///     }
    /// }
    ///
    /// let request = heirloom::Scope::new("request 7");
    /// request.cancel(); // the client has gone
    /// let error = request.run(|| heirloom::checkpoint()).unwrap_err();
    /// assert_eq!(status(&error), 499);
    /// ```
    ///
    /// # In a program
    ///
    /// It converts into `Box<dyn std::error::Error + Send + Sync>`, `anyhow::Error` and `eyre::Report` by `?`, and
    /// `downcast_ref::<heirloom::Error>()` finds it there. A `main` that calls nothing else returns it as it is:
    ///
    /// ```
    /// fn main() -> Result<(), heirloom::Error> {
    ///     heirloom::create("work").start(heirloom::PoolConfig::leased(2))?;
    ///     assert_eq!(heirloom::get("work")?.submit(|| 6 * 7)?.join()?, 42);
    ///     Ok(())
    /// }
    /// ```
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Error {
        /// No manager has that name at the node asked or above.
        ManagerNotFound(Box<ManagerNotFound>) from ManagerNotFound, as_manager_not_found;
        /// A pool was not started.
        Start(StartError) from StartError, as_start;
        /// A task was not accepted.
        Submit(SubmitError) from SubmitError, as_submit;
        /// A task gave no value.
        Task(TaskError) from TaskError, as_task;
        /// A stop, a wait or another end was refused.
        Stop(Box<StopError>) from StopError, as_stop;
        /// The running code was cancelled.
        Cancelled(Cancelled) from Cancelled;
        /// No value is bound at the node asked or above.
        NotBound(NotBound) from NotBound, as_not_bound;
        /// A value was not bound.
        Bind(Box<BindError>) from BindError, as_bind;
        /// An initialiser gave no value.
        Init(Box<InitError>) from InitError;
        /// A gate was held by another holder.
        Busy(Box<Busy>) from Busy;
        /// A pool takes another type of task.
        UnknownTaskType(Box<UnknownTaskType>) from UnknownTaskType, as_unknown_task_type;
        /// No task of a set, or not the next one of a map, finished in time.
        TimedOut(TimedOut) from TimedOut, as_timed_out;
        /// A thread, or a spawned future or job, gave no value.
        Join(JoinError) from JoinError, as_join;
        /// A thread, a future or a job was not started.
        Spawn(Box<SpawnError>) from SpawnError, as_spawn;
        /// A portal ran no future, or the wait for one was refused.
        #[cfg(feature = "tokio")]
        Portal(Box<PortalError>) from PortalError, as_portal;
        /// An error of this crate in another process, which travelled with the output of a job.
        #[cfg(feature = "remote")]
        Remote(Box<RemoteError>) from RemoteError, as_remote;
    }
}

const _: () = assert!(size_of::<Error>() <= 2 * size_of::<usize>());

impl Error {
    /// Returns the reason in one word.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ManagerNotFound(_) => ErrorKind::NotFound,
            Self::Start(error) => error.flat(),
            Self::Submit(error) => error.flat(),
            Self::Task(error) => error.kind(),
            Self::Stop(error) => error.kind(),
            Self::Cancelled(error) => Cancelled::kind_of(Some(error), ErrorKind::Cancelled),
            Self::NotBound(error) => error.kind(),
            Self::Bind(error) => error.kind(),
            Self::Init(error) => error.kind(),
            Self::Busy(error) => error.kind(),
            Self::UnknownTaskType(_) => ErrorKind::WrongType,
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::Join(error) => error.kind(),
            Self::Spawn(error) => error.kind(),
            #[cfg(feature = "tokio")]
            Self::Portal(error) => error.kind(),
            #[cfg(feature = "remote")]
            Self::Remote(error) => error.kind(),
        }
    }

    /// Whether a cancel or an end caused the error: of the failed code, of the task or value that it waited for, or of
    /// the scope that they belong to. In a server the client has gone, its deadline has passed, or the server shuts down:
    /// the reason of [`as_cancelled`](Self::as_cancelled) tells which.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.kind().is_cancelled()
    }

    /// Whether the same call can work later: a queue was full, a gate was held, a value or a worker was not ready, tasks
    /// of the last start had not finished, or the system refused a thread.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.kind().is_temporary()
    }

    /// Whether a task, a thread, spawned work or the initialiser of a value panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.kind() == ErrorKind::Panicked
    }

    /// Returns the panic's message, when the payload is a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            Self::Task(error) => error.panic_message(),
            Self::Join(error) => error.panic_message(),
            Self::Init(error) => error.panic_message(),
            #[cfg(feature = "remote")]
            Self::Remote(error) => error.panic_message(),
            _ => None,
        }
    }

    /// Returns the payload of a panic, to be inspected or resumed with `std::panic::resume_unwind`.
    ///
    /// # Errors
    /// The error itself, when no task, thread, future or job panicked. An initialiser's panic has its payload on the
    /// thread that ran it, and the panic behind a `RemoteError` in its process.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, Error> {
        match self {
            Self::Task(error) => error.into_panic().map_err(Self::Task),
            Self::Join(error) => error.into_panic().map_err(Self::Join),
            error => Err(error),
        }
    }

    /// Returns the reason and the place of the cancel behind the error: of the code, of its task or wait, or of the scope
    /// that the call needs. `None` where no cancel was made, or it is not known.
    #[must_use]
    pub fn as_cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::Cancelled(error) => Some(error),
            Self::Start(error) => error.cancelled(),
            Self::Submit(error) => error.cancelled(),
            Self::Task(error) => error.as_cancelled(),
            Self::Bind(error) => error.cancelled(),
            Self::Busy(error) => error.cancelled.as_ref(),
            Self::Spawn(error) => error.cancelled(),
            #[cfg(feature = "tokio")]
            Self::Join(error) => error.cancelled(),
            #[cfg(feature = "remote")]
            Self::Remote(error) => error.cancelled.as_ref(),
            _ => self.as_init().and_then(InitError::cancelled),
        }
    }

    /// Returns the gate and its holder, when another holder kept the code or its task out.
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match self {
            Self::Busy(error) => Some(error),
            Self::Task(error) => error.as_busy(),
            _ => None,
        }
    }

    /// Returns why an initialiser gave no value, also where a look-up ran it.
    #[must_use]
    pub fn as_init(&self) -> Option<&InitError> {
        match self {
            Self::Init(error) => Some(error),
            Self::NotBound(error) => error.init_error(),
            _ => None,
        }
    }

    /// Returns the waits that hold each other up, when the error refused a wait that would never end.
    #[must_use]
    pub fn circle(&self) -> Option<&Circle> {
        match self {
            Self::Start(error) => error.circle(),
            Self::Submit(error) => error.circle(),
            Self::Task(error) => error.circle(),
            Self::Stop(error) => error.circle(),
            Self::Busy(error) => error.circle.as_ref(),
            Self::Join(error) => error.circle(),
            #[cfg(feature = "tokio")]
            Self::Portal(error) => error.circle(),
            _ => self.as_init().and_then(InitError::circle),
        }
    }

    /// Returns the name of the manager that the error is about.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::ManagerNotFound(error) => Some(&error.namespace),
            Self::Start(error) => Some(error.namespace()),
            Self::Submit(error) => Some(error.namespace()),
            Self::Task(error) => Some(error.namespace()),
            Self::UnknownTaskType(error) => Some(&error.namespace),
            _ => None,
        }
    }

    /// Returns the id of the task that gave no value.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.as_task().map(TaskError::id)
    }
}
