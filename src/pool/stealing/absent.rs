//! What stands for [`crate::pool::stealing`] where the feature `rayon` is off: no pool is work-stealing.

use std::io;

use crate::bell::Bell;
use crate::pool::inner::Pool;
use crate::sync::os::Arc;

/// There is none.
pub(crate) enum Stealing {}

/// The work-stealing pool whose thread this is: never one.
#[inline]
pub(crate) fn here<'a>() -> Option<&'a Arc<Pool>> {
    None
}

impl Stealing {
    pub(crate) fn ask(&self, _: &Arc<Pool>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn lead(&self, _: &Arc<Pool>) {
        match *self {}
    }

    pub(crate) fn dismiss(&self) {
        match *self {}
    }

    pub(crate) fn is_gone(&self) -> bool {
        match *self {}
    }

    pub(crate) fn gone(&self) -> &Bell {
        match *self {}
    }
}
