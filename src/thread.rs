//! Threads that know who started them.
//!
//! The functions here are `std::thread`'s with two differences. The new thread is a child of the place that started it,
//! so it finds the managers and values of that place, and is asked to stop with it, and a `tracing` subscriber that is the
//! default of that code alone is the thread's too; a thread started with plain
//! `std::thread` stands directly below the process. And its handle can ask it to stop, and joins it without holding up
//! the pool of the task that joins.

use std::any::Any;
use std::fmt;
use std::io;
use std::task::Waker;
use std::thread::Thread;

use crate::error::{Cancelled, WouldDeadlock};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::{ExitOnDrop, Lineage};
use crate::lineage::node::NodeRef;
use crate::lineage::thread_state::{Request, ThreadState};
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::report::CancelOutcome;
use crate::subscriber::Scoped;
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;

/// Starts a thread below the current place. As `std::thread::spawn`.
///
/// A thread that serves the whole process, such as one that a static starts on first use, is started
/// [detached](Builder::detached): otherwise it is asked to stop with the request that happened to come first.
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

/// Says that the calling thread runs code of many: from now on, code of this thread that was given no place stands at
/// the process and owns nothing ([`current`](crate::current()) has the rule).
///
/// Call it once on each thread of a runtime or of a foreign pool, in the hook which that runs at a thread's start:
/// rayon's `start_handler`, the `after_start` of `futures`' `ThreadPool`, tokio's `on_thread_start` where the feature
/// `tokio` is off. Without it, whatever one job binds or creates "here" is found by the next job that this thread runs.
/// With the feature `tokio`, tokio's threads need no mark.
///
/// A second call changes nothing, and nothing takes the mark off. Costs a few nanoseconds. What else the thread is:
///
/// - The *main thread* stands at the process as before, and no longer owns what it makes there: `create` and `bind` are
///   refused on it too. `Lineage::process().create(…)` says that the process is meant.
/// - A thread that *is a node already*, by an earlier [`current`](crate::current()) or because [`spawn`] started it, is
///   left by its code. The node lives as long as the thread does, and with it what was made there. A request to stop
///   that is made to the node or to the thread's handle is not heard by the thread's code any more; code that is to
///   hear it takes `heirloom::current()` along from before.
/// - A *task* that calls it keeps its place, and so does every task that the thread runs later: a task has a place of
///   its own wherever it runs. So has code in a place that was entered, before or after the call.
///
/// ```
/// use heirloom::{Heirloom, Lineage, PoolConfig, Scope, thread};
///
/// static JOB: Heirloom<u32> = Heirloom::new("job");
///
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(|_| thread::mark_shared()).build()?;
/// assert!(pool.install(|| JOB.bind(7_u32)).is_err()); // or the next job would find it
/// let scope = Scope::new("job 7");
/// assert!(pool.install(|| scope.run(|| JOB.bind(7_u32))).is_ok());
/// assert!(pool.install(|| heirloom::create("work").start(PoolConfig::leased(1))).is_err());
/// assert_eq!(pool.install(heirloom::current), Lineage::process());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mark_shared() {
    current::mark_shared();
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
    shielded: bool,
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

    /// Cuts the edge on purpose: the thread stands directly below the process, and no scope's end asks it to stop.
    ///
    /// ```
    /// use heirloom::{Scope, thread};
    /// use std::{sync::LazyLock, time::Duration};
    ///
    /// static CLEANER: LazyLock<thread::JoinHandle<()>> = LazyLock::new(|| {
    ///     let cleans = || while heirloom::sleep(Duration::from_millis(10)).is_ok() {};
    ///     thread::Builder::new().detached().spawn(cleans).expect("a thread is to be had")
    /// });
    ///
    /// let request = Scope::new("request 7");
    /// request.run(|| LazyLock::force(&CLEANER)); // started by the first request
    /// drop(request);
    /// std::thread::sleep(Duration::from_millis(30));
    /// assert!(!CLEANER.is_finished()); // and there for all
    /// ```
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
    /// let saves = thread::Builder::new().shielded().spawn(move || {
    ///     let _ = wait.recv();
    ///     heirloom::checkpoint()
    /// })?;
    /// request.cancel();
    /// drop(go);
    /// assert!(saves.join().unwrap().is_ok()); // it was not told
    /// assert!(heirloom::checkpoint().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shielded(mut self) -> Self {
        self.shielded = true;
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

    fn child(self) -> (Child, Arc<ThreadState>) {
        let parent = if self.detached { NodeRef::PROCESS } else { current::here() };
        let started = ThreadState::new(self.shielded);
        (Child { parent, name: self.name, started: Arc::clone(&started), subscriber: Scoped::here() }, started)
    }
}

/// What a new thread takes with it.
struct Child {
    parent: NodeRef,
    name: Option<String>,
    started: Arc<ThreadState>,
    subscriber: Option<Scoped>,
}

