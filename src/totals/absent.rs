//! Stands in for the kept totals without the features `metrics` and `inspector`.

use crate::sync::os::Arc;
use crate::totals::quantiles::Quantiles;
use crate::totals::sums::CountedPool;

#[derive(Clone)]
pub(crate) struct Totals;

pub(crate) struct PoolRecord;

/// No moment: the clock is not read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accepted;

// A task is no larger for times that no code reads.
const _: () = assert!(size_of::<Accepted>() == 0 && size_of::<PoolRecord>() == 0);

pub(crate) struct Started;

impl Totals {
    pub(crate) const NONE: Self = Self;

    pub(crate) fn new() -> Self {
        Self
    }
}

impl PoolRecord {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn begin<P: CountedPool>(&self, _: &Totals, _: &Arc<P>) {}

    pub(crate) fn end(&self, _: &impl CountedPool) {}

    pub(crate) fn accepted(&self) -> Accepted {
        Accepted
    }

    pub(crate) fn started(&self, _: &impl CountedPool, Accepted: Accepted) -> Started {
        Started
    }

    pub(crate) fn goes_on(&self, Accepted: Accepted) -> Started {
        Started
    }

    pub(crate) fn quantiles(&self) -> [Option<Quantiles>; 2] {
        [None; 2]
    }
}

impl Started {
    pub(crate) fn ended(self, _: bool) {}

    pub(crate) fn since(self) -> Accepted {
        Accepted
    }
}
