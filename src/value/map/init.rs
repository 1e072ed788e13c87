//! The initialising verbs of a [`HeirloomMap`].

use std::convert::Infallible;
use std::future::Future;
use std::hash::Hash;

use crate::error::Error;
use crate::sync::os::Arc;
use crate::value::init_call::{Ask, BoxError, InitCall, infallible};
use crate::value::map::{HeirloomMap, OnFailure};
use crate::value::site::Site;

impl<K: Eq + Hash + Clone + Send + Sync + 'static, V: Send + Sync + 'static> HeirloomMap<K, V> {
    /// Returns the nearest value of the key, or initialises one and binds it at the process.
    ///
    /// However many callers ask for one key at once, wherever they stand, `f` runs once. See
    /// [`Heirloom::get_or_init`](crate::Heirloom::get_or_init).
    ///
    /// # Errors
    /// An [`InitError`](crate::InitError): the `f` of another caller panicked, or the wait for it ended early.
    ///
    /// # Panics
    /// When this call's own `f` panics: the panic goes on.
    pub fn get_or_init(&self, key: &K, f: impl FnOnce() -> V) -> Result<Arc<V>, Error> {
        self.ask(Site::HERE, key).value(|| Ok::<_, Infallible>(f()))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail. [`on_failure`](Self::on_failure) says
    /// whether its error is remembered.
    ///
    /// # Errors
    /// [`Failed`](crate::InitError::Failed) with the error of `f`, and those of [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub fn get_or_try_init<E>(&self, key: &K, f: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, Error>
    where
        E: Into<BoxError>,
    {
        self.ask(Site::HERE, key).value(f)
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime, and with an initialiser that is async; see
    /// [`Heirloom::get_or_init_async`](crate::Heirloom::get_or_init_async).
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_init_async<F>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = V>,
    {
        self.ask(Site::HERE, key).value_async(|| infallible(f())).await
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init_async<F, E>(&self, key: &K, f: impl FnOnce() -> F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<V, E>>,
        E: Into<BoxError>,
    {
        self.ask(Site::HERE, key).value_async(f).await
    }

    /// Returns the call that initialises the value, unless it is there already.
    pub(super) fn ask(&self, site: Site<'_>, key: &K) -> Ask<'_, K, V> {
        if let Some(found) = self.find(Site::HERE, key) {
            return Ask::Known(Ok(found));
        }
        let node = match site.owner_above(self.name) {
            Ok(node) => node,
            Err(error) => return Ask::Known(Err(error)),
        };
        let sticky = self.on_failure == OnFailure::Sticky;
        Ask::Init(InitCall { slot: self.slot(node, key.clone()), deadline: site.deadline(), sticky, derived: false })
    }
}
