//! [`Residents`]: what lives at one node, by namespace.

use crate::lineage::home::Resident;
use crate::namespace::Namespace;
use crate::sync::os::{Arc, AtomicBool, Ordering, RwLock};

/// The managers of one node.
///
/// Most nodes have none and are passed with one load. What keeps a resident alive: this list (one handle), until it is
/// removed, replaced or the node ends; and every handle outside.
pub(crate) struct Residents {
    any: AtomicBool,
    list: RwLock<Vec<(Namespace, Arc<Resident>)>>,
}

impl Residents {
    pub(crate) const fn new() -> Self {
        Self { any: AtomicBool::new(false), list: RwLock::new(Vec::new()) }
    }

    #[inline]
    pub(crate) fn find(&self, namespace: &Namespace) -> Option<Arc<Resident>> {
        // Acquire: pairs with the Release in `write`.
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let list = self.list.read();
        list.iter().find(|(name, _)| name == namespace).map(|(_, resident)| Arc::clone(resident))
    }

    /// Finds, or makes one while nobody else can: among concurrent callers one makes and all get that one.
    /// `make` runs under this node's lock, so it only builds.
    pub(crate) fn find_or_insert(&self, namespace: &Namespace, make: impl FnOnce() -> Arc<Resident>) -> Arc<Resident> {
        let mut list = self.list.write();
        if let Some((_, resident)) = list.iter().find(|(name, _)| name == namespace) {
            return Arc::clone(resident);
        }
        let resident = make();
        list.push((namespace.clone(), Arc::clone(&resident)));
        self.any.store(true, Ordering::Release);
        resident
    }

    /// Puts one in, and returns the one it replaced: the caller drops it outside the lock.
    #[must_use]
    pub(crate) fn replace(&self, namespace: &Namespace, resident: Arc<Resident>) -> Option<Arc<Resident>> {
        let mut list = self.list.write();
        if let Some((_, old)) = list.iter_mut().find(|(name, _)| name == namespace) {
            return Some(std::mem::replace(old, resident));
        }
        list.push((namespace.clone(), resident));
        self.any.store(true, Ordering::Release);
        None
    }

    #[must_use]
    pub(crate) fn remove(&self, namespace: &Namespace) -> Option<Arc<Resident>> {
        let mut list = self.list.write();
        let at = list.iter().position(|(name, _)| name == namespace)?;
        let (_, resident) = list.remove(at);
        if list.is_empty() {
            *list = Vec::new();
            self.any.store(false, Ordering::Release);
        }
        Some(resident)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Resident>> {
        self.list.read().iter().map(|(_, resident)| Arc::clone(resident)).collect()
    }
}
