//! What stands for [`crate::pool::kinds::stealing`] where the feature `rayon` is off: no pool is work-stealing.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;

use crate::pool::core::pool::Pool;
use crate::sync::os::Arc;
use crate::wait::waker_set::WakerSet;

/// There is none.
pub(crate) enum Stealing {}

/// The work-stealing pool whose thread this is: never one.
#[inline]
pub(crate) fn here<'a>() -> Option<&'a Arc<Pool>> {
    None
}

/// No worker of such a pool waits.
pub(crate) struct Blocked<'a>(PhantomData<&'a ()>, Infallible);

/// The calling thread is no worker of such a pool.
#[inline]
pub(crate) fn begin_wait<'a>(_: bool) -> Option<Blocked<'a>> {
    None
}

impl Stealing {
    pub(crate) fn request_thread(&self, _: &Arc<Pool>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn run_leader(&self, _: &Arc<Pool>) {
        match *self {}
    }

    pub(crate) fn end_if_idle(&self, _: &Pool) {
        match *self {}
    }

    pub(crate) fn dismiss(&self) {
        match *self {}
    }

    pub(crate) fn is_gone(&self) -> bool {
        match *self {}
    }

    pub(crate) fn gone(&self) -> &WakerSet {
        match *self {}
    }
}
