//! [`Epoch`] and [`Passed`]: whether the entry that a look-up found earlier is still the nearest one.
//!
//! A thread keeps the entry that a walk found, with the epoch that it read before the walk ([`super::memo`]). The entry
//! stands as long as the epoch does. A change of a node's slots advances the epoch, if a walk that was kept has passed
//! the node since the last advance. So a server that creates managers in fresh scopes advances nothing: no look-up has
//! passed such a node yet.
//!
//! # Protocol
//! ```text
//! walk:   read epoch    at each node: mark Passed, read slots     keep (entry, epoch)
//! write:  write slot    take the mark from Passed: was it set?    then advance epoch
//! hit:    publish the entry's address in a hazard slot            read epoch: still the same?
//! ```
//!
//! # The races to fear
//! * The walk reads the slots just before the write, and the writer reads `Passed` just before the walk marks it. Both
//!   sides change the one word of `Passed` by read-modify-writes, so one of them comes second and sees the first: the
//!   walk sees the write, or the writer sees the mark and advances the epoch, which the walk has read before. A walk that
//!   finds the mark set changes nothing. The mark that it has read precedes the writer's exchange in that word, or the walk
//!   sees the write.
//! * A second writer finds the mark taken by the first, and advances nothing. The first one advances the epoch for both:
//!   each walk that has read the mark before it was taken has also read the epoch before that advance.
//! * The entry is freed between the hit and its use. The writer advances the epoch first and looks at the hazard slots
//!   after a full barrier ([`super::hazard`]). So the hit sees another epoch, or the writer sees the address.
//! * The node of the walk ends, and its slots are freed without a look at hazard slots. A hit needs the same node as current
//!   node, borrowed for as long as the entry: ids are never reused, and a node keeps all nodes above it.
//!
//! A removal that happens before a look-up is never missed: the advance happens before the look-up's read of the epoch.
//!
//! # Stripes
//! There are [`STRIPES`] epochs, and a name's hash chooses one. A change of one name thus disturbs few others.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of epochs: one for each bit of [`Passed`].
pub(crate) const STRIPES: usize = u32::BITS as usize;

/// Counts the changes that kept entries of one stripe may not outlast.
pub(crate) struct Epoch(pub(crate) AtomicU64);

impl Epoch {
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        // Acquire: the walk, or the hit, sees the changes that the epoch counts; pairs with the Release in `changed`.
        self.0.load(Ordering::Acquire)
    }
}

/// The stripes that walks have looked up here since the last change, a bit for each.
pub(crate) struct Passed(pub(crate) AtomicU32);

impl Passed {
    /// Notes a walk, before it reads the slots.
    #[inline]
    pub(crate) fn mark(&self, stripe: usize) {
        // Acquire, both: the walk sees the writes of all that took the mark before it was set again; pairs with the
        // Release in `changed`.
        if self.0.load(Ordering::Acquire) & bit(stripe) == 0 {
            self.0.fetch_or(bit(stripe), Ordering::AcqRel);
        }
    }

    /// Notes a change, after the slot was written.
    pub(crate) fn changed(&self, stripe: usize, epoch: &Epoch) {
        // Release: a later mark sees the write.
        if self.0.fetch_and(!bit(stripe), Ordering::AcqRel) & bit(stripe) != 0 {
            epoch.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[inline]
fn bit(stripe: usize) -> u32 {
    1 << (stripe % STRIPES)
}
