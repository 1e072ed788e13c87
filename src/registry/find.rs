//! The three verbs, where the code stands and on a [`Lineage`].

use crate::error::ManagerNotFound;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::names::namespace::Namespace;
use crate::registry::manager::PoolManager;
use crate::registry::slot::{self, lend_here};

impl Lineage {
    /// The nearest manager of this name, at this node or above it.
    ///
    /// # Errors
    /// [`ManagerNotFound`], which says where it was asked and, on request, where else the name exists.
    pub fn get(&self, ns: impl Into<Namespace>) -> Result<PoolManager, ManagerNotFound> {
        let ns = ns.into();
        slot::lend(self.0.node(), &ns, PoolManager::clone).ok_or_else(|| ManagerNotFound::new(ns, self))
    }

    /// The nearest manager of this name; if nobody has it, a new one here, not started. Among concurrent calls at one
    /// node one creates, and all get that one.
    #[must_use]
    pub fn get_or_create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let ns = ns.into();
        if let Some(found) = slot::lend(self.0.node(), &ns, PoolManager::clone) {
            return found;
        }
        self.find_or_put(&ns)
    }

    /// A new manager here, not started. One that this node had under the name is only unlinked: it goes on for those
    /// who hold it, and closes with its last handle.
    #[must_use = "the manager does nothing until it is started"]
    pub fn create(&self, ns: impl Into<Namespace>) -> PoolManager {
        let manager = PoolManager::new(&self.0, ns.into());
        self.put(&manager);
        manager
    }

    /// Looks a manager up and lends it to `f`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ns: impl Into<Namespace>, f: impl FnOnce(&PoolManager) -> R) -> Result<R, ManagerNotFound> {
        let ns = ns.into();
        slot::lend(self.0.node(), &ns, f).ok_or_else(|| ManagerNotFound::new(ns, self))
    }

    /// Unlinks the manager that this very node has under the name. It goes on for those who hold it.
    pub fn remove(&self, ns: impl Into<Namespace>) -> Option<PoolManager> {
        self.take(&ns.into())
    }

    /// The managers that belong to this very node.
    #[must_use]
    pub fn managers(&self) -> Vec<PoolManager> {
        slot::all(self.0.node()).collect()
    }
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
