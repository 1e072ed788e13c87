//! [`HeirloomMap`]: many values of one kind, each found by its key from below the place where it was bound.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use crate::error::value::{BindError, InitError, NotBound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup;
use crate::lineage::node::{Node, NodeRef};
use crate::sync::os::{Arc, OnceLock};
use crate::value::Values;
use crate::value::bindings::{At, BindMode, Bindings};
use crate::value::heirloom::below;
use crate::value::init_call::{InitCall, failed, ready, tried};
use crate::value::key::{Interned, Table};
use crate::value::node_map;
use crate::value::subscribe::Subscription;
use crate::wait::park;

/// What becomes of an initialiser's error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// Those who waited get it, and the next call tries again.
    #[default]
    Retry,
    /// It is remembered at the place that was to own the value, and given to every later asker without asking again,
    /// until a value is bound or published there, or it is [forgotten](HeirloomMap::forget). A panic is not
    /// remembered.
    Sticky,
}

/// A [`Heirloom`](crate::Heirloom) with a value for each key: modules by name, connections by address.
///
/// Each key is looked up, initialised and fails by itself; the nearest place that has the key wins. A look-up costs a
/// hash of the key and two short locks of a sharded map; no `Hash`, `Eq` or `Drop` of yours runs under a lock.
/// Dropping a map that is no `static` takes its values out of the tree.
///
/// Errors say the map's name, not the key, which need not be printable: put it into the initialiser's own error.
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
/// # Ok::<(), heirloom::InitError>(())
/// ```
pub struct HeirloomMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    name: &'static str,
    on_failure: OnFailure,
    core: OnceLock<Core<K, V>>,
}

struct Core<K: Send + Sync + 'static, V: Send + Sync + 'static> {
    table: Table<K>,
    bindings: Arc<Bindings<K, V>>,
}

/// A key that something is kept under.
type Known<'a, K, V> = (&'a Core<K, V>, Arc<Interned<K>>);

