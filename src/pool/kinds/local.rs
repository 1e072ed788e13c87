//! [`LocalPool`]: a pool whose tasks run on one thread, when that thread says so.
//!
//! The pool requests no thread: its limit is 0 for [`Permits`](crate::pool::core::permits::Permits). A submitter notifies
//! the thread instead. The thread acquires a permit for each task that it runs, so frames, waits and the end are as for other
//! pools.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use crate::names::namespace::Namespace;
use crate::pool::blocking::local::{drive, notifier};
use crate::pool::blocking::polled;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::thread::{self, LocalEntry};
use crate::pool::core::kind::Kind;
use crate::pool::core::notifier::Notifier;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::report::StopReport;
use crate::pool::run::worker::RunOutcome;
use crate::pool::run::{stop, worker};
use crate::sync::os::Arc;
use crate::threads::cache::{Job, WorkerHandle};
use crate::wait::graph::{Ends, Label};
use crate::wait::park;

/// The kind of a local pool: submitters notify the one thread.
pub(super) struct Local(Notifier);

impl Local {
    pub(super) fn new() -> Self {
        Self(Notifier::new())
    }
}

impl Kind<Pool> for Local {
    fn request_thread(&self, _: &Arc<Pool>) -> io::Result<()> {
        unreachable!("a limit of 0 leaves no permit to request a thread for")
    }

    fn work(&self, _: &Arc<Pool>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        None
    }

    fn refused(&self, _: &Arc<Pool>, _: &io::Error) {}

    fn notifier(&self) -> Option<&Notifier> {
        Some(&self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The right and the duty to run a local pool's tasks; made by
/// [`PoolManager::start_local`](crate::PoolManager::start_local). It stays on its thread.
///
/// Dropping it cancels what is queued, so every handle resolves, and closes the pool: submitting is refused from then
/// on.
///
/// Anyone submits through the manager, from any thread; a task runs only inside one of the methods here, or in place
/// where this thread joins it. So this is for what must happen on one thread: a window system, a library bound to the
/// main thread.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let ui = scope.create("ui");
/// let local = ui.start_local(PoolConfig::local())?;
/// let here = std::thread::current().id();
///
/// let other = std::thread::spawn(move || {
///     let seen = ui.submit(|| std::thread::current().id()).unwrap().join();
///     ui.close();
///     seen
/// });
/// assert_eq!(local.run_until_stopped().completed, 1);
/// assert_eq!(other.join().unwrap()?, here);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The other waits of this thread: joining a task of this pool runs exactly that one, in place; waiting for many
/// ([`stop`](crate::PoolManager::stop), [`wait_idle`](crate::PoolManager::wait_idle), the end of a
/// [`Scope`](crate::Scope) or of a [`TaskScope`](crate::TaskScope), [`shutdown`](crate::shutdown)) runs what is queued
/// meanwhile. Joining a task of another pool, or a thread, which itself waits for this thread would never end, and is
/// refused ([`TaskError::is_deadlock`](crate::TaskError::is_deadlock)): use [`run_until`](Self::run_until) for a task; a thread's handle is no future, so let it
/// [close](crate::PoolManager::close) the pool at its end, or look at its
/// [`is_finished`](crate::thread::JoinHandle::is_finished) between calls of [`run_timeout`](Self::run_timeout).
///
/// At the end of the process what is queued for the thread that ends it is cancelled.
///
/// ```compile_fail,E0277
/// # let local = heirloom::create("ui").start_local(heirloom::PoolConfig::local()).unwrap();
/// std::thread::spawn(move || local.run_pending()); // it cannot be sent between threads
/// ```
#[must_use = "dropping it cancels what is queued and closes the pool"]
pub struct LocalPool {
    /// Not a box, which would claim that the list does not look at it.
    entry: Rc<LocalEntry>,
    here: PhantomData<*const ()>,
}

impl LocalPool {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        let entry = Rc::new(LocalEntry::new(pool));
        // SAFETY: the handle counts the entry until its drop, which is on this thread and takes the entry off the list.
        unsafe { thread::add_local(Rc::as_ptr(&entry)) };
        Self { entry, here: PhantomData }
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.entry.pool
    }

    /// The name of the manager whose pool this is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.pool().namespace
    }

    /// Runs what was queued when this was called, and returns how many tasks that were. Never waits; a task that
    /// submits itself again runs with the next call. For an event loop of one's own, together with
    /// [`on_pending`](Self::on_pending). It runs this pool's tasks only; the `run_*` that wait serve every pool that is
    /// local to the thread.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let title = ui.submit(|| "new title")?;
    /// assert!(!title.is_finished()); // nobody else runs it
    /// assert_eq!(local.run_pending(), 1);
    /// assert_eq!(title.join()?, "new title");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_pending(&self) -> usize {
        let _released = PermitsReleased::begin();
        let pool = self.pool();
        notifier(pool).rearm();
        let mut ran = 0;
        for _ in 0..pool.queue.length() {
            match worker::run_next(pool) {
                RunOutcome::RanTask => ran += 1,
                RunOutcome::Skipped => {}
                RunOutcome::Nothing | RunOutcome::Busy => break,
            }
        }
        ran
    }

