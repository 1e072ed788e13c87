//! The kinds of pool: where the threads of a pool come from.

pub(crate) mod dedicated;
pub(crate) mod local;
#[cfg_attr(not(feature = "rayon"), path = "stealing/absent.rs")]
pub(crate) mod stealing;
