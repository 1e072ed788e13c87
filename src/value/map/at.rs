//! [`HeirloomMapAt`]: the verbs of a map at another node, or with a bound on its waits.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use crate::error::Error;
use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;
use crate::value::init_call::{BoxError, infallible};
use crate::value::map::HeirloomMap;
use crate::value::site::Site;
use crate::value::slot::BindMode;

/// The verbs of a [`HeirloomMap`] at another node, or with a bound on its waits.
///
/// Made by [`HeirloomMap::at`] and [`HeirloomMap::within`]. Costs nothing of its own.
#[must_use = "it does nothing by itself"]
pub struct HeirloomMapAt<'a, K: Send + Sync + 'static, V: Send + Sync + 'static> {
    map: &'a HeirloomMap<K, V>,
    site: Site<'a>,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static, V: Send + Sync + 'static> HeirloomMap<K, V> {
    /// Returns the same verbs at another node: a value is looked up, bound or initialised there, and a failure
    /// remembered there. To initialise, the caller must stand at that node or below it.
    ///
    /// ```
    /// use heirloom::{HeirloomMap, Scope};
    ///
    /// static PAGES: HeirloomMap<&str, String> = HeirloomMap::new("pages");
    /// let tenant = Scope::new("tenant 3");
    /// tenant.run(|| PAGES.at(&tenant).get_or_init(&"home", || String::from("<h1>3</h1>")))?;
    /// assert!(PAGES.at(&tenant).get(&"home").is_ok() && PAGES.get(&"home").is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub const fn at<'a>(&'a self, node: &'a Lineage) -> HeirloomMapAt<'a, K, V> {
        HeirloomMapAt { map: self, site: Site::at(node) }
    }

    /// Returns the same verbs with a bound on the wait for another caller's initialiser.
    pub const fn within(&self, d: Duration) -> HeirloomMapAt<'_, K, V> {
        HeirloomMapAt { map: self, site: Site::HERE.timeout(d) }
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static, V: Send + Sync + 'static> HeirloomMapAt<'_, K, V> {
    /// Waits at most `d` for another caller's initialiser, and returns [`InitError::TimedOut`](crate::InitError::TimedOut) then. The initialiser
    /// goes on undisturbed.
    pub const fn within(mut self, d: Duration) -> Self {
        self.site = self.site.timeout(d);
        self
    }

    /// Returns the nearest value of the key at that node or above it.
    ///
    /// # Errors
    /// As [`HeirloomMap::get`].
    pub fn get(&self, key: &K) -> Result<Arc<V>, Error> {
        self.map.get_in(self.site, key)
    }

    /// Shows the nearest value of the key at that node or above it to `f`.
    ///
    /// # Errors
    /// As [`HeirloomMap::get`].
    pub fn with<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Result<R, Error> {
        self.get(key).map(|value| f(&value))
    }

    /// Returns the keys that have a value at that node or above it, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.map.keys_in(self.site)
    }

    /// Binds a value at that node, and returns the one before; see [`HeirloomMap::bind`].
    ///
    /// # Errors
    /// As [`HeirloomMap::bind`].
    pub fn bind(&self, key: K, value: impl Into<Arc<V>>) -> Result<Option<Arc<V>>, Error> {
        self.map.bind_in(self.site, key, value.into(), BindMode::Replacing)
    }

    /// Binds a value at that node, unless it has one of this key; see [`HeirloomMap::bind_unique`].
    ///
    /// # Errors
    /// As [`HeirloomMap::bind_unique`].
    pub fn bind_unique(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), Error> {
        self.map.bind_in(self.site, key, value.into(), BindMode::Unique).map(drop)
    }

    /// Removes the key's value of that very node, and returns it.
    pub fn unbind(&self, key: &K) -> Option<Arc<V>> {
        self.map.unbind_in(self.site, key)
    }

    /// Publishes a value at that node; see [`HeirloomMap::publish`].
    ///
    /// # Errors
    /// As [`HeirloomMap::publish`].
    pub fn publish(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), Error> {
        Ok(self.map.publish_in(self.site, key, value.into())?)
    }

    /// Publishes all values at that node; see [`HeirloomMap::preload`].
    ///
    /// # Errors
    /// As [`HeirloomMap::preload`], and [`OwnerGone`](crate::BindError::OwnerGone).
    pub fn preload<W: Into<Arc<V>>>(&self, all: impl IntoIterator<Item = (K, W)>) -> Result<usize, Error> {
        self.map.preload_in(self.site, all)
    }

    /// Forgets a failure that is remembered at that node; see [`HeirloomMap::forget`].
    pub fn forget(&self, key: &K) -> bool {
        self.map.forget_in(self.site, key)
    }

    /// Returns the nearest value from where the caller stands, or initialises one for that node; see
    /// [`HeirloomMap::get_or_init`].
    ///
    /// # Errors
    /// As [`HeirloomMap::get_or_init`], and [`InitError::NotBelow`](crate::InitError::NotBelow) for a caller that does not stand at the node or
    /// below it.
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub fn get_or_init(&self, key: &K, f: impl FnOnce() -> V) -> Result<Arc<V>, Error> {
        self.map.ask(self.site, key).value(|| Ok::<_, Infallible>(f()))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail; see [`HeirloomMap::get_or_try_init`].
    ///
    /// # Errors
    /// As [`HeirloomMap::get_or_try_init`], and [`InitError::NotBelow`](crate::InitError::NotBelow) for a caller that does not stand at the node or
    /// below it.
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub fn get_or_try_init<E>(&self, key: &K, f: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, Error>
    where
        E: Into<BoxError>,
    {
        self.map.ask(self.site, key).value(f)
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime; see [`HeirloomMap::get_or_init_async`].
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub async fn get_or_init_async<F>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = V>,
    {
        self.map.ask(self.site, key).value_async(|| infallible(f())).await
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`HeirloomMap::get_or_init`].
    pub async fn get_or_try_init_async<F, E>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<BoxError>,
    {
        self.map.ask(self.site, key).value_async(f).await
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> fmt::Debug for HeirloomMapAt<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { at, timeout } = &self.site;
        f.debug_struct("HeirloomMapAt").field("map", &self.map.name).field("at", at).field("within", timeout).finish()
    }
}