impl<K, V> HeirloomMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A map whose values are inherited. The name is for errors; it need not be unique.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, on_failure: OnFailure::Retry, core: OnceLock::new() }
    }

    /// What becomes of an initialiser's error; [`OnFailure::Retry`] unless told otherwise.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// The name given to it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn core(&self) -> &Core<K, V> {
        self.core.get_or_init(|| Core { table: Table::new(), bindings: Bindings::new(self.name, true) })
    }

    /// The nearest value of the key.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotBound`], which says where it was asked.
    pub fn get(&self, key: &K) -> Result<Arc<V>, NotBound> {
        self.find(None, key)
    }

    /// The nearest value of the key at that place or above it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_at(&self, at: &Lineage, key: &K) -> Result<Arc<V>, NotBound> {
        self.find(Some(at), key)
    }

    /// Shows the nearest value of the key to `f`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Result<R, NotBound> {
        self.get(key).map(|value| f(&value))
    }

    fn find(&self, at: Option<&Lineage>, key: &K) -> Result<Arc<V>, NotBound> {
        let not_bound = || {
            let place = at.cloned().unwrap_or_else(|| Lineage(current::nearest()));
            NotBound::new(self.name, place.to_string(), place.id(), None)
        };
        let Some((core, key)) = self.known(key) else { return Err(not_bound()) };
        let find = |node: &Node| {
            lookup::nearest::<Values, _>(node, &core.bindings.number, |slot_value| {
                node_map::binding::<K, V>(slot_value, key.number()).map(|binding| Arc::clone(binding.value()))
            })
        };
        let found = match at {
            Some(at) => find(at.0.node()),
            None => find(current::nearest_node(&current::pin())),
        };
        found.ok_or_else(not_bound)
    }

    /// The key, if anything is kept under it anywhere.
    fn known(&self, key: &K) -> Option<Known<'_, K, V>> {
        let core = self.core.get()?;
        Some((core, core.table.find(key)?))
    }

    /// The keys that have a value here or above, in no order.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, Scope};
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.bind("a", 1_u32)?;
    /// let below = Scope::new("below");
    /// MODULES.at(&below).bind("b", 2_u32)?;
    /// assert_eq!((MODULES.keys().len(), below.run(|| MODULES.keys()).len()), (1, 2));
    /// # Ok::<(), heirloom::BindError>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.keys_from(&current::nearest())
    }

    fn keys_from(&self, place: &NodeRef) -> Vec<K> {
        let Some(core) = self.core.get() else { return Vec::new() };
        let mut all = Vec::new();
        lookup::nearest::<Values, ()>(place.node(), &core.bindings.number, |slot_value| {
            all.extend(node_map::all::<K, V>(slot_value));
            None
        });
        all.sort_by_key(|binding| binding.key.number());
        all.dedup_by_key(|binding| binding.key.number());
        all.iter().map(|binding| binding.key.key().clone()).collect()
    }

    /// Binds a value at the current place: everything below finds it. The one that this very place had comes back.
    ///
    /// If an initialiser runs for this key and place, its waiters get this value, and so does the one who runs it.
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed), [`OwnerGone`](BindError::OwnerGone) in a scope that has ended, or
    /// [`NoPlace`](BindError::NoPlace) in code that shares its thread and has no place, such as a runtime's future.
    pub fn bind(&self, key: K, value: impl Into<Arc<V>>) -> Result<Option<Arc<V>>, BindError> {
        self.bind_as(&self.own_place()?, key, value.into(), BindMode::Replacing)
    }

    /// Where the code stands, for what is to be found there.
    fn own_place(&self) -> Result<NodeRef, BindError> {
        current::own_here().ok_or(BindError::NoPlace { key: self.name })
    }

    /// Binds a value at the current place, unless that very place has one of this key.
    ///
    /// # Errors
    /// [`AlreadyBound`](BindError::AlreadyBound), and those of [`bind`](Self::bind).
    pub fn bind_unique(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), BindError> {
        self.bind_as(&self.own_place()?, key, value.into(), BindMode::Unique).map(drop)
    }

    fn bind_as(&self, place: &NodeRef, key: K, value: Arc<V>, mode: BindMode) -> Result<Option<Arc<V>>, BindError> {
        let core = self.core();
        let key = core.table.intern(key);
        core.bindings.bind(&At { place, key: &key }, value, mode)
    }

    /// Takes out the value of the key that the very place where the code stands has.
    pub fn unbind(&self, key: &K) -> Option<Arc<V>> {
        self.unbind_as(&current::exactly_here()?, key)
    }

    fn unbind_as(&self, place: &NodeRef, key: &K) -> Option<Arc<V>> {
        let (core, key) = self.known(key)?;
        core.bindings.unbind(&At { place, key: &key })
    }

    /// Binds a value that was not asked for, or is being waited for, at the process. If an initialiser runs for the key
    /// there, everyone who waits gets this value at once; when the initialiser ends, its result is dropped and its
    /// caller gets this value too. The first one wins: where there is a value, it stays.
    ///
    /// ```
    /// use heirloom::{BindError, HeirloomMap};
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.publish("a", 1_u32)?;
    /// assert!(matches!(MODULES.publish("a", 2_u32), Err(BindError::AlreadyBound { .. })));
    /// assert_eq!(*MODULES.get_or_init(&"a", || 3)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`bind_unique`](Self::bind_unique).
    pub fn publish(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), BindError> {
        self.bind_as(&current::nearest().root(), key, value.into(), BindMode::Unique).map(drop)
    }

    /// [`publish`](Self::publish)es all; how many there were no values of before. Those that have one keep it.
    ///
    /// ```
    /// use heirloom::HeirloomMap;
    ///
    /// static MODULES: HeirloomMap<&str, u32> = HeirloomMap::new("modules");
    /// MODULES.publish("a", 1_u32)?;
    /// assert_eq!(MODULES.preload([("a", 10_u32), ("b", 20), ("c", 30)])?, 2);
    /// # Ok::<(), heirloom::BindError>(())
    /// ```
    ///
    /// # Errors
    /// [`Sealed`](BindError::Sealed); those before it are bound.
    pub fn preload<I, W>(&self, all: I) -> Result<usize, BindError>
    where
        I: IntoIterator<Item = (K, W)>,
        W: Into<Arc<V>>,
    {
        self.preload_at(&current::nearest().root(), all)
    }

    fn preload_at<I, W>(&self, place: &NodeRef, all: I) -> Result<usize, BindError>
    where
        I: IntoIterator<Item = (K, W)>,
        W: Into<Arc<V>>,
    {
        let mut new = 0;
        for (key, value) in all {
            match self.bind_as(place, key, value.into(), BindMode::Unique) {
                Ok(_) => new += 1,
                Err(BindError::AlreadyBound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(new)
    }

    /// Forgets a failure that is remembered at the process, so that the next call tries again. True when there was one.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, OnFailure};
    ///
    /// static HOSTS: HeirloomMap<&str, u32> = HeirloomMap::new("hosts").on_failure(OnFailure::Sticky);
    /// assert!(HOSTS.get_or_try_init(&"a", || Err("unreachable")).is_err());
    /// assert!(HOSTS.get_or_init(&"a", || 7).is_err()); // remembered
    /// assert!(HOSTS.forget(&"a"));
    /// assert_eq!(*HOSTS.get_or_init(&"a", || 7)?, 7);
    /// # Ok::<(), heirloom::InitError>(())
    /// ```
    pub fn forget(&self, key: &K) -> bool {
        self.forget_at(&current::nearest().root(), key)
    }

    fn forget_at(&self, place: &NodeRef, key: &K) -> bool {
        self.known(key).is_some_and(|(core, key)| core.bindings.forget(&At { place, key: &key }))
    }

    /// Nothing more is bound in this map, anywhere; see [`Heirloom::seal`](crate::Heirloom::seal).
    pub fn seal(&self) {
        self.core().bindings.seal();
    }

    /// Every value of this map with its key, wherever it was bound: those there are, then those to come.
    pub fn subscribe(&self) -> Subscription<V, K> {
        Subscription::new(&self.core().bindings)
    }

    /// The nearest value of the key; if there is none, that of `f`, which is then bound at the process. However many
    /// ask for one key at once, wherever they stand, `f` runs once. See
    /// [`Heirloom::get_or_init`](crate::Heirloom::get_or_init).
    ///
    /// # Errors
    /// An [`InitError`], when another's `f` panicked or this wait could not end well.
    ///
    /// # Panics
    /// When this call's own `f` panics: the panic goes on.
    pub fn get_or_init(&self, key: &K, f: impl FnOnce() -> V) -> Result<Arc<V>, InitError> {
        self.init(None, None, key, || Ok(f()))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail. What becomes of its error
    /// [`on_failure`](Self::on_failure) says.
    ///
    /// # Errors
    /// [`Failed`](InitError::Failed) with the error of `f`, and those of [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub fn get_or_try_init<E>(&self, key: &K, f: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, InitError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.init(None, None, key, || f().map_err(|error| failed(self.name, error)))
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime, and with an initialiser that is async; see
    /// [`Heirloom::get_or_init_async`](crate::Heirloom::get_or_init_async).
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_init_async<F>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, InitError>
    where
        F: Future<Output = V>,
    {
        self.init_async(None, None, key, || ready(f())).await
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init_async<F, E>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, InitError>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.init_async(None, None, key, || tried(self.name, f())).await
    }

    /// The same verbs at one place: what is bound, initialised or remembered belongs to it. To initialise, the caller
    /// must stand there or below.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, Scope};
    ///
    /// static PAGES: HeirloomMap<&str, String> = HeirloomMap::new("pages");
    /// let tenant = Scope::new("tenant 3");
    /// tenant.run(|| PAGES.at(&tenant).get_or_init(&"home", || String::from("<h1>3</h1>")))?;
    /// assert!(PAGES.at(&tenant).get(&"home").is_ok() && PAGES.get(&"home").is_err());
    /// # Ok::<(), heirloom::InitError>(())
    /// ```
    pub fn at(&self, owner: &Lineage) -> HeirloomMapAt<'_, K, V> {
        HeirloomMapAt { map: self, owner: Some(owner.clone()), within: None }
    }

    /// The same verbs with a bound on how long to wait for another's initialiser.
    pub fn within(&self, d: Duration) -> HeirloomMapAt<'_, K, V> {
        HeirloomMapAt { map: self, owner: None, within: Some(d) }
    }

    fn init(
        &self,
        owner: Option<&Lineage>,
        within: Option<Duration>,
        key: &K,
        make: impl FnOnce() -> Result<V, InitError>,
    ) -> Result<Arc<V>, InitError> {
        let place = match self.find_or_place(owner, key)? {
            Ok(found) => return Ok(found),
            Err(place) => place,
        };
        let core = self.core();
        let key = core.table.intern(key.clone());
        let at = At { place: &place, key: &key };
        let sticky = self.on_failure == OnFailure::Sticky;
        InitCall { bindings: &core.bindings, at, deadline: within.and_then(park::after), sticky, derived: false }
            .value(make)
    }

    async fn init_async<F>(
        &self,
        owner: Option<&Lineage>,
        within: Option<Duration>,
        key: &K,
        make: impl FnOnce() -> F,
    ) -> Result<Arc<V>, InitError>
    where
        F: Future<Output = Result<V, InitError>>,
    {
        let place = match self.find_or_place(owner, key)? {
            Ok(found) => return Ok(found),
            Err(place) => place,
        };
        let core = self.core();
        let key = core.table.intern(key.clone());
        let at = At { place: &place, key: &key };
        let sticky = self.on_failure == OnFailure::Sticky;
        let ask =
            InitCall { bindings: &core.bindings, at, deadline: within.and_then(park::after), sticky, derived: false };
        ask.value_async(make).await
    }

    /// The value, or where it is to be initialised.
    fn find_or_place(&self, owner: Option<&Lineage>, key: &K) -> Result<Result<Arc<V>, NodeRef>, InitError> {
        if let Ok(found) = self.get(key) {
            return Ok(Ok(found));
        }
        Ok(Err(match owner {
            Some(owner) => below(self.name, owner)?,
            None => current::nearest().root(),
        }))
    }
}

impl<K, V> Drop for HeirloomMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(core) = self.core.get() {
            core.bindings.give_up();
        }
    }
}

