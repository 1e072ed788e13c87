//! [`Family`]: a handle to the index of one whole tree.
//!
//! The file does not know nodes: `N` is the node type, which lies above.

use std::fmt;
use std::thread::ThreadId;

use crate::lineage::intake::Intakes;
use crate::lineage::slots::SlotValue;
use crate::sync::os::{Arc, Weak};
use crate::sync::shards::Shards;
use crate::sync::weak_list::WeakList;
use crate::totals::record::Totals;
use crate::wait::tracker::TaskTracker;

/// The index of one family. It keeps none of the nodes and managers that it lists.
pub(crate) struct FamilyIndex<N> {
    pub(crate) nodes: WeakList<N>,
    pub(crate) managers: WeakList<SlotValue>,
    /// Keyed by `std`'s thread ids. They are never reused: no dead thread's entry answers for a new thread.
    pub(crate) threads: Shards<ThreadId, Weak<N>>,
    /// Counts futures and jobs that were spawned below the family's scopes and have not ended.
    pub(crate) spawned: TaskTracker,
    pub(crate) intakes: Intakes,
    /// The counters of the family's pools.
    pub(crate) totals: Totals,
}

impl<N> FamilyIndex<N> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: WeakList::new(),
            managers: WeakList::new(),
            threads: Shards::new(4),
            spawned: TaskTracker::new(),
            intakes: Intakes::default(),
            totals: Totals::new(),
        }
    }
}

/// A node type, with the index of the process's family.
pub(crate) trait Member: Sized + 'static {
    fn process_index() -> &'static FamilyIndex<Self>;
}

/// A counted handle to a family. The process's index is a static: it is `None`, and its members count nothing.
pub(crate) struct Family<N>(Option<Arc<FamilyIndex<N>>>);

/// A handle that keeps no family alive.
pub(crate) struct WeakFamily<N>(Option<Weak<FamilyIndex<N>>>);

impl<N: Member> Family<N> {
    pub(crate) const PROCESS: Self = Self(None);

    pub(crate) fn own() -> Self {
        Self(Some(Arc::new(FamilyIndex::new())))
    }

    pub(crate) fn downgrade(&self) -> WeakFamily<N> {
        WeakFamily(self.0.as_ref().map(Arc::downgrade))
    }

    pub(crate) fn index(&self) -> &FamilyIndex<N> {
        self.0.as_deref().unwrap_or_else(|| N::process_index())
    }
}

impl<N> WeakFamily<N> {
    /// Returns the family, or `None` when its last member has been dropped.
    pub(crate) fn upgrade(&self) -> Option<Family<N>> {
        match &self.0 {
            None => Some(Family(None)),
            Some(own) => own.upgrade().map(|own| Family(Some(own))),
        }
    }
}

// Derived impls would ask for `N: Clone` and so on.
impl<N> Clone for Family<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N> Clone for WeakFamily<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N> PartialEq for WeakFamily<N> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(this), Some(other)) => this.ptr_eq(other),
            (this, other) => this.is_none() && other.is_none(),
        }
    }
}

impl<N> Eq for WeakFamily<N> {}

impl<N> fmt::Debug for WeakFamily<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Process" } else { "Own" })
    }
}
