//! Which tasks the calling thread runs.

pub(crate) mod frame;
pub(crate) mod interrupted;
