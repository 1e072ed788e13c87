//! How a failed look-up makes its [`ManagerNotFound`].

use crate::error::lookup::{Elsewhere, ManagerNotFound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Family;
use crate::names::namespace::Namespace;
use crate::registry::manager::PoolManager;
use crate::sync::os::{Arc, OnceLock};

/// Returns the process that sent the job at or above a node. Set by code above that knows jobs.
pub(crate) static SENT_FROM: OnceLock<fn(&Lineage) -> Option<String>> = OnceLock::new();

/// How many nodes [`ManagerNotFound::elsewhere`] names.
const MOST: usize = 8;

impl ManagerNotFound {
    #[cold]
    pub(super) fn new(namespace: Namespace, at: &Lineage) -> Self {
        let family = at.0.node().family().downgrade();
        let elsewhere = Elsewhere(Arc::new(move |namespace| {
            family.upgrade().map_or_else(Vec::new, |family| owners(&family, namespace))
        }));
        let sent_from = SENT_FROM.get().and_then(|sent_from| sent_from(at));
        Self { namespace, place: at.words().to_string(), place_id: at.id(), elsewhere, owns: true, sent_from }
    }

    /// For a look-up from the current node. Makes no node: a task that asks in vain and submits itself again for ever makes
    /// no chain of nodes.
    #[cold]
    pub(super) fn here(namespace: Namespace) -> Self {
        Self { owns: current::owns(), ..Self::new(namespace, &Lineage(current::nearest())) }
    }
}

/// The owners, in words, of the family's managers of this name.
fn owners(family: &Family, namespace: &Namespace) -> Vec<String> {
    let owner = |manager: PoolManager| {
        if manager.namespace() != namespace {
            return None;
        }
        let owner = manager.owner()?;
        // A manager that was replaced or removed may live on, but no look-up finds it.
        let found = owner.own(namespace)?;
        found.is_same(&manager).then(|| owner.to_string())
    };
    let managers = family.index().managers.live();
    managers.into_iter().filter_map(PoolManager::from_slot).filter_map(owner).take(MOST).collect()
}
