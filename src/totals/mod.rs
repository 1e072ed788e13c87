//! Counters and times of all pools that a family ever had, by name, for bridges to publish.
//!
//! A pool that ends leaves its counters here, from the family's first pool on: a publisher may be made after the pool has
//! ended. So the totals lie below the tree, and the engine does not know the bridges. Without the features `metrics` and
//! `inspector` nothing is kept: the same types are empty, and their methods do nothing.

#[cfg(any(feature = "metrics", feature = "inspector"))]
pub(crate) mod buckets;
#[cfg(any(feature = "metrics", feature = "inspector"))]
mod label_values;
pub(crate) mod quantiles;
#[cfg(feature = "metrics")]
mod read;
#[cfg_attr(any(feature = "metrics", feature = "inspector"), path = "kept.rs")]
#[cfg_attr(not(any(feature = "metrics", feature = "inspector")), path = "absent.rs")]
pub(crate) mod record;
#[cfg(any(feature = "metrics", feature = "inspector"))]
mod rows;
pub(crate) mod sums;
#[cfg(any(feature = "metrics", feature = "inspector"))]
pub(crate) mod times;
