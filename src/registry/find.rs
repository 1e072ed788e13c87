//! The three verbs, where the code stands and on a [`Lineage`].

use crate::error::ManagerNotFound;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup::{self, SlotKind};
use crate::lineage::node::Node;
use crate::lineage::slots::Slots;
use crate::names::namespace::Namespace;
use crate::registry::manager::PoolManager;

/// Managers, among what a node has.
struct Managers;

impl SlotKind for Managers {
    #[inline]
    fn of(node: &Node) -> &Slots {
        &node.managers
    }
}

impl Lineage {
    /// The nearest manager of this name, at this node or above it.
    ///
    /// # Errors
    /// [`ManagerNotFound`], which says where it was asked and, on request, where else the name exists.
    pub fn get(&self, ns: impl Into<Namespace>) -> Result<PoolManager, ManagerNotFound> {
        let ns = ns.into();
        self.lend(&ns, PoolManager::clone).ok_or_else(|| ManagerNotFound::new(ns, self))
    }

    /// The nearest manager of this name; if nobody has it, a new one here, not started. Among concurrent calls at one
    /// node one creates, and all get that one.
    #[must_use]
    pub fn get_or_create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let ns = ns.into();
        if let Some(found) = self.lend(&ns, PoolManager::clone) {
            return found;
        }
        let make = || PoolManager::new(&self.0, ns.clone()).to_slot();
        match PoolManager::from_slot(self.0.node().managers.find_or_insert(&ns, make)) {
            Some(manager) => manager,
            None => unreachable!("only managers live at nodes"),
        }
    }

    /// A new manager here, not started. One that this node had under the name is only unlinked: it goes on for those
    /// who hold it, and closes with its last handle.
    #[must_use = "the manager does nothing until it is started"]
    pub fn create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let ns = ns.into();
        let manager = PoolManager::new(&self.0, ns.clone());
        self.0.node().managers.replace(&ns, manager.to_slot());
        manager
    }

    /// Looks a manager up and lends it to `f`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ns: impl Into<Namespace>, f: impl FnOnce(&PoolManager) -> R) -> Result<R, ManagerNotFound> {
        let ns = ns.into();
        self.lend(&ns, f).ok_or_else(|| ManagerNotFound::new(ns, self))
    }

    #[inline]
    fn lend<R>(&self, ns: &Namespace, f: impl FnOnce(&PoolManager) -> R) -> Option<R> {
        lookup::lend::<Managers, R>(self.0.node(), ns, |slot_value| f(&PoolManager::lent(slot_value)))
    }

    /// The manager that this very node has under the name.
    pub(super) fn own(&self, ns: &Namespace) -> Option<PoolManager> {
        self.0.node().managers.find_counted(ns).and_then(PoolManager::from_slot)
    }

    /// Has this very node own a manager that was made for it. False when the node has another one of that name.
    pub(super) fn link(&self, manager: &PoolManager) -> bool {
        let linked = self.0.node().managers.find_or_insert(manager.namespace(), || manager.to_slot());
        PoolManager::from_slot(linked).is_some_and(|linked| linked.is_same(manager))
    }

    /// Unlinks a manager if this very node has it.
    pub(super) fn unlink(&self, manager: &PoolManager) {
        drop(self.0.node().managers.remove_this(manager.namespace(), &manager.to_slot()));
    }

    /// Unlinks the manager that this very node has under the name. It goes on for those who hold it.
    pub fn remove(&self, ns: impl Into<Namespace>) -> Option<PoolManager> {
        self.0.node().managers.remove(&ns.into()).and_then(PoolManager::from_slot)
    }

    /// The managers that belong to this very node.
    #[must_use]
    pub fn managers(&self) -> Vec<PoolManager> {
        self.0.node().managers.all().into_iter().filter_map(PoolManager::from_slot).collect()
    }
}

/// The nearest manager of this name that runs, at the node or above it.
pub(super) fn nearest_running(node: &Node, ns: &Namespace) -> Option<PoolManager> {
    lookup::nearest::<Managers, _>(node, ns, |slot_value| {
        let manager = PoolManager::lent(slot_value);
        manager.is_running().then(|| PoolManager::clone(&manager))
    })
}

