//! [`call`]: find, submit and wait in one; and the verb of each handle of a manager.

use crate::error::Error;
use crate::names::namespace::Namespace;
use crate::names::task_type::{Task, TaskKind};
use crate::pool::handle::call::Call;
use crate::registry::find::with;
use crate::registry::manager::PoolManager;
use crate::registry::of_type::OfType;
use crate::registry::stateful::StatefulManager;
use crate::registry::typed::TypedManager;

/// Finds a manager by name, submits `f`, and returns the wait for the result.
///
/// The short form of [`get`](crate::get), [`submit`](PoolManager::submit) and [`join`](crate::TaskHandle::join) or `.await`,
/// with one error for all of them and the closure: that of the closure, into which [`Error`] converts. Enums with a
/// `#[from] heirloom::Error`, `Box<dyn Error + Send + Sync>`, `anyhow::Error` and [`std::io::Error`] are such types.
///
/// Never blocks. The returned [`Call`] waits, by [`join`](Call::join) or as a future, and its drop cancels the task.
///
/// ```
/// use heirloom::PoolConfig;
///
/// fn main() -> std::io::Result<()> {
///     heirloom::create("files").start(PoolConfig::leased(8))?;
///     let manifest = heirloom::call("files", || std::fs::read_to_string("Cargo.toml"));
///     let readme = heirloom::call("files", || std::fs::read_to_string("README.md")); // both are under way
///     println!("{} and {} bytes", manifest.join()?.len(), readme.join()?.len());
///     Ok(())
/// }
/// ```
///
/// In async code it is awaited. A closure that has no error of its own names the type where the compiler asks for it:
///
/// ```
/// use heirloom::{Error, FutureExt, PoolConfig, Scope};
///
/// async fn page() -> Result<String, Error> {
///     let rows = heirloom::call("db", || Ok::<_, Error>(vec!["bolt", "nut"])).await?;
///     heirloom::call("render", move || Ok(rows.join("\n"))).await
/// }
///
/// let request = Scope::new("request 7");
/// request.create("db").start(PoolConfig::leased(1))?;
/// request.create("render").start(PoolConfig::leased(1))?;
/// assert_eq!(futures::executor::block_on(page().in_scope(request))?, "bolt\nnut");
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// None here: a look-up that finds nothing and a refusal are errors of the returned call.
///
/// A full queue refuses, as in [`submit`](PoolManager::submit): an error that [is temporary](Error::is_temporary). To wait
/// for capacity instead, use [`submit_async`](PoolManager::submit_async) or
/// [`submit_timeout`](PoolManager::submit_timeout).
pub fn call<F, T, E>(ns: impl Into<Namespace>, f: F) -> Call<T, E>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    with(ns, |manager| manager.call(f)).unwrap_or_else(|missing| Call::new(Err(missing)))
}

/// Gives a handle the verb `call`. It is written once for both handles.
macro_rules! calls {
    ($handle:ident) => {
        impl $handle {
            /// Submits `f`, and returns the wait for its result: [`submit`](Self::submit) and
            /// [`join`](crate::TaskHandle::join) with one error.
            ///
            /// The error is the closure's own, into which [`Error`] converts; see [`call`](crate::call). Never blocks. The returned
            /// [`Call`] waits, by [`join`](Call::join) or as a future, and its drop cancels the task.
            ///
            /// ```
            /// use heirloom::{PoolConfig, Scope};
            ///
            /// let scope = Scope::new("doc");
            /// let work = scope.create("work");
            /// work.start(PoolConfig::leased(2))?;
            /// let read = |file: &'static str| work.call(move || std::fs::read_to_string(file));
            /// let (manifest, readme) = (read("Cargo.toml"), read("README.md")); // beside each other
            /// assert!(manifest.join()?.len() < readme.join()?.len());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            ///
            /// # Errors
            /// None here: a refusal is the error of the returned call.
            pub fn call<F, T, E>(&self, f: F) -> Call<T, E>
            where
                F: FnOnce() -> Result<T, E> + Send + 'static,
                T: Send + 'static,
                E: From<Error> + Send + 'static,
            {
                Call::submit(|| self.submit(f))
            }
        }
    };
}

calls!(PoolManager);
calls!(OfType);

impl<K: TaskKind> TypedManager<K> {
    /// As [`PoolManager::call`].
    ///
    /// # Errors
    /// None here: a refusal is the error of the returned call.
    pub fn call<F, T, E>(&self, task: Task<K, F>) -> Call<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        Call::submit(|| self.submit(task))
    }
}

impl<S: 'static> StatefulManager<S> {
    /// As [`PoolManager::call`], with the state of the worker.
    ///
    /// # Errors
    /// None here: a refusal is the error of the returned call.
    pub fn call<F, T, E>(&self, f: F) -> Call<T, E>
    where
        F: FnOnce(&mut S) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        Call::submit(|| self.submit(f))
    }
}
