//! Threads that know who started them.
//!
//! The functions here are `std::thread`'s with two differences. The new thread is a child of the place that started it,
//! so it finds the managers and values of that place, and is asked to stop with it; a thread started with plain
//! `std::thread` stands directly below the process. And its handle can ask it to stop, and joins it without holding up
//! the pool of the task that joins.

use std::fmt;
use std::io;
use std::thread::Thread;

use crate::error::Cancelled;
use crate::lineage::current::{self, Pending};
use crate::lineage::handle::{CutOnDrop, Lineage};
use crate::lineage::node::Place;
use crate::lineage::started::{Request, Started};
use crate::pool::handle::CancelOutcome;
use crate::pool::park;
use crate::pool::passing::Passing;
use crate::pool::wait::GivenAway;
use crate::sync::os::Arc;
use crate::waits::Target;

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
    let (child, started) = Builder::new().child();
    JoinHandle { inner: std::thread::spawn(move || child.run(f)), started }
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
    isolated: bool,
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

    /// Gives the thread a cancellation of its own: what is asked of the places above is not delivered to it, nor to
    /// what it starts. It still finds their managers and values. Ask it by its [`JoinHandle`], or join it with
    /// [`join_cancelling`](JoinHandle::join_cancelling), which passes requests on.
    ///
    /// It does not outlive what it stands in: below a scope that has ended, also by being cancelled, no pool takes a
    /// task, so what it must still submit then it submits from outside, with [`Lineage::run`](crate::Lineage::run).
    ///
    /// ```
    /// use heirloom::{Scope, thread};
    ///
    /// let request = Scope::new("request 7");
    /// let _at = request.enter();
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let saves = thread::Builder::new().isolated().spawn(move || {
    ///     let _ = wait.recv();
    ///     heirloom::checkpoint()
    /// })?;
    /// request.cancel();
    /// drop(go);
    /// assert!(saves.join().unwrap().is_ok()); // it was not told
    /// assert!(heirloom::checkpoint().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn isolated(mut self) -> Self {
        self.isolated = true;
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
        let builder = self.std()?;
        let (child, started) = self.child();
        Ok(JoinHandle { inner: builder.spawn(move || child.run(f))?, started })
    }

    /// As [`Builder::spawn`], in a [`scope`].
    ///
    /// # Errors
    /// The operating system's, when it refuses a thread.
    pub fn spawn_scoped<'scope, F, T>(self, scope: Scope<'scope, '_>, f: F) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let builder = self.std()?;
        let (child, started) = self.child();
        Ok(ScopedJoinHandle { inner: builder.spawn_scoped(scope.0, move || child.run(f))?, started })
    }

    fn std(&self) -> io::Result<std::thread::Builder> {
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
        Ok(builder)
    }

    fn child(self) -> (Child, Arc<Started>) {
        let parent = if self.detached { Place::PROCESS } else { current::here() };
        let started = Started::new(self.isolated);
        (Child { parent, name: self.name, started: Arc::clone(&started) }, started)
    }
}

/// What a new thread takes with it.
struct Child {
    parent: Place,
    name: Option<String>,
    started: Arc<Started>,
}

impl Child {
    fn run<T>(self, f: impl FnOnce() -> T) -> T {
        // What is left on the stack when `f` has ended: code in the destructors of the thread's locals stands at the
        // process, instead of becoming a second node of this thread.
        std::mem::forget(current::stand(Place::PROCESS, Pending::Nothing));
        let isolated = self.started.isolated;
        let runs = Started::begin(&self.started);
        let standing = CutOnDrop(Some(current::stand(self.parent, Pending::Thread(self.name, Some(self.started)))));
        if isolated {
            // A node from the beginning: it is what the requests to the places above end at.
            drop(current::here());
        }
        let out = f();
        drop(standing);
        drop(runs);
        out
    }
}

/// A thread that was started. Dropping the handle detaches the thread: it runs all the same.
#[must_use = "dropping the handle detaches the thread; its result and its panic are lost"]
pub struct JoinHandle<T> {
    inner: std::thread::JoinHandle<T>,
    started: Arc<Started>,
}

/// A thread that may borrow; see [`scope`]. Dropping the handle changes nothing: the scope waits for the thread.
pub struct ScopedJoinHandle<'scope, T> {
    inner: std::thread::ScopedJoinHandle<'scope, T>,
    started: Arc<Started>,
}

