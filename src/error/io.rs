//! [`Error`] as a [`std::io::Error`].

use std::io;

use crate::error::{Error, ErrorKind};

/// For closures whose own error is that of `std::io`, such as [`call`](crate::call)'s. The kind is
/// [`TimedOut`](io::ErrorKind::TimedOut) for a time limit or a deadline and [`Other`](io::ErrorKind::Other) for all else;
/// [`io::Error::downcast`] returns the error.
///
/// ```
/// let missing = heirloom::call("nowhere", || std::fs::read("Cargo.toml")).join().unwrap_err();
/// let missing = missing.downcast::<heirloom::Error>().unwrap();
/// assert!(matches!(missing, heirloom::Error::ManagerNotFound(_)));
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::DeadlineExceeded => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
