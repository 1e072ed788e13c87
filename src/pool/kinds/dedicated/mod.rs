//! Threads of a pool's own, with an initialiser and a state each.

pub(crate) mod init;
pub(crate) mod state;
pub(crate) mod warm;
