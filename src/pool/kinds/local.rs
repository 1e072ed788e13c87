//! [`LocalPool`]: a pool whose tasks run on one thread, when that thread says so.
//!
//! Its pool sends for no thread: its limit is 0 in the sense of [`crate::pool::core::permits`]. A submitter rings a bell
//! instead. The thread takes a place for itself for each task it runs, so all else (frames, waits, the end) is as for
//! other pools.
//!
//! The pools that are local to a thread are a list in the thread's own [`LocalPool`]s. The thread-local is one pointer
//! without a destructor, so it can still be read when the thread's other locals are gone, at process exit.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::UnwindSafe;
use std::pin::pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::names::namespace::Namespace;
use crate::pool::blocking::polled;
use crate::pool::blocking::release::{self, PermitsReleased};
use crate::pool::blocking::woken::Woken;
use crate::pool::context::frame::{self, Frame};
use crate::pool::core::kind::Kind;
use crate::pool::core::notifier::Notifier;
use crate::pool::core::pool::Pool;
use crate::pool::end::{self, OfTracker, StopReport};
use crate::pool::run::evict::Evicted;
use crate::pool::run::worker::{self, RunOutcome, Task};
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target, Waiting};
use crate::wait::park;

thread_local! {
    static HERE: Cell<*const Entry> = const { Cell::new(ptr::null()) };
    /// Where the code stands that a wait here polls: the innermost frame, null for none; an address that no frame has
    /// while none is polled.
    static POLLS: Cell<*const Frame> = const { Cell::new(ptr::dangling()) };
}

/// One pool of the list.
struct Entry {
    pool: Arc<Pool>,
    next: Cell<*const Entry>,
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
    entry: Rc<Entry>,
    here: PhantomData<*const ()>,
}

impl LocalPool {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        let entry = Rc::new(Entry { pool, next: Cell::new(HERE.get()) });
        HERE.set(Rc::as_ptr(&entry));
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
        let _away = PermitsReleased::begin();
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
        if !frame::is_in(self.pool()) {
            self.run_until(self.pool().await_over());
        }
        self.pool().report()
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
        drive(|_| None, park::after(d), self.pool().await_over()).is_ok_and(|ended| ended.is_some())
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
        self.pool().cancel();
        let this = Rc::as_ptr(&self.entry);
        if ptr::eq(HERE.get(), this) {
            HERE.set(self.entry.next.get());
        } else if let Some(before) = entries().find(|entry| ptr::eq(entry.next.get(), this)) {
            before.next.set(self.entry.next.get());
        }
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("namespace", self.namespace()).finish_non_exhaustive()
    }
}

/// The future of a wait is polled, until this is dropped: a task whose handle it polls runs in its turn, not in place.
struct Polls(*const Frame);

impl Polls {
    fn begin() -> Self {
        Self(POLLS.replace(innermost()))
    }

    /// The calling code is that future's, and not that of a task which runs inside it.
    fn is_here() -> bool {
        ptr::eq(POLLS.get(), innermost())
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        POLLS.set(self.0);
    }
}

fn innermost() -> *const Frame {
    frame::innermost().map_or(ptr::null(), ptr::from_ref)
}

fn notifier(pool: &Pool) -> &Notifier {
    match &pool.kind {
        Kind::Local(notifier) => notifier,
        _ => unreachable!("only a local pool is local"),
    }
}

/// The pools local to the calling thread. No user code may run while one is borrowed: it could drop a [`LocalPool`].
fn entries<'a>() -> impl Iterator<Item = &'a Entry> {
    // SAFETY: an entry is on the list for as long as its `LocalPool` lives, which is on this thread; it is counted, so it
    // stays where it is. A caller lets go of it before anything else runs.
    let entry = |at: *const Entry| unsafe { at.as_ref() };
    std::iter::successors(entry(HERE.get()), move |at| entry(at.next.get()))
}

fn find(pool: *const Pool) -> Option<&'static Entry> {
    entries().find(|entry| ptr::eq(Arc::as_ptr(&entry.pool), pool))
}

pub(crate) fn all_here() -> SmallVec<[Arc<Pool>; 1]> {
    entries().map(|entry| Arc::clone(&entry.pool)).collect()
}

/// Whether the calling thread runs a local pool's tasks.
#[inline]
pub(crate) fn is_any_here() -> bool {
    !HERE.get().is_null()
}

/// Whether the pool's tasks run on the calling thread only.
#[inline]
pub(crate) fn is_here(pool: *const Pool) -> bool {
    is_any_here() && find(pool).is_some()
}

