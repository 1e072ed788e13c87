//! Waiting: every mechanism by which code of this crate waits or is woken.
//!
//! | module | waits | is woken by |
//! |---|---|---|
//! | [`spin`] | a thread, polling for a bounded time | nothing |
//! | [`park`] | a thread, for a condition | its waker, or the deadline |
//! | [`waker_set`] | any number of registered wakers | a notify of all |
//! | [`tracker`] | a waiter for a count of tasks | the task that leaves last |
//! | [`graph`] | nothing: it knows which threads wait for which | – |

pub(crate) mod graph;
pub(crate) mod here;
pub(crate) mod park;
pub(crate) mod spin;
pub(crate) mod tracker;
pub(crate) mod waker_set;
