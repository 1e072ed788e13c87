//! Stacks that do not grow: nothing is known of the present one.

use crate::error::stack::NoRoom;

#[inline]
pub(super) fn left() -> Option<usize> {
    None
}

pub(super) fn grow(_needed: usize, _limit: usize, _f: &mut dyn FnMut()) -> Result<(), NoRoom> {
    Err(NoRoom::CannotGrow)
}
