//! [`HeirloomMap`]: many values at each node, each found by its key from every node below.

pub(crate) mod at;
mod init;

use std::fmt;
use std::hash::Hash;

use crate::error::{BindError, Error};
use crate::lineage::node::{Node, NodeRef};
use crate::lineage::{current, lookup};
use crate::sync::os::{Arc, OnceLock};
use crate::value::Values;
use crate::value::binding::BoundValue;
use crate::value::bindings::Bindings;
use crate::value::key::{Interned, Table};
use crate::value::node_map::NodeMap;
use crate::value::site::Site;
use crate::value::slot::{self, BindMode, BindingSlot};
use crate::value::subscribe::Subscription;

/// Whether an initialiser's error is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// The waiters get the error, and the next call tries again.
    #[default]
    Retry,
    /// The error is remembered at the node that was to own the value. Every later caller gets it, until a value is
    /// bound or published there, or the error is [forgotten](HeirloomMap::forget). A panic is not remembered.
    Sticky,
}

/// A [`Heirloom`](crate::Heirloom) with a value for each key: modules by name, connections by address.
///
/// Each key is looked up, initialised and fails by itself; the nearest node that has the key wins. A look-up costs a
/// hash of the key and two short locks of a sharded map. No `Hash`, `Eq` or `Drop` of a user's type runs under a lock.
/// Dropping a map that is no static takes its values out of the tree.
///
/// Errors name the map, not the key, which need not be printable: put the key into the initialiser's own error.
///
/// ```
/// use heirloom::{HeirloomMap, Scope};
///
/// static MODULES: HeirloomMap<String, Vec<u8>> = HeirloomMap::new("modules");
///
/// let fetch = |name: &str| MODULES.get_or_try_init(&name.to_string(), || std::fs::read(name));
/// let size = fetch("Cargo.toml")?.len();
/// let request = Scope::new("request 7");
/// assert_eq!(request.run(|| fetch("Cargo.toml"))?.len(), size); // read once
/// assert!(fetch("no such file").is_err()); // and tried again the next time
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct HeirloomMap<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    name: &'static str,
    on_failure: OnFailure,
    core: OnceLock<Core<K, V>>,
}

