//! The kinds of pool.

pub(crate) mod dedicated;
#[path = "../../../../src/pool/kinds/local.rs"]
pub(crate) mod local;
#[cfg_attr(feature = "rayon", path = "../../../../src/pool/kinds/stealing/mod.rs")]
#[cfg_attr(not(feature = "rayon"), path = "../../../../src/pool/kinds/stealing/absent.rs")]
pub(crate) mod stealing;