impl<K, V> fmt::Debug for HeirloomMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeirloomMap").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The verbs of a [`HeirloomMap`] with an owner or a bound of one's own; made by [`HeirloomMap::at`] and
/// [`HeirloomMap::within`].
#[must_use = "it does nothing by itself"]
pub struct HeirloomMapAt<'a, K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    map: &'a HeirloomMap<K, V>,
    owner: Option<Lineage>,
    within: Option<Duration>,
}

impl<K, V> HeirloomMapAt<'_, K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Waits at most `d` for another's initialiser, which goes on undisturbed; then it is [`InitError::TimedOut`].
    pub fn within(mut self, d: Duration) -> Self {
        self.within = Some(d);
        self
    }

    fn place(&self) -> Result<NodeRef, BindError> {
        self.owner.as_ref().map_or_else(|| self.map.own_place(), |owner| Ok(owner.0.clone()))
    }

    /// Where values are published and failures remembered.
    fn slot(&self) -> NodeRef {
        self.owner.as_ref().map_or_else(|| current::nearest().root(), |owner| owner.0.clone())
    }

    /// The nearest value of the key at that place or above it.
    ///
    /// # Errors
    /// As [`HeirloomMap::get`].
    pub fn get(&self, key: &K) -> Result<Arc<V>, NotBound> {
        self.map.find(self.owner.as_ref(), key)
    }

    /// Shows the nearest value of the key at that place or above it to `f`.
    ///
    /// # Errors
    /// As [`HeirloomMap::get`].
    pub fn with<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Result<R, NotBound> {
        self.get(key).map(|value| f(&value))
    }

    /// The keys that have a value there or above, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.map.keys_from(&self.owner.as_ref().map_or_else(current::nearest, |owner| owner.0.clone()))
    }

    /// Binds a value there; see [`HeirloomMap::bind`].
    ///
    /// # Errors
    /// As [`HeirloomMap::bind`].
    pub fn bind(&self, key: K, value: impl Into<Arc<V>>) -> Result<Option<Arc<V>>, BindError> {
        self.map.bind_as(&self.place()?, key, value.into(), BindMode::Replacing)
    }

    /// Binds a value there unless there is one; see [`HeirloomMap::bind_unique`].
    ///
    /// # Errors
    /// As [`HeirloomMap::bind_unique`].
    pub fn bind_unique(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), BindError> {
        self.map.bind_as(&self.place()?, key, value.into(), BindMode::Unique).map(drop)
    }

    /// Takes out the value that place itself has.
    pub fn unbind(&self, key: &K) -> Option<Arc<V>> {
        match &self.owner {
            Some(owner) => self.map.unbind_as(&owner.0, key),
            None => self.map.unbind(key),
        }
    }

    /// See [`HeirloomMap::publish`].
    ///
    /// # Errors
    /// As [`HeirloomMap::publish`].
    pub fn publish(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), BindError> {
        self.map.bind_as(&self.slot(), key, value.into(), BindMode::Unique).map(drop)
    }

    /// See [`HeirloomMap::preload`].
    ///
    /// # Errors
    /// As [`HeirloomMap::preload`], and [`OwnerGone`](BindError::OwnerGone).
    pub fn preload<I, W>(&self, all: I) -> Result<usize, BindError>
    where
        I: IntoIterator<Item = (K, W)>,
        W: Into<Arc<V>>,
    {
        self.map.preload_at(&self.slot(), all)
    }

    /// See [`HeirloomMap::forget`].
    pub fn forget(&self, key: &K) -> bool {
        self.map.forget_at(&self.slot(), key)
    }

    /// See [`HeirloomMap::get_or_init`]. A value that is nearer, or further up, is found first.
    ///
    /// # Errors
    /// As [`HeirloomMap::get_or_init`], and [`InitError::NotBelow`] for a caller who does not stand at the owner or
    /// below it.
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub fn get_or_init(&self, key: &K, f: impl FnOnce() -> V) -> Result<Arc<V>, InitError> {
        self.map.init(self.owner.as_ref(), self.within, key, || Ok(f()))
    }

    /// See [`HeirloomMap::get_or_try_init`].
    ///
    /// # Errors
    /// As [`HeirloomMap::get_or_try_init`], and [`InitError::NotBelow`] for a caller who does not stand at the owner or
    /// below it.
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub fn get_or_try_init<E>(&self, key: &K, f: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, InitError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let name = self.map.name;
        self.map.init(self.owner.as_ref(), self.within, key, || f().map_err(|error| failed(name, error)))
    }

    /// See [`HeirloomMap::get_or_init_async`].
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub async fn get_or_init_async<F>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, InitError>
    where
        F: Future<Output = V>,
    {
        self.map.init_async(self.owner.as_ref(), self.within, key, || ready(f())).await
    }

    /// See [`HeirloomMap::get_or_try_init_async`].
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub async fn get_or_try_init_async<F, E>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, InitError>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.map.init_async(self.owner.as_ref(), self.within, key, || tried(self.map.name, f())).await
    }
}

impl<K, V> fmt::Debug for HeirloomMapAt<'_, K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { map, owner, within } = self;
        f.debug_struct("HeirloomMapAt").field("map", &map.name).field("owner", owner).field("within", within).finish()
    }
}