struct Core<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    table: Table<K>,
    bindings: Arc<Bindings<K, V>>,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static, V: Send + Sync + 'static> HeirloomMap<K, V> {
    /// Makes a map whose values are inherited. The name is for errors; it need not be unique.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, on_failure: OnFailure::Retry, core: OnceLock::new() }
    }

    /// Sets whether an initialiser's error is remembered; [`OnFailure::Retry`] by default.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, OnFailure};
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules").on_failure(OnFailure::Sticky);
    /// let missing = || MODULES.get_or_try_init(&"missing", || Err("there is none"));
    /// assert!(missing().is_err());
    /// let asked_again = MODULES.get_or_init(&"missing", || unreachable!("the failure is remembered"));
    /// assert!(asked_again.is_err());
    /// MODULES.publish("missing", 7_u32)?; // found after all
    /// assert_eq!(*missing()?, 7);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub const fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Returns the map's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn core(&self) -> &Core<K, V> {
        self.core.get_or_init(|| {
            let bindings = Bindings::new(self.name, true);
            Core { table: Table::new(bindings.number.clone()), bindings }
        })
    }

    fn slot(&self, node: NodeRef, key: K) -> BindingSlot<'_, K, V> {
        let core = self.core();
        BindingSlot { bindings: &core.bindings, node, key: core.table.intern(key) }
    }

    /// Returns the slot, if a node keeps something under the key.
    fn known(&self, node: NodeRef, key: &K) -> Option<BindingSlot<'_, K, V>> {
        let core = self.core.get()?;
        Some(BindingSlot { bindings: &core.bindings, node, key: core.table.find(key)? })
    }

    /// Returns the nearest value of the key.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, Scope};
    ///
    /// static LIMITS: HeirloomMap<String, u32> = HeirloomMap::new("limits");
    /// LIMITS.bind(String::from("uploads"), 3_u32)?;
    /// let generous = Scope::new("tenant 3");
    /// LIMITS.at(&generous).bind(String::from("uploads"), 30_u32)?;
    /// let limit = || LIMITS.get(&String::from("uploads")).map(|limit| *limit);
    /// assert_eq!((limit()?, generous.run(limit)?), (3, 30));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`](crate::NotBound), which names the node that was asked.
    pub fn get(&self, key: &K) -> Result<Arc<V>, Error> {
        self.get_in(Site::HERE, key)
    }

    fn get_in(&self, site: Site<'_>, key: &K) -> Result<Arc<V>, Error> {
        self.find(site, key).ok_or_else(|| site.not_bound(self.name, None).into())
    }

    /// Shows the nearest value of the key to `f`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Result<R, Error> {
        self.get(key).map(|value| f(&value))
    }

    fn find(&self, site: Site<'_>, key: &K) -> Option<Arc<V>> {
        let core = self.core.get()?;
        let key = core.table.find(key)?;
        let value = |binding: &BoundValue<K, V>| Arc::clone(binding.value());
        let find = |node: &Node| {
            lookup::nearest::<Values, _>(node, &core.bindings.number, |slot_value| {
                NodeMap::get(slot_value, key.number(), |entry| entry.downcast_ref().map(value))
            })
        };
        match site.at {
            Some(at) => find(at.0.node()),
            None => find(current::nearest_node(&current::pin())),
        }
    }

    /// Returns the keys that have a value at the current node or above it, in no order.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, Scope};
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.bind("a", 1_u32)?;
    /// let below = Scope::new("below");
    /// MODULES.at(&below).bind("b", 2_u32)?;
    /// assert_eq!((MODULES.keys().len(), below.run(|| MODULES.keys()).len()), (1, 2));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.keys_in(Site::HERE)
    }

    fn keys_in(&self, site: Site<'_>) -> Vec<K> {
        let Some(core) = self.core.get() else { return Vec::new() };
        let node = site.at.map_or_else(current::nearest, |at| at.0.clone());
        let mut all = Vec::new();
        lookup::nearest::<Values, ()>(node.node(), &core.bindings.number, |slot_value| {
            all.extend(NodeMap::all(slot_value));
            None
        });
        let bound = all.iter().filter_map(|entry| entry.downcast_ref::<BoundValue<K, V>>());
        let mut keys: Vec<&Interned<K>> = bound.map(|binding| &*binding.key).collect();
        keys.sort_by_key(|key| key.number());
        keys.dedup_by_key(|key| key.number());
        keys.into_iter().map(|key| key.key().clone()).collect()
    }

    /// Binds a value at the current node, for it and every node below. Returns the value that this very node had.
    ///
    /// If an initialiser runs for this key and node, its waiters get the new value, and so does the caller that runs
    /// it.
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed), [`OwnerGone`](BindError::OwnerGone) in a scope that has ended, or
    /// [`NoPlace`](BindError::NoPlace) in code that shares its thread and has no node of its own, such as a runtime's
    /// future.
    pub fn bind(&self, key: K, value: impl Into<Arc<V>>) -> Result<Option<Arc<V>>, Error> {
        self.bind_in(Site::HERE, key, value.into(), BindMode::Replacing)
    }

    /// Binds a value at the current node, unless that very node has one of this key.
    ///
    /// # Errors
    /// [`AlreadyBound`](BindError::AlreadyBound), and those of [`bind`](Self::bind).
    pub fn bind_unique(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), Error> {
        self.bind_in(Site::HERE, key, value.into(), BindMode::Unique).map(drop)
    }

    fn bind_in(&self, site: Site<'_>, key: K, value: Arc<V>, mode: BindMode) -> Result<Option<Arc<V>>, Error> {
        Ok(self.slot(site.binds_at(self.name)?, key).bind(value, mode)?)
    }

    /// Removes the key's value of the very node where the code stands, and returns it.
    pub fn unbind(&self, key: &K) -> Option<Arc<V>> {
        self.unbind_in(Site::HERE, key)
    }

    fn unbind_in(&self, site: Site<'_>, key: &K) -> Option<Arc<V>> {
        self.known(site.exactly()?, key)?.unbind()
    }

    /// Binds a value at the process that no caller has initialised. Where there is a value, that one stays.
    ///
    /// If an initialiser runs for the key there, every waiter gets this value at once. When the initialiser ends, its
    /// result is dropped, and its caller gets this value too.
    ///
    /// ```
    /// use heirloom::HeirloomMap;
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.publish("a", 1_u32)?;
    /// assert_eq!(MODULES.publish("a", 2_u32).unwrap_err().kind(), heirloom::ErrorKind::AlreadyBound);
    /// assert_eq!(*MODULES.get_or_init(&"a", || 3)?, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`bind_unique`](Self::bind_unique).
    pub fn publish(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), Error> {
        Ok(self.publish_in(Site::HERE, key, value.into())?)
    }

    fn publish_in(&self, site: Site<'_>, key: K, value: Arc<V>) -> Result<(), BindError> {
        self.slot(site.owner(), key).bind(value, BindMode::Unique).map(drop)
    }

    /// [`publish`](Self::publish)es all values, and returns how many of them are new. A key that has a value keeps it.
    ///
    /// ```
    /// use heirloom::HeirloomMap;
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.publish("a", 1_u32)?;
    /// assert_eq!(MODULES.preload([("a", 10_u32), ("b", 20), ("c", 30)])?, 2);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed); the values before it are bound.
    pub fn preload<W: Into<Arc<V>>>(&self, all: impl IntoIterator<Item = (K, W)>) -> Result<usize, Error> {
        self.preload_in(Site::HERE, all)
    }

    fn preload_in<W>(&self, site: Site<'_>, all: impl IntoIterator<Item = (K, W)>) -> Result<usize, Error>
    where
        W: Into<Arc<V>>,
    {
        let mut new = 0;
        for (key, value) in all {
            match self.publish_in(site, key, value.into()) {
                Ok(()) => new += 1,
                Err(BindError::AlreadyBound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(new)
    }

    /// Forgets a failure that is remembered at the process, so that the next call tries again. Returns whether there
    /// was one.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, OnFailure};
    ///
    /// static HOSTS: HeirloomMap<&str, u32> = HeirloomMap::new("hosts").on_failure(OnFailure::Sticky);
    /// assert!(HOSTS.get_or_try_init(&"a", || Err("unreachable")).is_err());
    /// assert!(HOSTS.get_or_init(&"a", || 7).is_err()); // remembered
    /// assert!(HOSTS.forget(&"a"));
    /// assert_eq!(*HOSTS.get_or_init(&"a", || 7)?, 7);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn forget(&self, key: &K) -> bool {
        self.forget_in(Site::HERE, key)
    }

    fn forget_in(&self, site: Site<'_>, key: &K) -> bool {
        self.known(site.owner(), key).is_some_and(|slot| slot.forget())
    }

    /// Ends all later bindings in this map, at every node; see [`Heirloom::seal`](crate::Heirloom::seal).
    pub fn seal(&self) {
        self.core().bindings.seal();
    }

    /// Returns every value of this map with its key, at whatever node it is bound: the present ones, then the later
    /// ones.
    pub fn subscribe(&self) -> Subscription<V, K> {
        Subscription::new(&self.core().bindings)
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Drop for HeirloomMap<K, V> {
    fn drop(&mut self) {
        if let Some(core) = self.core.get() {
            slot::give_up(&core.bindings);
        }
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> fmt::Debug for HeirloomMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeirloomMap").field("name", &self.name).finish_non_exhaustive()
    }
}
