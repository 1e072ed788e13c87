//! A task in one allocation: its state, its closure, and then its result.

pub(crate) mod body;
pub(crate) mod cell;
pub(crate) mod claimed;
pub(crate) mod rank;
pub(crate) mod state;
pub(crate) mod stored;
