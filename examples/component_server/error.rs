//! Why a page could not be made.

use heirloom::{ManagerNotFound, NotBound, PortalError, StartError, SubmitError, TaskError};
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum PageError {
    #[error("the request has no pool to render in: {0}")]
    Start(#[from] StartError),
    #[error("a pool is missing: {0}")]
    NotFound(#[from] ManagerNotFound),
    #[error("a pool refused a task: {0}")]
    Refused(#[from] SubmitError),
    #[error("a task did not end well: {0}")]
    Task(#[from] TaskError),
    #[error("the runtime does not answer: {0}")]
    Portal(#[from] PortalError),
    #[error("a value is missing: {0}")]
    Value(#[from] NotBound),
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("a template failed: {0}")]
    Template(#[from] askama::Error),
}
