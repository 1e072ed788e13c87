//! The initialising verbs of a [`Heirloom`].

use std::convert::Infallible;
use std::future::Future;

use crate::error::{Error, InitError};
use crate::lineage::current;
use crate::sync::os::Arc;
use crate::value::bindings::Outcome;
use crate::value::heirloom::{Heirloom, Policy};
use crate::value::init_call::{Ask, BoxError, InitCall, infallible};
use crate::value::site::Site;

impl<T: Send + Sync + 'static> Heirloom<T> {
    /// Returns the nearest value, or initialises one and binds it at the process (of an [`isolated`](Self::isolated)
    /// key: at the current node).
    ///
    /// However many callers ask at once, wherever they stand, `f` runs once, at the owner's node, and every caller gets
    /// its value. No look-up finds the value before it is ready.
    ///
    /// The other callers block; a task that waits releases its permit. Because `f` runs for them too, it finds the
    /// managers and values of the owner, not those of its own caller, and a cancel of its caller does not reach it.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static CONFIG: Heirloom<Vec<u8>> = Heirloom::new("config");
    /// let length = CONFIG.get_or_init(|| std::fs::read("Cargo.toml").unwrap_or_default())?.len();
    /// assert_eq!(CONFIG.get()?.len(), length); // bound now
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// An [`InitError`]: the `f` of another caller panicked, or the wait for it ended early.
    ///
    /// # Panics
    /// When this call's own `f` panics: the panic goes on. The other callers get [`InitError::Panicked`].
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<Arc<T>, Error> {
        self.own_of(self.ask(Site::HERE).value(|| Ok::<_, Infallible>(f())))
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail. Every waiter gets its error; no value
    /// is bound then, and the next call tries again.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static PORT: Heirloom<u16> = Heirloom::new("port");
    /// let failed = PORT.get_or_try_init(|| "eighty".parse::<u16>());
    /// assert_eq!(failed.unwrap_err().kind(), heirloom::ErrorKind::InitFailed);
    /// assert_eq!(*PORT.get_or_try_init(|| "80".parse::<u16>())?, 80);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Failed`](InitError::Failed) with the error of `f`, and those of [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub fn get_or_try_init<E: Into<BoxError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, Error> {
        self.own_of(self.ask(Site::HERE).value(f))
    }

    /// As [`get_or_init`](Self::get_or_init), without blocking the runtime, and with an initialiser that is async.
    ///
    /// `f` makes a future that one of the callers polls, at the owner's node. If that caller's future is dropped before
    /// the value is ready, the initialiser is dropped with it, and another caller begins anew with its own. Two async
    /// initialisers that await each other's values are not found as a circle.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static PORT: Heirloom<u16> = Heirloom::new("port");
    /// let port = futures::executor::block_on(PORT.get_or_init_async(|| async { 80 }))?; // on any runtime
    /// assert_eq!((*port, *PORT.get()?), (80, 80));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_init_async<F: Future<Output = T>>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, Error> {
        self.own_of(self.ask(Site::HERE).value_async(|| infallible(f())).await)
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with an initialiser that may fail.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init_async<F, E>(&self, f: impl FnOnce() -> F) -> Result<Arc<T>, Error>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        self.own_of(self.ask(Site::HERE).value_async(f).await)
    }

    /// Returns the call that initialises the value, unless its outcome is known already.
    pub(super) fn ask(&self, site: Site<'_>) -> Ask<'_, (), T> {
        self.init_call(site).map_or_else(Ask::Known, Ask::Init)
    }

    fn init_call(&self, site: Site<'_>) -> Result<InitCall<'_, (), T>, Outcome<T>> {
        let isolated = matches!(self.policy, Policy::Isolated);
        let no_place = || Err(InitError::NoPlace { key: self.name });
        if matches!(self.policy, Policy::Fresh(_)) && current::own_here().is_none() {
            // The value would be made for other nodes, and this code gets none.
            return Err(no_place());
        }
        // Of an isolated key only the owner's own value counts.
        match self.find(if isolated { site } else { Site::HERE }, Arc::clone) {
            Ok(found) => return Err(Ok(found)),
            Err(missing) => missing.init_error().map_or(Ok(()), |cause| Err(Err(cause.clone())))?,
        }
        let node = match isolated && site.at.is_none() {
            true => current::own_here().ok_or_else(no_place)?,
            false => site.owner_above(self.name).map_err(Err)?,
        };
        Ok(InitCall { slot: self.slot(node), deadline: site.deadline(), sticky: false, derived: false })
    }

    /// Returns the value of the caller's own node, where `made` was made for the owner of a fresh key.
    pub(super) fn own_of(&self, made: Result<Arc<T>, Error>) -> Result<Arc<T>, Error> {
        let made = made?;
        if !matches!(self.policy, Policy::Fresh(_)) {
            return Ok(made);
        }
        self.find_here().or_else(|missing| missing.init_error().map_or(Ok(made), |cause| Err(cause.clone().into())))
    }
}
