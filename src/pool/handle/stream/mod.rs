//! Streams: a task that sends items through a bounded buffer to one reader.
//!
//! `channel` is the buffer, `sender` the task's end with its wait, `reader` the other end with the task's handle, `at_exit` the
//! end of a wait for a reader that ends the process.

pub(crate) mod at_exit;
mod channel;
pub(crate) mod reader;
pub(crate) mod sender;