    /// Runs tasks until the future is ready, and returns its output; sleeps while there is nothing to do. Tasks that
    /// are still queued then stay queued.
    ///
    /// The tasks of every pool that is local to this thread run meanwhile, one of each in turn: what the future waits
    /// for may need any of them, and no other thread runs them.
    ///
    /// The future may be a [`TaskHandle`](crate::TaskHandle), of this pool or another one, so this is how the thread
    /// waits for work elsewhere that needs this thread. It is polled here, between two tasks, when it was woken.
    /// What a future waits for is not known, so inside an initialiser such a wait is no part of a cycle that would
    /// be told ([`Reentrant`](crate::InitError::Reentrant)); a [`join`](crate::TaskHandle::join) is.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let (ui, work) = (scope.create("ui"), scope.create("work"));
    /// let local = ui.start_local(PoolConfig::local())?;
    /// work.start(PoolConfig::leased(1))?;
    /// let asks_the_ui = work.submit(move || ui.submit(|| "clicked").unwrap().join())?;
    /// assert_eq!(local.run_until(asks_the_ui)??, "clicked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_until<F: Future>(&self, future: F) -> F::Output {
        // Its caller can be told nothing.
        let on = |all| polled::first_of(all).map(|on| (on, Label::Task, Ends::Never));
        match drive(on, None, future) {
            Ok(Some(out)) => out,
            _ => unreachable!("there is no deadline, and the wait is never told"),
        }
    }

    /// Runs tasks until the pool was told to end ([`stop`](crate::PoolManager::stop),
    /// [`close`](crate::PoolManager::close) or [`cancel`](crate::PoolManager::cancel), also its scope's) and
    /// nothing is left of it, and reports as `stop` does. Sleeps while there is nothing to do. From one of the
    /// pool's own tasks it reports at once. As [`run_until`](Self::run_until), it serves every pool that is local to
    /// this thread.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let program = std::thread::spawn(move || {
    ///     let _ = ui.submit(|| "shown").unwrap().join();
    ///     ui.close();
    /// });
    /// assert_eq!(local.run_until_stopped().completed, 1);
    /// # program.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_until_stopped(&self) -> StopReport {
        if !thread::is_in(Arc::as_ptr(self.pool())) {
            self.run_until(end::await_over(self.pool()));
        }
        end::report(self.pool())
    }

    /// Runs tasks for at most `d`, sleeping while there is nothing to do, or until the pool has ended before. A task
    /// that has begun is not cut short. True when the pool has ended. As [`run_until`](Self::run_until), it serves every
    /// pool that is local to this thread.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let shown = ui.submit(|| "shown")?;
    /// assert!(!local.run_timeout(Duration::from_millis(1)));
    /// assert!(shown.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_timeout(&self, d: Duration) -> bool {
        // In a fork the wait ends at once, and the pool goes on in the parent.
        drive(|_| None, park::after(d), end::await_over(self.pool())).is_ok_and(|ended| ended.is_some())
            && self.pool().is_over()
    }

    /// Calls `f` when something is queued: once, on the submitter's thread, until a `run_*` has looked again; at once,
    /// here, if something is queued now. A later `f` replaces this one.
    ///
    /// For a thread with an event loop of its own: `f` posts an event to the loop, whose handler calls
    /// [`run_pending`](Self::run_pending). `f` must not block; a panic in it is swallowed.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let (post, events) = std::sync::mpsc::channel();
    /// local.on_pending(move || { let _ = post.send("run heirloom's tasks"); });
    ///
    /// let other = std::thread::spawn(move || ui.submit(|| "shown").unwrap().join());
    /// for event in events.iter().take(1) { // the event loop
    ///     assert_eq!(event, "run heirloom's tasks");
    ///     local.run_pending();
    /// }
    /// assert_eq!(other.join().unwrap()?, "shown");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_pending(&self, f: impl Fn() + Send + Sync + 'static) {
        let notifier = notifier(self.pool());
        notifier.call(Arc::new(f));
        notifier.rearm();
        if !self.pool().queue.looks_empty() {
            let _ = notifier.notify();
        }
    }
}

// Its cells are whole whatever unwinds.
impl UnwindSafe for LocalPool {}

impl Drop for LocalPool {
    fn drop(&mut self) {
        notifier(self.pool()).leave();
        // Still on the list: a closure that is dropped may join another task of the pool.
        stop::cancel(self.pool());
        thread::remove_local(&self.entry);
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("namespace", self.namespace()).finish_non_exhaustive()
    }
}
