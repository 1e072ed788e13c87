//! Waits that release permits.

pub(crate) mod block_on;
pub(crate) mod cancel_forwarder;
pub(crate) mod cancel_listener;
pub(crate) mod hold;
pub(crate) mod lend;
pub(crate) mod let_through;
pub(crate) mod local;
pub(crate) mod overdue;
pub(crate) mod polled;
pub(crate) mod release;
pub(crate) mod wait_for;
pub(crate) mod woken;
