//! The rows of the budget, one file per kind of work.

mod allocations;
pub(crate) mod carry;
mod flood;
mod idle;
mod lifecycle;
mod look_up;
mod round_trip;
mod scopes;

use super::group::Group;

/// Every group, in the order of the budget.
pub(crate) fn all() -> Vec<&'static Group> {
    vec![
        &lifecycle::BACK_TO_BACK,
        &lifecycle::APART,
        &round_trip::BUSY,
        &round_trip::AFTER_IDLENESS,
        &round_trip::ONE_CPU,
        &flood::ONE_PRODUCER,
        &flood::FOUR_PRODUCERS,
        &look_up::LOOK_UP,
        &look_up::MIX,
        &carry::CARRY,
        &allocations::ALLOCATIONS,
        &idle::BYTES,
        &idle::MILLION,
        &scopes::RATE,
        &scopes::MEMORY,
    ]
}
