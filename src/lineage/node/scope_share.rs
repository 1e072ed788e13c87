//! [`ScopeShare`]: the priority and the weight of a scope, for pools that order their queues.

use crate::sync::os::{AtomicU32, Ordering};

/// Bits of the priority; the weight stands above them.
const PRIORITY: u32 = 8;
const PRIORITIES: u32 = (1 << PRIORITY) - 1;

/// The priority, one more than its number, and the weight. Zero for a setting that the scope does not have.
pub(crate) struct ScopeShare(AtomicU32);

impl ScopeShare {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Relaxed, as are the reads: a setting is for the tasks that are submitted after it, and guards no other data.
    pub(crate) fn set_priority(&self, level: u8) {
        let level = (u32::from(level) + 1).min(PRIORITIES);
        self.change(|word| word & !PRIORITIES | level);
    }

    pub(crate) fn set_weight(&self, weight: u16) {
        self.change(|word| word & PRIORITIES | u32::from(weight.max(1)) << PRIORITY);
    }

    fn change(&self, f: impl Fn(u32) -> u32) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| Some(f(word)));
    }

    pub(crate) fn priority(&self) -> Option<u8> {
        let level = self.0.load(Ordering::Relaxed) & PRIORITIES;
        level.checked_sub(1).map(|level| level as u8)
    }

    pub(crate) fn weight(&self) -> Option<u16> {
        let weight = self.0.load(Ordering::Relaxed) >> PRIORITY;
        if weight == 0 { None } else { Some(weight as u16) }
    }
}
