//! Stands in for `src/totals`: no model publishes counters.

#[path = "../../../src/totals/quantiles.rs"]
pub(crate) mod quantiles;
#[path = "../../../src/totals/absent.rs"]
pub(crate) mod record;
#[path = "../../../src/totals/sums.rs"]
pub(crate) mod sums;