/// What a join in a fork carries in the place of a panic.
const FORKED: &str = "the thread runs in the process that this one is a fork of; join it there";

macro_rules! join_handle {
    ($($handle:tt)*) => {
        impl<T> $($handle)* {
            /// `std`'s handle to the thread, with its id and its name.
            #[must_use]
            pub fn thread(&self) -> &Thread {
                self.inner.thread()
            }

            /// The thread's node; `None` when the thread has not become one (see [`current`](crate::current)), or has ended
            /// and nobody holds the node.
            #[must_use]
            pub fn lineage(&self) -> Option<Lineage> {
                self.started.place().map(Lineage)
            }

            /// Whether the thread has ended, so that `join` returns soon.
            #[must_use]
            pub fn is_finished(&self) -> bool {
                self.inner.is_finished()
            }

            /// Asks the thread, and what it started since it became a node, to stop; also before it has begun. It notices where
            /// it looks: [`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep).
            pub fn cancel(&self) -> CancelOutcome {
                match self.started.cancel() {
                    Request::First => CancelOutcome::Requested,
                    Request::Again => CancelOutcome::AlreadyRequested,
                    Request::TooLate => CancelOutcome::AlreadyFinished,
                }
            }

            /// Waits until the thread has ended. A task that waits here gives its place to the next one.
            ///
            /// It does not run what is queued for a pool that is [pinned](crate::Pinned) to the waiting thread: if the thread that is
            /// joined waits for such a task, neither ends.
            ///
            /// # Errors
            /// What the thread's panic carried; in a fork of its process, where the thread does not exist, a text that says
            /// so, at once, also if it had ended before.
            pub fn join(self) -> std::thread::Result<T> {
                if self.started.is_elsewhere() {
                    // `std` would wait for a thread that does not exist, or panic, also where it had ended before the fork; nor
                    // is there one to detach.
                    std::mem::forget(self.inner);
                    return Err(Box::new(FORKED));
                }
                let _away = GivenAway::begin_join(Target::Thread(self.thread().id()));
                self.inner.join()
            }

            /// Waits until the thread has ended, and passes each request to stop that reaches the caller meanwhile on to it: a
            /// first one, and every repeated one, so that a child which declined is asked again. It keeps waiting: the child
            /// decides. For it to decline there must be no more than what is passed on: start it
            /// [isolated](Builder::isolated), because any other also hears the caller's request itself, which is not its own to decline.
            ///
            /// # Errors
            /// The outer one when the caller was asked to stop while it waited; the child has ended then, and its result
            /// is dropped. The inner one is what the thread's panic carried. If the thread has ended before, its result comes back and
            /// a request stays pending for the caller's next look.
            pub fn join_cancelling(self) -> Result<std::thread::Result<T>, Cancelled> {
                let passed = !self.started.is_over() && !self.started.is_elsewhere() && {
                    let _away = GivenAway::begin_join(Target::Thread(self.thread().id()));
                    until_over(&self.started)
                };
                let out = self.join();
                if passed { Err(Cancelled::new()) } else { Ok(out) }
            }
        }

        impl<T> fmt::Debug for $($handle)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("JoinHandle").field("thread", self.thread()).finish_non_exhaustive()
            }
        }
    };
}

join_handle!(JoinHandle<T>);
join_handle!(ScopedJoinHandle<'_, T>);

/// Blocks until the thread's code has ended, passing requests on. True when there was one.
fn until_over(started: &Started) -> bool {
    let mut passing = Passing::new();
    let over = started.over().listener();
    park::block_until(None, |waker| {
        passing.poll(waker, || {
            started.cancel();
        });
        over.set(waker);
        started.is_over()
    });
    passing.passed()
}

/// A scope whose threads may borrow; see [`scope`].
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope std::thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread below the place that calls this.
    ///
    /// # Panics
    /// When the operating system refuses a thread; [`Builder::spawn_scoped`] returns that as an error.
    pub fn spawn<F, T>(self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (child, started) = Builder::new().child();
        ScopedJoinHandle { inner: self.0.spawn(move || child.run(f)), started }
    }
}

/// Threads that may borrow from the caller, each a child of the place that started it. As `std::thread::scope`.
///
/// Its end waits as `std` does; inside a pool task that must not hold up its pool, join the threads, or put the scope
/// in [`heirloom::blocking`](crate::blocking). In a fork's child that was forked in `f` it waits for ever for threads that
/// run in the parent, as `std` does: call `exec` or `_exit` inside of `f` there.
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
