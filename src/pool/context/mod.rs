//! The calling thread, as the engine sees it.

pub(crate) mod code;
pub(crate) mod enter;
pub(crate) mod frame;
pub(crate) mod interrupted;
pub(crate) mod thread;