impl Child {
    fn run<T>(self, f: impl FnOnce() -> T) -> T {
        // What is left on the stack when `f` has ended: code in the destructors of the thread's locals stands at the
        // process, instead of becoming a second node of this thread.
        std::mem::forget(current::enter_as_thread(NodeRef::PROCESS, LazyNode::Nothing));
        let shielded = self.started.shielded;
        let runs = ThreadState::begin(&self.started);
        let itself = LazyNode::Thread(self.name, Some(self.started));
        let guard = ExitOnDrop(Some(current::enter_as_thread(self.parent, itself)));
        if shielded {
            // A node from the beginning: it is what the requests to the places above end at.
            drop(current::here());
        }
        let default = self.subscriber.as_ref().and_then(Scoped::enter);
        let out = f();
        drop(default);
        drop(guard);
        drop(runs);
        out
    }
}

/// A thread that was started. Dropping the handle detaches the thread: it runs all the same.
#[must_use = "dropping the handle detaches the thread; its result and its panic are lost"]
pub struct JoinHandle<T> {
    inner: std::thread::JoinHandle<T>,
    started: Arc<ThreadState>,
}

/// A thread that may borrow; see [`scope`]. Dropping the handle changes nothing: the scope waits for the thread.
pub struct ScopedJoinHandle<'scope, T> {
    inner: std::thread::ScopedJoinHandle<'scope, T>,
    started: Arc<ThreadState>,
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
            /// It does not run what is queued for a pool that is [local](crate::LocalPool) to the waiting thread: if the thread that is
            /// joined waits for such a task, the wait would never end.
            ///
            /// # Errors
            /// What the thread's panic carried; in a fork of its process, where the thread does not exist, a text that says
            /// so, at once, also if it had ended before. At once, a [`WouldDeadlock`](crate::WouldDeadlock) in the place of that, when
            /// the thread waits, directly or by others, for what the caller owes; the thread goes on then, detached.
            pub fn join(self) -> std::thread::Result<T> {
                if self.started.is_elsewhere() {
                    // `std` would wait for a thread that does not exist, or panic, also where it had ended before the fork; nor
                    // is there one to detach.
                    std::mem::forget(self.inner);
                    return Err(Box::new(FORKED));
                }
                if !self.started.is_over() {
                    self.until_over(|_| {})?;
                }
                // It has no code left but what its locals do in their destructors.
                let mut released = PermitsReleased::begin();
                let _ = released.waits_for(self.target(), self.label(), Ends::Never);
                self.inner.join()
            }

            /// Blocks until the thread's code has ended; `poll` is called with each look. The error: that would never be.
            fn until_over(&self, mut poll: impl FnMut(&Waker)) -> std::thread::Result<()> {
                let refuse = |why: ClosesCircle| Box::new(WouldDeadlock::new(why.circle)) as Box<dyn Any + Send>;
                let released = PermitsReleased::begin_for(self.target(), self.label(), Ends::WhenTold).map_err(refuse)?;
                let over = self.started.over().register();
                park::block_until(None, |waker| {
                    poll(waker);
                    over.set(waker);
                    self.started.is_over() || released.is_refused()
                });
                match released.refusal() {
                    Some(why) if !self.started.is_over() => Err(refuse(why)),
                    _ => Ok(()),
                }
            }

            fn target(&self) -> Target {
                Target::Thread(self.thread().id())
            }

            fn label(&self) -> Label {
                Label::Thread(self.thread().clone())
            }

            /// Waits until the thread has ended, and passes each request to stop that reaches the caller meanwhile on to it: a
            /// first one, and every repeated one, so that a child which declined is asked again. It keeps waiting: the child
            /// decides. For it to decline there must be no more than what is passed on: start it
            /// [shielded](Builder::shielded), because any other also hears the caller's request itself, which is not its own to decline.
            ///
            /// # Errors
            /// The outer one when the caller was asked to stop while it waited; the child has ended then, and its result
            /// is dropped. The inner one is what the thread's panic carried. If the thread has ended before, its result comes back and
            /// a request stays pending for the caller's next look.
            pub fn join_cancelling(self) -> Result<std::thread::Result<T>, Cancelled> {
                let mut forwarder = None;
                if !self.started.is_over() && !self.started.is_elsewhere() {
                    let passes = |waker: &Waker| {
                        forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
                            self.started.cancel();
                        });
                    };
                    if let Err(refused) = self.until_over(passes) {
                        return Ok(Err(refused));
                    }
                }
                let out = self.join();
                if forwarder.is_some_and(|forwarder| forwarder.passed()) { Err(interrupted::cancelled()) } else { Ok(out) }
            }
        }

        impl<T> fmt::Debug for $($handle)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("JoinHandle").field("thread", self.thread()).finish_non_exhaustive()
            }
        }
    };
}

impl<T> JoinHandle<T> {
    /// As [`join`](Self::join), without blocking the runtime while the thread's code runs; it then waits, as `std` does,
    /// for the destructors of the thread's locals. Dropping it detaches the thread.
    ///
    /// ```
    /// let thread = heirloom::thread::spawn(|| 7);
    /// assert_eq!(futures::executor::block_on(thread.join_async()).unwrap(), 7); // on any runtime
    /// ```
    ///
    /// # Errors
    /// What the thread's panic carried; in a fork as [`join`](Self::join).
    pub async fn join_async(self) -> std::thread::Result<T> {
        if !self.started.is_elsewhere() {
            self.started.over().until(|| self.started.is_over()).await;
        }
        self.join()
    }
}

join_handle!(JoinHandle<T>);
join_handle!(ScopedJoinHandle<'_, T>);

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
