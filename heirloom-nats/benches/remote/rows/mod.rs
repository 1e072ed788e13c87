//! The works that are measured.

pub(crate) mod cancel;
pub(crate) mod death;
pub(crate) mod trips;
