//! [`scope`]: threads that may borrow from the caller.

use std::io;

use crate::thread::builder::Builder;
use crate::thread::handle::ScopedJoinHandle;

/// A scope whose threads may borrow; see [`scope`](fn@scope).
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope std::thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread below the caller's node.
    ///
    /// # Panics
    /// When the operating system refuses a thread; [`Builder::spawn_scoped`] returns an error instead.
    pub fn spawn<F, T>(self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (child, started) = Builder::new().child();
        ScopedJoinHandle { inner: self.0.spawn(move || child.run(f)), started }
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
/// let found = request.run(|| {
///     thread::scope(|s| {
///         let each = names.map(|name| s.spawn(move || (name, heirloom::get("render").is_ok())));
///         each.map(|thread| thread.join().unwrap())
///     })
/// });
/// assert_eq!(found, [("head", true), ("body", true)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
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
    pub fn spawn_scoped<'scope, F, T>(self, scope: Scope<'scope, '_>, f: F) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let builder = self.std()?;
        let (child, started) = self.child();
        Ok(ScopedJoinHandle { inner: builder.spawn_scoped(scope.0, move || child.run(f))?, started })
    }
}
