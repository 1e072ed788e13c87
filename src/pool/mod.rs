//! The engine. A pool is a queue, a count of the accepted tasks, and a count of permits.
//!
//! # Folders, from the bottom
//! * `config/`: settings.
//! * `core/`: the pool's data and the protocol on it.
//! * `context/`: the calling thread: the tasks it runs, the pools that use it.
//! * `run/`: queueing a task, running it, and counting it out.
//! * `blocking/`: waits that release permits.
//! * `end/`: close, cancel, stop.
//! * `handle/`: tasks from outside.
//! * `kinds/`: the sources of a pool's threads.
//!
//! A folder imports the folders above it in this list, and no other.
//!
//! # Lifetimes
//! A manager holds its running pool. While an accepted task has not ended, the pool holds itself
//! (`accept`); a thread on its way to a pool, or working for it, holds it too. A task holds its
//! submitter's node until it ends. A handle holds its task's cell and nothing else.

pub(crate) mod blocking;
pub(crate) mod cancelled_tasks;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod end;
pub(crate) mod handle;
pub(crate) mod kinds;
pub(crate) mod report;
pub(crate) mod run;
