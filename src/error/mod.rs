//! The errors, one file per operation, and [`Error`], their sum, which every verb returns.
//!
//! The files hold words only, so that every room can name its errors: they import names, and nothing that runs. Each
//! message names the manager, scope or key, and names the remedy.

pub(crate) mod busy;
pub(crate) mod cancelled;
pub(crate) mod circle;
mod io;
pub(crate) mod join;
pub(crate) mod kind;
pub(crate) mod lookup;
mod no_place;
#[cfg(feature = "tokio")]
pub(crate) mod portal;
pub(crate) mod refused;
#[cfg(feature = "remote")]
pub(crate) mod remote;
pub(crate) mod spawn;
pub(crate) mod stack;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod submit;
pub(crate) mod sum;
pub(crate) mod task;
pub(crate) mod task_type;
pub(crate) mod timed_out;
#[cfg(feature = "remote")]
mod travel;
#[cfg(feature = "remote")]
pub(crate) mod travelled;
pub(crate) mod value;
pub(crate) mod worker_init;

pub use self::busy::{Busy, Holder};
pub use self::cancelled::{CancelReason, Cancelled};
pub use self::circle::{Circle, Link};
pub use self::join::JoinError;
pub use self::kind::ErrorKind;
pub use self::lookup::ManagerNotFound;
#[cfg(feature = "tokio")]
pub use self::portal::PortalError;
pub use self::refused::Refused;
pub use self::spawn::SpawnError;
pub use self::start::{StartError, StartErrorKind};
pub use self::stop::StopError;
pub use self::submit::{SubmitError, SubmitErrorKind};
pub use self::sum::Error;
pub use self::task::TaskError;
pub use self::task_type::UnknownTaskType;
pub use self::timed_out::TimedOut;
#[cfg(feature = "remote")]
pub use self::travelled::RemoteError;
pub use self::value::{BindError, InitError, NotBound};
