//! The rows of the budget, one file per kind of work.

mod allocations;
pub(crate) mod carry;
mod flood;
mod hello;
mod idle;
mod lifecycle;
mod look_up;
mod many;
mod round_trip;
mod scopes;
mod work;

use super::group::Group;

/// Every group, in the order of the budget.
pub(crate) fn all() -> Vec<&'static Group> {
    vec![
        &lifecycle::BACK_TO_BACK,
        &lifecycle::APART,
        &round_trip::BUSY,
        &round_trip::AFTER_IDLENESS,
        &round_trip::ONE_CPU,
        &work::ROUND_TRIP,
        &flood::ONE_PRODUCER,
        &flood::FOUR_PRODUCERS,
        &flood::MAP,
        &work::SWITCHES,
        &look_up::LOOK_UP,
        &look_up::MIX,
        &many::MANY,
        &many::REPLACED,
        &carry::CARRY,
        &allocations::ALLOCATIONS,
        &idle::BYTES,
        &idle::MILLION,
        &scopes::RATE,
        &scopes::MEMORY,
        &hello::HELLO,
    ]
}
