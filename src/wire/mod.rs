//! The words that processes say to each other about remote tasks, and the trait of an engine that carries them.
//!
//! An engine moves bytes: it knows queues, deliveries and processes, and no task, scope or result. The meaning is that of
//! `remote/`, which is the same over each engine.

pub(crate) mod address;
pub(crate) mod engine;
pub(crate) mod envelope;
pub(crate) mod fault;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod path;
