//! [`Rank`]: the level, the tenant and the weight of a queued task, in one word.
//!
//! The submitter computes the rank and notes it in the task's header before the push, so the queue needs neither the
//! task's metadata, which a claimer may take at any time, nor the tree. Only pools with priorities or fair turns have ranks.

use crate::task::cell::TaskRef;

/// The most levels of a pool.
pub(crate) const MOST_LEVELS: u8 = 8;
/// The largest weight of a tenant.
pub(crate) const MOST_WEIGHT: u16 = 1000;

const LEVEL: u32 = 1;
const WEIGHT: u32 = LEVEL + 3;
const TENANT: u32 = WEIGHT + 10;

/// One bit that is set, then the level, the weight, and the tenant in the rest.
///
/// The rest has 50 bits, or 18 where a word has 32. Two tenants of one pool whose numbers differ only above them share
/// their turns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank(usize);

impl Rank {
    /// The first level, and no tenant.
    pub(crate) const FIRST: Self = Self(1 | 1 << WEIGHT);

    pub(crate) fn new(level: u8, weight: u16, tenant: u64) -> Self {
        let level = usize::from(level.min(MOST_LEVELS - 1));
        let weight = usize::from(weight.clamp(1, MOST_WEIGHT));
        // The cast and the shift drop the bits above.
        Self(1 | level << LEVEL | weight << WEIGHT | (tenant as usize) << TENANT)
    }

    pub(crate) fn level(self) -> usize {
        (self.0 >> LEVEL) & ((1 << (WEIGHT - LEVEL)) - 1)
    }

    pub(crate) fn weight(self) -> usize {
        (self.0 >> WEIGHT) & ((1 << (TENANT - WEIGHT)) - 1)
    }

    pub(crate) fn tenant(self) -> usize {
        self.0 >> TENANT
    }
}

impl<M: Send + 'static> TaskRef<M> {
    /// Notes the rank of a task that is about to be pushed. Called before another thread sees the task.
    pub(crate) fn set_rank(&self, rank: Rank) {
        self.header().node.note(rank.0);
    }
}

impl<M: 'static> TaskRef<M> {
    /// Returns the rank. `None` where the queue has no order, and once the running task is a node.
    #[inline]
    pub(crate) fn rank(&self) -> Option<Rank> {
        self.header().node.noted().map(Rank)
    }
}
