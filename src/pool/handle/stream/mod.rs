//! Streams: a task that sends items through a bounded buffer to one reader.
//!
//! `channel` is the buffer, `sender` the task's end with its wait, `reader` the other end with the task's handle.

mod channel;
pub(crate) mod reader;
pub(crate) mod sender;
