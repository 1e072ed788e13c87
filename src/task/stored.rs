//! [`Stored`]: the value of a closure, as its task's cell keeps the value until the handle takes it.

use crate::error::TaskError;

/// The value of a closure, as its task's cell keeps the value until the handle takes it as a `T`.
pub(crate) trait Stored<T>: Sized {
    /// Returns the task's result, on the thread that takes it. May run user code.
    fn open(output: Result<Self, TaskError>) -> Result<T, TaskError>;
}

/// Each value is stored as what it is.
impl<T> Stored<T> for T {
    #[inline]
    fn open(output: Result<T, TaskError>) -> Result<T, TaskError> {
        output
    }
}

/// Data from which the thread that takes the result makes the result. An abandoned result is never made.
#[cfg(feature = "remote")]
pub(crate) struct Late<D, T> {
    data: D,
    make: fn(D) -> Result<T, TaskError>,
}

#[cfg(feature = "remote")]
impl<D, T> Late<D, T> {
    pub(crate) fn new(data: D, make: fn(D) -> Result<T, TaskError>) -> Self {
        Self { data, make }
    }
}

#[cfg(feature = "remote")]
impl<D, T> Stored<T> for Late<D, T> {
    fn open(output: Result<Self, TaskError>) -> Result<T, TaskError> {
        output.and_then(|late| (late.make)(late.data))
    }
}