/// [`nearest_running`], from where the code stands.
#[inline]
pub(super) fn nearest_running_here(ns: &Namespace) -> Option<PoolManager> {
    let pin = current::pin();
    nearest_running(current::nearest_node(&pin), ns)
}

/// The nearest manager of this name, at the current place or above it.
///
/// ```
/// use heirloom::PoolConfig;
///
/// let io = heirloom::create("io"); // at the current place
/// io.start(PoolConfig::leased(2))?;
/// let seen = heirloom::thread::spawn(|| heirloom::get("io").is_ok()); // a child finds it
/// assert!(seen.join().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ManagerNotFound`], which says where it was asked and, on request, where else the name exists.
pub fn get(ns: impl Into<Namespace>) -> Result<PoolManager, ManagerNotFound> {
    let ns = ns.into();
    match lend_here(&ns, PoolManager::clone) {
        Some(manager) => Ok(manager),
        None => Err(ManagerNotFound::here(ns)),
    }
}

/// The nearest manager of this name; if nobody has it, a new one at the current place, not started. Among concurrent
/// calls at one place one creates, and all get that one. Code that shares its thread with other code and has no place
/// of its own (see [`current`](crate::current())) creates it at the process.
///
/// *Here* is each thread's and each task's own place, so two threads that find none have two. For one that all share,
/// and that runs, use [`get_or_start`](crate::get_or_start()).
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// Scope::run("request 7", |request| {
///     let cache = heirloom::get_or_create("cache"); // this request's
///     cache.ensure_started(PoolConfig::leased(2))?;
///     assert!(heirloom::get_or_create("cache").is_same(&cache));
///     assert_eq!(cache.owner().as_ref(), Some(request.lineage()));
///     Ok::<_, heirloom::StartError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn get_or_create(ns: impl Into<Namespace>) -> PoolManager {
    let ns = ns.into();
    if let Some(found) = lend_here(&ns, PoolManager::clone) {
        return found;
    }
    Lineage(current::here()).get_or_create(ns)
}

/// A new manager at the current place, not started. One that this place had under the name is only unlinked: it goes on
/// for those who hold it, and closes with its last handle.
///
/// In code that shares its thread with other code and has no place of its own (see [`current`](crate::current())) the
/// manager belongs to nobody: it is found nowhere, and its start is refused as
/// [`NoPlace`](crate::StartErrorKind::NoPlace).
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// heirloom::create("render").start(PoolConfig::leased(8))?;
/// Scope::run("request 7", |request| {
///     let own = heirloom::create("render"); // hides the outer one from here down
///     own.start(PoolConfig::leased(2))?;
///     assert_eq!(own.owner().as_ref(), Some(request.lineage()));
///     assert!(heirloom::get("render")?.is_same(&own));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(heirloom::get("render")?.stats().limit, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the manager does nothing until it is started"]
pub fn create(ns: impl Into<Namespace>) -> PoolManager {
    match current::own_here() {
        Some(place) => Lineage(place).create(ns),
        None => PoolManager::nowhere(ns.into()),
    }
}

/// Looks a manager up from the current place and lends it to `f`.
///
/// ```
/// use heirloom::PoolConfig;
///
/// heirloom::create("io").start(PoolConfig::leased(2))?;
/// let read = heirloom::with("io", |io| io.submit(|| "read"))??;
/// assert_eq!(read.join()?, "read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`get`].
pub fn with<R>(ns: impl Into<Namespace>, f: impl FnOnce(&PoolManager) -> R) -> Result<R, ManagerNotFound> {
    let ns = ns.into();
    lend_here(&ns, f).ok_or_else(|| ManagerNotFound::here(ns))
}

#[inline]
fn lend_here<R>(ns: &Namespace, f: impl FnOnce(&PoolManager) -> R) -> Option<R> {
    lookup::lend_here::<Managers, R>(ns, |slot_value| f(&PoolManager::lent(slot_value)))
}
