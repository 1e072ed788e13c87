//! Threads that know who started them.
//!
//! The functions here are `std::thread`'s with one difference: the new thread is a child of the place that started it,
//! so it finds the managers of that place. A thread started with plain `std::thread` stands directly below the process.

use std::io;
use std::thread::JoinHandle;

use crate::lineage::current::{self, Pending};
use crate::lineage::handle::CutOnDrop;
use crate::lineage::node::Place;

/// Starts a thread below the current place. As `std::thread::spawn`.
///
/// # Panics
/// When the operating system refuses a thread; [`Builder::spawn`] returns that as an error.
///
/// ```
/// let request = heirloom::Scope::new("request");
/// let seen = request.run(|| heirloom::thread::spawn(|| heirloom::current().parent()));
/// assert_eq!(seen.join().unwrap().as_ref(), Some(&*request));
/// ```
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let child = Child::here(None);
    std::thread::spawn(move || child.run(f))
}

/// Settings for a thread, as `std::thread::Builder`.
///
/// ```
/// use heirloom::{Lineage, Scope, thread};
///
/// let request = Scope::new("request 7");
/// let _at = request.enter();
/// let parent = || heirloom::current().parent();
/// let child = thread::Builder::new().name("reader").stack_size(256 << 10).spawn(parent)?;
/// let stranger = thread::Builder::new().detached().spawn(parent)?;
/// assert_eq!(child.join().unwrap().as_ref(), Some(request.lineage()));
/// assert_eq!(stranger.join().unwrap(), Some(Lineage::process()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a thread is started by `spawn`"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    detached: bool,
}

impl Builder {
    /// The settings `std` starts from.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread, and its node.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The stack size in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Cuts the edge on purpose: the thread stands directly below the process.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Starts the thread below the current place.
    ///
    /// # Errors
    /// The operating system's, when it refuses a thread.
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (builder, child) = self.split()?;
        builder.spawn(move || child.run(f))
    }

    /// As [`Builder::spawn`], in a [`scope`].
    ///
    /// # Errors
    /// The operating system's, when it refuses a thread.
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: Scope<'scope, '_>,
        f: F,
    ) -> io::Result<std::thread::ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (builder, child) = self.split()?;
        builder.spawn_scoped(scope.0, move || child.run(f))
    }

    fn split(self) -> io::Result<(std::thread::Builder, Child)> {
        let mut builder = std::thread::Builder::new();
        if let Some(name) = &self.name {
            if name.contains('\0') {
                // `std` panics here; a caller's mistake is an error.
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a thread name cannot contain a zero byte"));
            }
            builder = builder.name(name.clone());
        }
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let child = if self.detached { Child::at(Place::PROCESS, self.name) } else { Child::here(self.name) };
        Ok((builder, child))
    }
}

/// What a new thread takes with it.
struct Child {
    parent: Place,
    name: Option<String>,
}

impl Child {
    fn here(name: Option<String>) -> Self {
        Self::at(current::here(), name)
    }

    fn at(parent: Place, name: Option<String>) -> Self {
        Self { parent, name }
    }

    fn run<T>(self, f: impl FnOnce() -> T) -> T {
        // What is left on the stack when `f` has ended: code in the destructors of the thread's locals stands at the
        // process, instead of becoming a second node of this thread.
        std::mem::forget(current::stand(Place::PROCESS, Pending::Nothing));
        let standing = CutOnDrop(Some(current::stand(self.parent, Pending::Thread(self.name))));
        let out = f();
        drop(standing);
        out
    }
}

/// A scope whose threads may borrow; see [`scope`].
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope std::thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread below the place that calls this.
    ///
    /// # Panics
    /// When the operating system refuses a thread; [`Builder::spawn_scoped`] returns that as an error.
    pub fn spawn<F, T>(self, f: F) -> std::thread::ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let child = Child::here(None);
        self.0.spawn(move || child.run(f))
    }
}

/// Threads that may borrow from the caller, each a child of the place that started it. As `std::thread::scope`.
///
/// It waits as `std` does; inside a pool task that must not hold up its pool, put it in
/// [`heirloom::blocking`](crate::blocking).
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