/// Runs exactly this task, whose join here would wait for this very thread. `waits` is whether the caller would block;
/// one that polls from a `run_*`, which runs it in its turn, is not to come before that.
pub(crate) fn run_exactly(task: &Task, pool: *const Pool, waits: bool) -> bool {
    if !is_any_here() {
        return false;
    }
    if !waits && Polls::is_here() {
        return false;
    }
    let Some(pool) = find(pool).map(|entry| Arc::clone(&entry.pool)) else { return false };
    let Ok(claimed) = task.another().claim() else { return false };
    let _away = PermitsReleased::begin();
    // Without one it runs on its joiner's place: at the bound of waiting tasks.
    let took = pool.permits.try_acquire_here(1);
    worker::run_in_place(&pool, claimed, took);
    if took && pool.permits.release(false) {
        pool.end_if_over();
    }
    true
}

/// Runs the oldest task of a pool that is local here, for a caller that waits for room in its queue. False where that
/// would not help.
pub(crate) fn make_room(pool: &Arc<Pool>) -> bool {
    if !is_here(Arc::as_ptr(pool)) {
        return false;
    }
    let _away = PermitsReleased::begin();
    matches!(worker::run_next(pool), RunOutcome::RanTask | RunOutcome::Skipped)
}

/// Waits for the future, and runs what comes for the pools local here meanwhile: the future may wait for it. It ends
/// with `what`. `None` at the deadline. The error: it would never end.
pub(crate) fn run_meanwhile<F: Future>(
    what: OfTracker,
    deadline: Option<Instant>,
    future: F,
) -> Result<Option<F::Output>, ClosesCircle> {
    let OfTracker { on, label, ends } = what;
    drive(|_| Some((on.clone(), label.clone(), ends)), deadline, future)
}

/// The process ends on this thread, which will run nothing any more.
pub(crate) fn cancel_here() {
    let pools = all_here();
    pools.iter().for_each(|pool| notifier(pool).leave());
    end::cancel_all(&pools, Evicted::new(), || {});
}

/// Polls the future when it is woken, runs tasks of the pools local here in turn, and sleeps when there is nothing to
/// do. `None` at the deadline. The error: it would sleep for ever.
///
/// While it sleeps without a deadline, it waits for what `on` says, if anything is known; `on` is given those that alone
/// can wake the future, none where others may.
fn drive<F: Future>(
    on: impl Fn(Vec<Target>) -> Option<(Target, Label, Ends)>,
    deadline: Option<Instant>,
    future: F,
) -> Result<Option<F::Output>, ClosesCircle> {
    let mut future = pin!(future);
    let woken = Woken::new(park::waker());
    let waker = Waker::from(Arc::clone(&woken));
    let mut left_with = Vec::new();
    let _away = PermitsReleased::begin_until(deadline);
    loop {
        if woken.take() {
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker));
            let polls = Polls::begin();
            let (polled, left) = polled::polling(&waker, poll);
            drop(polls);
            if let Poll::Ready(out) = polled {
                return Ok(Some(out));
            }
            left_with = left;
        }
        let pools = all_here();
        let mut runs = false;
        let mut free = SmallVec::<[&Arc<Pool>; 1]>::new();
        for pool in &pools {
            match worker::run_next(pool) {
                RunOutcome::RanTask | RunOutcome::Skipped => runs = true,
                RunOutcome::Nothing => free.push(pool),
                // A task further out on this stack keeps the place; nothing runs before that is given back.
                RunOutcome::Busy => {}
            }
        }
        if runs {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            continue;
        }
        // With a deadline it is no part of a circle: it ends by itself.
        let on = if deadline.is_none() { on(woken.only(&left_with)) } else { None };
        let waits = on.map(|(on, label, ends)| release::begin_driving(on, label, ends)).transpose()?;
        let is_told = || waits.as_ref().is_some_and(Waiting::is_refused);
        let in_time = park::block_until(deadline, |thread| {
            free.iter().for_each(|pool| {
                notifier(pool).register(thread);
                notifier(pool).rearm();
            });
            // What is left in the queue of one that has ended was claimed by others.
            let has_more = |pool: &&Arc<Pool>| !pool.queue.looks_empty() && !pool.tracker.is_ended();
            woken.is_set() || free.iter().any(has_more) || is_told()
        });
        if !in_time {
            return Ok(None);
        }
        if let Some(why) = waits.as_ref().and_then(Waiting::refusal)
            && !woken.is_set()
        {
            return Err(why);
        }
    }
}
