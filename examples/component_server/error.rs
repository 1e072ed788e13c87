//! Why a page could not be made.

use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum PageError {
    #[error("a pool, a task or a value: {0}")]
    Pools(#[from] heirloom::Error),
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("a template failed: {0}")]
    Template(#[from] askama::Error),
}
