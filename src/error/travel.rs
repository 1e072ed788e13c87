//! The way of an [`Error`] to another process, as a [`RemoteError`].

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::sum::Error;
use crate::error::travelled::{FOUND_AT, RemoteError};

impl From<&Error> for RemoteError {
    fn from(error: &Error) -> Self {
        match error {
            Error::Remote(error) => Self::clone(error),
            error => Self {
                kind: error.kind(),
                message: error.to_string(),
                panic: error.panic_message().map(String::from),
                missing: error.as_manager_not_found().map(|missing| missing.namespace.raw().into_owned()),
                found_at: None,
                cancelled: error.as_cancelled().cloned(),
            },
        }
    }
}

impl From<Error> for RemoteError {
    fn from(error: Error) -> Self {
        match error {
            Error::Remote(error) => *error,
            error => Self::from(&error),
        }
    }
}

/// As a [`RemoteError`].
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RemoteError::from(self).serialize(serializer)
    }
}

/// As an [`Error::Remote`].
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut error = RemoteError::deserialize(deserializer)?;
        error.found_at = error.missing.as_deref().and_then(|name| FOUND_AT.get()?(name));
        Ok(error.into())
    }
}
