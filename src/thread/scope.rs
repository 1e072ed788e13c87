//! [`scope`]: threads that may borrow from the caller.

use crate::error::{Error, SpawnError};
use crate::thread::builder::Builder;
use crate::thread::handle::ScopedJoinHandle;

/// A scope whose threads may borrow; see [`scope`](fn@scope).
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope std::thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread below the caller's node.
    ///
    /// # Errors
    /// As [`Builder::spawn`].
    pub fn spawn<F, T>(self, f: F) -> Result<ScopedJoinHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Builder::new().spawn_scoped(self, f)
    }
}

/// Runs `f` with a scope whose threads may borrow from the caller, as `std::thread::scope`. Each thread stands below
/// the node that started it.
///
/// Its end blocks as `std`'s does. In a pool's task, join the threads, or put the scope in
/// [`heirloom::blocking`](crate::blocking), so that the wait releases the task's permit. In the child of a fork inside
/// `f` the end waits for ever for threads that run in the parent, as `std`'s does: call `exec` or `_exit` inside `f`
/// there.
///
/// ```
/// use heirloom::{PoolConfig, Scope, thread};
///
/// let request = Scope::new("request 7");
/// request.create("render").start(PoolConfig::leased(2))?;
/// let names = ["head", "body"]; // borrowed
/// let found: Result<Vec<_>, heirloom::Error> = request.run(|| {
///     thread::scope(|s| {
///         let each = names.map(|name| s.spawn(move || (name, heirloom::get("render").is_ok())));
///         each.into_iter().map(|thread| thread?.join()).collect()
///     })
/// });
/// assert_eq!(found?, [("head", true), ("body", true)]);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
{
    std::thread::scope(|scope| f(Scope(scope)))
}

impl Builder {
    /// As [`Builder::spawn`], in a [`scope`].
    ///
    /// # Errors
    /// As [`Builder::spawn`].
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: Scope<'scope, '_>,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let builder = self.std()?;
        let (child, started) = self.child();
        let inner = builder.spawn_scoped(scope.0, move || child.run(f)).map_err(SpawnError::from)?;
        Ok(ScopedJoinHandle { inner, started })
    }
}
