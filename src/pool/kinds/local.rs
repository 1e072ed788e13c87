//! [`LocalPool`]: a pool whose tasks run on one thread, inside the calls of that thread.
//!
//! The pool requests no thread: its limit is 0 for [`Permits`](crate::pool::core::permits::Permits). A submitter
//! notifies the thread instead. The thread acquires a permit for each task that it runs, so frames, waits and the end
//! are as for other pools.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use crate::error::CancelReason;
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
use crate::threads::job::{Job, WorkerHandle};
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

/// Runs the tasks of a local pool on the one thread that owns it.
///
/// [`PoolManager::start_local`](crate::PoolManager::start_local) makes it. It stays on its thread.
///
/// Its drop cancels queued tasks, so every handle resolves, and closes the pool: every later submit is refused. The
/// drop does not wait.
///
/// Any thread submits through the manager. A task runs only inside one of the methods here, or in place where this
/// thread joins it. So this is for work that must happen on one thread: a window system, a library bound to the main
/// thread.
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
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// Other waits of this thread: the join of one of this pool's tasks runs exactly that task, in place. Waits for many
/// tasks ([`stop`](crate::PoolManager::stop), [`wait_idle`](crate::PoolManager::wait_idle), the end of a
/// [`Scope`](crate::Scope) or of a [`TaskScope`](crate::TaskScope), [`shutdown`](crate::shutdown)) run queued tasks
/// meanwhile.
///
/// The join of another pool's task, or of a thread, that waits for this thread in turn would never end, and is refused
/// ([`ErrorKind::WouldDeadlock`](crate::ErrorKind::WouldDeadlock)). For a task, use [`run_until`](Self::run_until). A
/// thread's handle is no future: let the thread [close](crate::PoolManager::close) the pool at its end, or check its
/// [`is_finished`](crate::thread::JoinHandle::is_finished) between calls of [`run_timeout`](Self::run_timeout).
///
/// At the end of the process the tasks queued for the exiting thread are cancelled.
///
/// ```compile_fail,E0277
/// # let local = heirloom::create("ui").start_local(heirloom::PoolConfig::local()).unwrap();
/// std::thread::spawn(move || local.run_pending()); // it cannot be sent between threads
/// ```
#[must_use = "dropping it cancels queued tasks and closes the pool"]
pub struct LocalPool {
    entry: Rc<LocalEntry>,
    here: PhantomData<*const ()>,
}

impl LocalPool {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        let entry = Rc::new(LocalEntry::new(pool));
        thread::add_local(Rc::clone(&entry));
        Self { entry, here: PhantomData }
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.entry.pool
    }

    /// Returns the name of the pool's manager.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.pool().namespace
    }

    /// Runs the tasks queued at the call, and returns how many ran.
    ///
    /// Never waits for a task to come. A task that submits itself again runs with the next call. For an event loop of
    /// the program's own, together with [`on_pending`](Self::on_pending). It runs this pool's tasks only; the waiting
    /// `run_*` serve every pool that is local to the thread.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let title = ui.submit(|| "new title")?;
    /// assert!(!title.is_finished()); // no other thread runs it
    /// assert_eq!(local.run_pending(), 1);
    /// assert_eq!(title.join()?, "new title");
    /// # Ok::<(), heirloom::Error>(())
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

    /// Runs tasks until the future is ready, and returns its output.
    ///
    /// The thread sleeps while it has no task to run. Tasks that are still queued at the end stay queued.
    ///
    /// The tasks of every pool that is local to this thread run meanwhile, one of each in turn: the future may wait for
    /// any of them, and no other thread runs them.
    ///
    /// The future may be a [`TaskHandle`](crate::TaskHandle), of this pool or another one, so this is how the thread
    /// waits for work elsewhere that needs this thread. It is polled here, between two tasks, after each wake. The
    /// target of a future's wait is unknown. So inside an initialiser such a wait is no part of a circle that would be
    /// refused ([`Reentrant`](crate::InitError::Reentrant)); a [`join`](crate::TaskHandle::join) is.
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
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn run_until<F: Future>(&self, future: F) -> F::Output {
        // The caller has no error to receive, so this wait is never refused.
        let on = |all| polled::first_of(all).map(|on| (on, Label::Task, Ends::Never));
        match drive(on, None, future) {
            Ok(Some(out)) => out,
            _ => unreachable!("there is no deadline, and the wait is never told"),
        }
    }

    /// Runs tasks until the pool has ended, and returns its report.
    ///
    /// The pool ends when it is closed and its last task has ended. [`stop`](crate::PoolManager::stop),
    /// [`close`](crate::PoolManager::close) and [`cancel`](crate::PoolManager::cancel) close it, also those of its
    /// scope. The report is that of `stop`. The thread sleeps while it has no task to run. Inside one of the pool's own
    /// tasks this reports at once. As [`run_until`](Self::run_until), it serves every pool that is local to this
    /// thread.
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
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn run_until_stopped(&self) -> StopReport {
        if !thread::is_in(Arc::as_ptr(self.pool())) {
            self.run_until(end::await_over(self.pool()));
        }
        end::report(self.pool())
    }

    /// Runs tasks for at most `d`, or until the pool has ended. Returns true when the pool has ended.
    ///
    /// The thread sleeps while it has no task to run. A task that has begun is not cut short. As
    /// [`run_until`](Self::run_until), it serves every pool that is local to this thread.
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
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn run_timeout(&self, d: Duration) -> bool {
        // In a fork the wait ends at once, and the pool goes on in the parent.
        drive(|_| None, park::after(d), end::await_over(self.pool())).is_ok_and(|ended| ended.is_some())
            && self.pool().is_over()
    }

    /// Sets the function that is called when a task is queued. A later `f` replaces this one.
    ///
    /// `f` is called once, on the submitter's thread, until a `run_*` has looked at the queue again. If a task is
    /// queued already, `f` is called at once, on this thread.
    ///
    /// For a thread with an event loop of its own: `f` posts an event to the loop, whose handler calls
    /// [`run_pending`](Self::run_pending). `f` must not block; its panic is swallowed.
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
    /// # Ok::<(), heirloom::Error>(())
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

// The cells are whole after every unwinding.
impl UnwindSafe for LocalPool {}

impl Drop for LocalPool {
    fn drop(&mut self) {
        notifier(self.pool()).leave();
        // The entry is still on the list: the drop of a closure may join another task of the pool.
        stop::cancel(self.pool(), CancelReason::OwnerEnd);
        thread::remove_local(&self.entry);
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("namespace", self.namespace()).finish_non_exhaustive()
    }
}
