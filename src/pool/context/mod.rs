//! Which tasks the calling thread runs, and what else the thread is to the engine.

pub(crate) mod enter;
pub(crate) mod frame;
pub(crate) mod interrupted;
pub(crate) mod thread;
