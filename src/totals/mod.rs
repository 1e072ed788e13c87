//! Counters of all pools that a family ever had, by name, for a bridge to publish.
//!
//! A pool that ends leaves its counters here, from the family's first pool on: a publisher may be made after the pool has
//! ended. So the totals lie below the tree, and the engine does not know the bridge. Without the feature `metrics`
//! nothing is kept: the same types are empty, and their methods do nothing.

#[cfg_attr(feature = "metrics", path = "kept.rs")]
#[cfg_attr(not(feature = "metrics"), path = "absent.rs")]
pub(crate) mod record;
pub(crate) mod sums;
