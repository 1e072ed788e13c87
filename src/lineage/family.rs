//! [`Family`]: the indices of one family, which its members enter by themselves.

use std::any::Any;
use std::fmt;
use std::thread::ThreadId;

use dashmap::DashMap;

use crate::lineage::node::Node;
use crate::sync::os::{Arc, LazyLock, Weak};
use crate::sync::weak_list::WeakList;
use crate::totals::record::Totals;
use crate::wait::tracker::TaskTracker;

/// What lives at a node, type-erased: this layer does not know managers.
pub(crate) type SlotValue = dyn Any + Send + Sync;

/// The weak indices of one family.
pub(crate) struct FamilyIndex {
    pub(crate) nodes: WeakList<Node>,
    pub(crate) managers: WeakList<SlotValue>,
    /// Keyed by `std`'s thread ids, which are never reused, so a dead thread's entry cannot answer for a new one.
    pub(crate) threads: DashMap<ThreadId, Weak<Node>>,
    /// Futures and jobs that were spawned below its scopes and have not ended.
    pub(crate) spawned: TaskTracker,
    /// The counters of its pools.
    pub(crate) totals: Totals,
}

impl FamilyIndex {
    fn new() -> Self {
        Self {
            nodes: WeakList::new(),
            managers: WeakList::new(),
            threads: DashMap::with_shard_amount(4),
            spawned: TaskTracker::new(),
            totals: Totals::new(),
        }
    }
}

/// Which family a node belongs to. The process-wide one is a static, so that belonging to it costs no counting.
#[derive(Clone)]
pub(crate) enum Family {
    Process,
    Own(Arc<FamilyIndex>),
}

/// A family that is not kept: what remembers it says nothing of what lives there.
#[derive(Clone)]
pub(crate) enum WeakFamily {
    Process,
    Own(Weak<FamilyIndex>),
}

impl Family {
    pub(crate) fn own() -> Self {
        Self::Own(Arc::new(FamilyIndex::new()))
    }

    pub(crate) fn downgrade(&self) -> WeakFamily {
        match self {
            Self::Process => WeakFamily::Process,
            Self::Own(own) => WeakFamily::Own(Arc::downgrade(own)),
        }
    }

    pub(crate) fn index(&self) -> &FamilyIndex {
        static PROCESS: LazyLock<FamilyIndex> = LazyLock::new(FamilyIndex::new);
        match self {
            Self::Process => &PROCESS,
            Self::Own(own) => own,
        }
    }
}

impl WeakFamily {
    /// The family, unless nothing of it is left.
    pub(crate) fn upgrade(&self) -> Option<Family> {
        match self {
            Self::Process => Some(Family::Process),
            Self::Own(own) => own.upgrade().map(Family::Own),
        }
    }
}

impl PartialEq for WeakFamily {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process, Self::Process) => true,
            (Self::Own(this), Self::Own(other)) => this.ptr_eq(other),
            _ => false,
        }
    }
}

impl Eq for WeakFamily {}

impl fmt::Debug for WeakFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "Process",
            Self::Own(_) => "Own",
        })
    }
}
