//! Waiting: every mechanism by which code of this crate waits or is woken.
//!
//! | module | waits | is woken by |
//! |---|---|---|
//! | [`park`] | a thread, for a condition | its waker, or the deadline |
//! | [`waker_set`] | any number of registered wakers | one who wakes all |
//! | [`tracker`] | a waiter for a count of tasks | the task that leaves last |
//! | [`graph`] | nothing: it knows which threads wait for which | – |

pub(crate) mod graph;
pub(crate) mod park;
pub(crate) mod tracker;
pub(crate) mod waker_set;
