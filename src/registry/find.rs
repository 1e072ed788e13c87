//! Look-up, from the current node and from a [`Lineage`].

use crate::error::{Error, ManagerNotFound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup::InVain;
use crate::names::namespace::Namespace;
use crate::registry::manager::PoolManager;
use crate::registry::slot::{self, lend_here};

impl Lineage {
    /// Returns the nearest manager of this name, at this node or above it.
    ///
    /// Costs about 10 ns at any depth, and takes no lock. The first look-up of a name from a node, and the first after a
    /// change of such managers above, cost one to two nanoseconds more for each level.
    ///
    /// # Errors
    /// [`ManagerNotFound`], which names the node asked and, on request, other nodes that have the name.
    #[inline]
    pub fn get(&self, ns: impl Into<Namespace>) -> Result<PoolManager, Error> {
        self.with(ns, PoolManager::clone)
    }

    /// Returns the nearest manager of this name, or a new one of this node, not started.
    ///
    /// Among concurrent calls at one node one creates, and all return the same manager.
    #[must_use]
    pub fn get_or_create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let ns = ns.into();
        let found = slot::lend(self.0.node(), ns.sought(), InVain::Adds, PoolManager::clone);
        found.unwrap_or_else(|| self.find_or_put(&ns))
    }

    /// Returns a new manager of this node, not started.
    ///
    /// Another manager that this node has under the name is unlinked: look-ups no longer find it, and it closes with its
    /// last handle.
    #[must_use = "the manager does nothing until it is started"]
    pub fn create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let manager = PoolManager::new(&self.0, ns.into());
        self.put(&manager);
        manager
    }

    /// Lends the nearest manager of this name to `f`, and returns the value of `f`.
    ///
    /// As [`get`](Self::get) without the count of a handle.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn with<R>(&self, ns: impl Into<Namespace>, f: impl FnOnce(&PoolManager) -> R) -> Result<R, Error> {
        let ns = ns.into();
        match slot::lend(self.0.node(), ns.sought(), InVain::Fails, f) {
            Some(out) => Ok(out),
            None => Err(ManagerNotFound::new(ns, self).into()),
        }
    }

    /// Unlinks this node's own manager of that name, and returns it. Its pool goes on while a handle lives.
    pub fn remove(&self, ns: impl Into<Namespace>) -> Option<PoolManager> {
        self.take(&ns.into())
    }

    /// Returns the managers that belong to this very node.
    #[must_use]
    pub fn managers(&self) -> Vec<PoolManager> {
        slot::all(self.0.node()).collect()
    }
}

/// Returns the nearest manager of this name, at the current node or above it.
///
/// Costs about 10 ns at any depth, and takes no lock. The first look-up of a name from a node, and the first after a change
/// of such managers above, cost one to two nanoseconds more for each level.
///
/// ```
/// use heirloom::PoolConfig;
///
/// let io = heirloom::create("io"); // at the current node
/// io.start(PoolConfig::leased(2))?;
/// let seen = heirloom::thread::spawn(|| heirloom::get("io").is_ok())?; // a child finds it
/// assert!(seen.join()?);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// [`ManagerNotFound`], which names the node asked and, on request, other nodes that have the name.
#[inline]
pub fn get(ns: impl Into<Namespace>) -> Result<PoolManager, Error> {
    with(ns, PoolManager::clone)
}

/// Returns the nearest manager of this name, or a new one of the current node, not started.
///
/// Among concurrent calls at one node one creates, and all return the same manager. Code that shares its thread with other
/// code and has no node of its own (see [`current`](crate::current())) creates it at the process.
///
/// Each thread and each task is a node of its own, so two threads that find no manager create two.
/// [`get_or_start`](crate::get_or_start()) makes one that all share, and that runs.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// Scope::run("request 7", |request| {
///     let cache = heirloom::get_or_create("cache"); // this request's
///     cache.ensure_started(PoolConfig::leased(2))?;
///     assert!(heirloom::get_or_create("cache").is_same(&cache));
///     assert_eq!(cache.owner().as_ref(), Some(request.lineage()));
///     Ok::<_, heirloom::Error>(())
/// })?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use]
pub fn get_or_create(ns: impl Into<Namespace>) -> PoolManager {
    let ns = ns.into();
    let found = lend_here(ns.sought(), InVain::Adds, PoolManager::clone);
    found.unwrap_or_else(|| Lineage(current::here()).get_or_create(ns))
}

/// Returns a new manager of the current node, not started.
///
/// Another manager that this node has under the name is unlinked: look-ups no longer find it, and it closes with its last
/// handle.
///
/// In code that shares its thread with other code and has no node of its own (see [`current`](crate::current())) the
/// manager has no owner: no look-up finds it, and its start is refused as
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
///     Ok::<_, heirloom::Error>(())
/// })?;
/// assert_eq!(heirloom::get("render")?.stats().limit, 8);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "the manager does nothing until it is started"]
pub fn create(ns: impl Into<Namespace>) -> PoolManager {
    match current::own_here() {
        Some(at) => Lineage(at).create(ns),
        None => PoolManager::nowhere(ns.into()),
    }
}

/// Lends the nearest manager of this name, at the current node or above it, to `f`.
///
/// Returns the value of `f`. As [`get`] without the count of a handle.
///
/// ```
/// use heirloom::PoolConfig;
///
/// heirloom::create("io").start(PoolConfig::leased(2))?;
/// let read = heirloom::with("io", |io| io.submit(|| "read"))??;
/// assert_eq!(read.join()?, "read");
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// As [`get`].
#[inline]
pub fn with<R>(ns: impl Into<Namespace>, f: impl FnOnce(&PoolManager) -> R) -> Result<R, Error> {
    let ns = ns.into();
    match lend_here(ns.sought(), InVain::Fails, f) {
        Some(out) => Ok(out),
        None => Err(ManagerNotFound::here(ns).into()),
    }
}
