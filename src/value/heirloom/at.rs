//! [`HeirloomAt`]: the verbs of a key at another node, or with a bound on its waits.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::error::Error;
use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;
use crate::value::heirloom::Heirloom;
use crate::value::init_call::{BoxError, infallible};
use crate::value::site::Site;
use crate::value::slot::BindMode;

/// The verbs of a [`Heirloom`] at another node, or with a bound on its waits.
///
/// Made by [`Heirloom::at`] and [`Heirloom::within`]. Costs nothing of its own.
#[must_use = "it does nothing by itself"]
pub struct HeirloomAt<'a, T: Send + Sync + 'static> {
    key: &'a Heirloom<T>,
    site: Site<'a>,
}

impl<T: Send + Sync + 'static> Heirloom<T> {
    /// Returns the same verbs at another node: a value is looked up, bound, unbound or initialised there.
    ///
    /// ```
    /// use heirloom::{Heirloom, Scope};
    ///
    /// static CACHE: Heirloom<Vec<u8>> = Heirloom::new("cache");
    /// let tenant = Scope::new("tenant 3");
    /// let request = Scope::new_in(&tenant, "request 7");
    /// request.run(|| CACHE.at(&tenant).get_or_init(Vec::new))?; // stands below, so it may
    /// assert!(CACHE.at(&tenant).get().is_ok() && CACHE.get().is_err());
    /// let sibling = Scope::new("tenant 4");
    /// let refused = sibling.run(|| CACHE.at(&tenant).get_or_init(Vec::new));
    /// assert_eq!(refused.unwrap_err().kind(), heirloom::ErrorKind::NotBelow);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub const fn at<'a>(&'a self, node: &'a Lineage) -> HeirloomAt<'a, T> {
        HeirloomAt { key: self, site: Site::at(node) }
    }

    /// Returns the same verbs with a bound on the wait for another caller's initialiser.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use heirloom::{Heirloom, thread};
    ///
    /// static SLOW: Heirloom<u32> = Heirloom::new("slow");
    /// let (go, gate) = mpsc::channel();
    /// let (began, begins) = mpsc::channel();
    /// let leader = thread::spawn(move || {
    ///     SLOW.get_or_try_init(|| {
    ///         let _ = began.send(());
    ///         gate.recv()
    ///     })
    /// })?;
    /// begins.recv().unwrap();
    /// let early = SLOW.within(Duration::from_millis(1)).get_or_init(|| 0);
    /// assert_eq!(early.unwrap_err().kind(), heirloom::ErrorKind::TimedOut);
    /// go.send(7).unwrap();
    /// assert_eq!(*leader.join()??, 7); // undisturbed
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub const fn within(&self, d: Duration) -> HeirloomAt<'_, T> {
        HeirloomAt { key: self, site: Site::HERE.timeout(d) }
    }
}

impl<T: Send + Sync + 'static> HeirloomAt<'_, T> {
    /// Waits at most `d` for another caller's initialiser, and returns [`InitError::TimedOut`](crate::InitError::TimedOut) then. The initialiser
    /// goes on undisturbed.
    pub const fn within(mut self, d: Duration) -> Self {
        self.site = self.site.timeout(d);
        self
    }

    /// Returns the nearest value at that node or above it; see [`Heirloom::get`].
    ///
    /// # Errors
    /// As [`Heirloom::get`].
    #[inline]
    pub fn get(&self) -> Result<Arc<T>, Error> {
        Ok(self.key.find(self.site, Arc::clone)?)
    }

    /// Lends the nearest value at that node or above it to `f`; see [`Heirloom::with`].
    ///
    /// # Errors
    /// As [`Heirloom::get`].
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, Error> {
        Ok(self.key.find(self.site, |value| f(value))?)
    }

    /// Returns the node of the value that [`get`](Self::get) returns; see [`Heirloom::place`].
    ///
    /// # Errors
    /// As [`Heirloom::place`].
    pub fn place(&self) -> Result<Lineage, Error> {
        Ok(self.key.find_place(self.site)?)
    }

    /// Binds a value at that node, and returns the one before; see [`Heirloom::bind`].
    ///
    /// # Errors
    /// As [`Heirloom::bind`].
    pub fn bind(&self, value: impl Into<Arc<T>>) -> Result<Option<Arc<T>>, Error> {
        self.key.bind_in(self.site, value.into(), BindMode::Replacing)
    }

    /// Binds a value at that node, unless it has one; see [`Heirloom::bind_unique`].
    ///
    /// # Errors
    /// As [`Heirloom::bind_unique`].
    pub fn bind_unique(&self, value: impl Into<Arc<T>>) -> Result<(), Error> {
        self.key.bind_in(self.site, value.into(), BindMode::Unique).map(drop)
    }

    /// Removes the value of that very node, and returns it; see [`Heirloom::unbind`].
    pub fn unbind(&self) -> Option<Arc<T>> {
        self.key.unbind_in(self.site)
    }

    /// Returns the nearest value from where the caller stands, or initialises one for that node; see
    /// [`Heirloom::get_or_init`].
    ///
    /// # Errors
    /// As [`Heirloom::get_or_init`], and [`InitError::NotBelow`](crate::InitError::NotBelow) for a caller that does not stand at the node or below
    /// it.
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<Arc<T>, Error> {
        self.key.own_of(self.key.ask(self.site).value(|| Ok::<_, Infallible>(f())))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail; see [`Heirloom::get_or_try_init`].
    ///
    /// # Errors
    /// As [`Heirloom::get_or_try_init`], and [`InitError::NotBelow`](crate::InitError::NotBelow) for a caller that does not stand at the node or
    /// below it.
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub fn get_or_try_init<E: Into<BoxError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, Error> {
        self.key.own_of(self.key.ask(self.site).value(f))
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime; see [`Heirloom::get_or_init_async`].
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub async fn get_or_init_async<F: Future<Output = T>>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, Error> {
        self.key.own_of(self.key.ask(self.site).value_async(|| infallible(f())).await)
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`Heirloom::get_or_init`].
    pub async fn get_or_try_init_async<F, E>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, Error>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        self.key.own_of(self.key.ask(self.site).value_async(f).await)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for HeirloomAt<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { at, timeout } = &self.site;
        f.debug_struct("HeirloomAt").field("key", &self.key.name).field("at", at).field("within", timeout).finish()
    }
}
