//! [`PoolManager`]: the named owner of at most one running pool.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::time::Duration;

use arc_swap::ArcSwapOption;

#[cfg(feature = "rayon")]
use crate::error::SubmitErrorKind;
use crate::error::{Refused, StartError, StartErrorKind, StopError, SubmitError, TaskError};
use crate::exit;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::lineage::slots::SlotValue;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::{PoolConfig, PoolKind, PoolMode};
use crate::pool::context::interrupted::note_if_cancelled;
use crate::pool::core::pool::Pool;
use crate::pool::core::stats::PoolStats;
use crate::pool::end::StopReport;
use crate::pool::handle::map::Map;
use crate::pool::handle::scope::{self, TaskScope};
use crate::pool::handle::task::{TaskHandle, deadline};
use crate::pool::kinds::dedicated::warm::WarmupError;
use crate::pool::kinds::local::LocalPool;
use crate::pool::run::worker;
use crate::sync::fork;
use crate::sync::os::{Arc, Mutex, OnceLock, Weak};
use crate::sync::weak_list::Registration;
use crate::totals::record::Totals;
use crate::wait::park;

/// The named owner of at most one running pool. It belongs to one node of the family tree.
///
/// Dropping a handle does nothing while the node or another handle lives. With the last one its pool closes, without
/// blocking: a joining pool still finishes what it accepted. Cloning costs one atomic increment.
///
/// # In a static
/// A pool ends with the scope that owns it. What the initialiser of a static creates "here" belongs to whoever used the
/// static first, such as a request, and ends with that one for all later users. A static names the process:
///
/// ```
/// use heirloom::{Lineage, PoolConfig, PoolManager, Scope};
/// use std::sync::LazyLock;
///
/// static MAIL: LazyLock<PoolManager> = LazyLock::new(|| {
///     Lineage::process().get_or_start("mail", || PoolConfig::leased(2)).expect("two threads are few")
/// });
///
/// for id in 1..=2 {
///     let request = Scope::new(format!("request {id}"));
///     let sent = request.run(|| MAIL.submit(|| "sent"))?;
///     assert_eq!(sent.join()?, "sent"); // also in the second request
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The same holds for a thread that a static starts ([`thread::spawn`](crate::thread::spawn())) and for a value that it
/// binds: `KEY.at(&Lineage::process()).bind(…)`.
///
/// # Example
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let request = Scope::new("request");
/// let render = request.create("render");
/// render.start(PoolConfig::leased(4).task_type("component"))?;
///
/// let html = render.submit_as("component", || "<p>hello</p>")?.join()?;
/// assert_eq!(html, "<p>hello</p>");
///
/// let report = render.stop()?;
/// assert_eq!((report.completed, report.is_complete()), (1, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PoolManager(Arc<Inner>);

pub(crate) struct Inner {
    namespace: Namespace,
    owner: WeakNodeRef,
    /// The innermost scope at or above the owner, if any; it ended when it is gone.
    scope: Option<WeakNodeRef>,
    pool: ArcSwapOption<Pool>,
    /// The family's, also when the owner has been dropped.
    totals: Totals,
    /// One start at a time.
    starting: Mutex<()>,
    /// The scope that it ended with, in words.
    ended_with: OnceLock<Box<str>>,
    /// Set once, when the manager is made; dropped with it. One that belongs nowhere is not listed.
    _registration: Option<Registration<SlotValue>>,
}

/// See [`PoolManager::lent`].
pub(crate) struct Lent<'a> {
    manager: ManuallyDrop<PoolManager>,
    borrow: PhantomData<&'a Arc<SlotValue>>,
}

impl Deref for Lent<'_> {
    type Target = PoolManager;

    #[inline]
    fn deref(&self) -> &PoolManager {
        &self.manager
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.load_full() {
            pool.close();
        }
    }
}

impl PoolManager {
    /// A manager that knows its owner; the owner is told by the caller.
    pub(crate) fn new(owner: &NodeRef, namespace: Namespace) -> Self {
        let index = owner.node().family().index();
        Self(Arc::new_cyclic(|this: &Weak<Inner>| Inner {
            namespace,
            owner: owner.downgrade(),
            scope: owner.innermost_scope().map(|scope| scope.downgrade()),
            pool: ArcSwapOption::empty(),
            totals: index.totals.clone(),
            starting: Mutex::new(()),
            ended_with: OnceLock::new(),
            _registration: Some(index.managers.insert(this.clone())),
        }))
    }

    /// A manager that belongs to no place: it is found nowhere, and refuses to start.
    pub(crate) fn nowhere(namespace: Namespace) -> Self {
        Self(Arc::new(Inner {
            namespace,
            owner: WeakNodeRef::nowhere(),
            scope: None,
            pool: ArcSwapOption::empty(),
            totals: Totals::NONE,
            starting: Mutex::new(()),
            ended_with: OnceLock::new(),
            _registration: None,
        }))
    }

    pub(crate) fn to_slot(&self) -> Arc<SlotValue> {
        Arc::clone(&self.0) as _
    }

    pub(crate) fn from_slot(slot_value: Arc<SlotValue>) -> Option<Self> {
        slot_value.downcast::<Inner>().ok().map(Self)
    }

    /// A manager for as long as the value is borrowed, without counting it.
    #[inline]
    pub(crate) fn lent(slot_value: &Arc<SlotValue>) -> Lent<'_> {
        debug_assert!(slot_value.is::<Inner>(), "only managers live at nodes");
        // SAFETY: the pointer is to the value of an `Arc<Inner>`, seen as `Arc<dyn Any>`: nothing but `to_slot`
        // makes what nodes hold. The copy is never dropped, and `Lent` does not outlive the borrow.
        let manager = ManuallyDrop::new(PoolManager(unsafe { Arc::from_raw(Arc::as_ptr(slot_value).cast::<Inner>()) }));
        Lent { manager, borrow: PhantomData }
    }

    /// The name it is found under.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The node it belongs to; `None` when that has ended, and where [`create`](crate::create) made the manager for
    /// nobody.
    #[must_use]
    pub fn owner(&self) -> Option<Lineage> {
        self.0.owner.upgrade().map(Lineage)
    }

    /// Whether two handles mean the same manager.
    #[must_use]
    pub fn is_same(&self, other: &PoolManager) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Starts a pool. Costs an allocation; threads come with tasks.
    ///
    /// ```
    /// use heirloom::{PoolConfig, StartError};
    ///
    /// let render = heirloom::create("render");
    /// render.start(PoolConfig::leased(4))?;
    /// let again = render.start(PoolConfig::leased(8));
    /// assert!(matches!(again, Err(ref error) if matches!(error.kind(), StartErrorKind::AlreadyRunning))); // and the first goes on
    ///
    /// assert!(render.stop()?.is_complete());
    /// render.start(PoolConfig::leased(8))?; // any settings, fresh numbers
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AlreadyRunning`](StartErrorKind::AlreadyRunning), [`StillStopping`](StartErrorKind::StillStopping) while tasks of the
    /// last start have not ended, [`Invalid`](StartErrorKind::Invalid) naming the setting,
    /// [`ScopeEnded`](StartErrorKind::ScopeEnded) in a scope that was told to end, [`NoPlace`](StartErrorKind::NoPlace) when
    /// code without a place of its own created the manager. A refusal changes nothing.
    ///
    /// With [`PoolConfig::warm`] this blocks until the threads are ready, as one of heirloom's waits, and may fail with
    /// [`WorkerInit`](StartErrorKind::WorkerInit), [`WarmTimeout`](StartErrorKind::WarmTimeout),
    /// [`ThreadSpawn`](StartErrorKind::ThreadSpawn), or [`Ended`](StartErrorKind::Ended) when somebody ends the pool meanwhile.
    /// What was started is ended then, and the manager can be started again. Tasks submitted meanwhile are
    /// accepted; they run when a thread is ready, or end with the same failure.
    pub fn start(&self, config: PoolConfig) -> Result<(), StartError> {
        let pool = self.start_pool(config)?;
        pool.warm_up();
        self.wait_for(&pool)
    }

    fn wait_for(&self, pool: &Arc<Pool>) -> Result<(), StartError> {
        let deadline = pool.ready_by();
        pool.wait_ready(deadline).map_err(|unready| {
            // Idle threads of a start that failed are gone when this returns.
            let _ = pool.block_until_over(deadline);
            self.not_ready(pool, unready)
        })
    }

    /// Waits for the threads that the last start warms.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[inline]
    pub(super) fn wait_ready(&self) -> Result<(), StartError> {
        match &*self.0.pool.load() {
            Some(pool) if fork::is_fork() => Err(self.start_error(StartErrorKind::Forked)),
            Some(pool) if !pool.is_ready() => self.wait_for(&Arc::clone(pool)),
            _ => Ok(()),
        }
    }

    /// The same without blocking.
    pub(super) async fn await_ready(&self) -> Result<(), StartError> {
        let Some(pool) = self.pool() else { return Ok(()) };
        if fork::is_fork() {
            return Err(self.start_error(StartErrorKind::Forked));
        }
        pool.await_ready(pool.ready_by()).await.map_err(|unready| self.not_ready(&pool, unready))
    }

    /// As [`start`](Self::start), without blocking the runtime while threads are [warmed](PoolConfig::warm).
    ///
    /// Starts when first polled. Dropping the future stops only the waiting: the start goes on, fails or succeeds by
    /// its own time limit, and can be ended with [`stop`](Self::stop).
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let scope = Scope::new("doc");
    /// let plugins = scope.create("plugins");
    /// plugins.start_async(PoolConfig::dedicated(2).warm(2)).await?;
    /// assert!(plugins.is_running());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_async(&self, config: PoolConfig) -> Result<(), StartError> {
        let pool = self.start_pool(config)?;
        let deadline = pool.ready_by();
        pool.warm_up();
        pool.await_ready(deadline).await.map_err(|unready| self.not_ready(&pool, unready))
    }

    fn not_ready(&self, pool: &Pool, unready: WarmupError) -> StartError {
        self.start_error(match unready {
            WarmupError::Init(error) => StartErrorKind::WorkerInit { setting: error.setting(), error: error.shared() },
            WarmupError::Thread(error) => {
                StartErrorKind::ThreadSpawn { source: io::Error::new(error.kind(), error.to_string()) }
            }
            WarmupError::TimedOut { ready } => {
                let (wanted, after) = pool.warm_wanted();
                StartErrorKind::WarmTimeout { ready, wanted, after }
            }
            WarmupError::Ended => StartErrorKind::Ended,
        })
    }

    fn start_error(&self, kind: StartErrorKind) -> StartError {
        StartError::new(&self.0.namespace, kind)
    }

    /// Starts a pool whose tasks run on the calling thread, when it says so; see [`LocalPool`]. Anyone submits as ever.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let ui = scope.create("ui");
    /// let local = ui.start_local(PoolConfig::local())?;
    /// let shown = ui.submit(|| "shown")?;
    /// assert_eq!(local.run_until(shown)?, "shown");
    /// drop(local);
    /// assert!(ui.submit(|| ()).is_err()); // closed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start); [`Invalid`](StartErrorKind::Invalid) when the settings are not [`PoolConfig::local`]'s.
    pub fn start_local(&self, config: PoolConfig) -> Result<LocalPool, StartError> {
        if config.kind != PoolKind::Local {
            let problem = "is not local; use `PoolConfig::local`, or `start`";
            return Err(self.start_error(StartErrorKind::Invalid { setting: "kind", problem }));
        }
        self.start_any(config).map(LocalPool::new)
    }

    pub(super) fn start_pool(&self, config: PoolConfig) -> Result<Arc<Pool>, StartError> {
        if config.kind == PoolKind::Local {
            let problem = "is local, so a thread of the caller must run it; use `start_local`";
            return Err(self.start_error(StartErrorKind::Invalid { setting: "kind", problem }));
        }
        self.start_any(config)
    }

    fn start_any(&self, config: PoolConfig) -> Result<Arc<Pool>, StartError> {
        if fork::is_fork() {
            return Err(self.start_error(StartErrorKind::Forked));
        }
        if self.0.owner.is_nowhere() {
            return Err(self.start_error(StartErrorKind::NoPlace));
        }
        if let Some((setting, problem)) = config.problem() {
            return Err(self.start_error(StartErrorKind::Invalid { setting, problem }));
        }
        let _one = self.0.starting.lock();
        if let Some(before) = &*self.0.pool.load() {
            if !before.tracker.is_closed() {
                return Err(self.start_error(StartErrorKind::AlreadyRunning));
            }
            // Its places are of no interest, and the tracker may lag: what a `join` has seen to end has ended here too.
            let remaining = before.remaining();
            if remaining > 0 {
                return Err(self.start_error(StartErrorKind::StillStopping { remaining }));
            }
        }
        // Not by way of the owner: it may be gone, and its scope with it.
        let scope = self.0.scope.as_ref().map(WeakNodeRef::upgrade);
        let ended =
            || scope.as_ref().is_some_and(|scope| scope.as_ref().is_none_or(|scope| scope.node().scope_closed()));
        let named = || match scope.clone().flatten() {
            Some(scope) => Some(Lineage(scope).to_string()),
            None => self.ended_with().map(String::from),
        };
        if ended() {
            note_if_cancelled();
            return Err(self.start_error(StartErrorKind::ScopeEnded { scope: named() }));
        }
        exit::arm();
        let pool = Pool::new(self.0.namespace.clone(), self.0.owner.clone(), config);
        pool.totals.begin(&self.0.totals, &pool);
        self.0.pool.store(Some(Arc::clone(&pool)));
        // A scope that ended since the first look has closed what it found, which did not include this pool.
        if ended() {
            pool.close();
            note_if_cancelled();
            return Err(self.start_error(StartErrorKind::ScopeEnded { scope: named() }));
        }
        Ok(pool)
    }

    /// Starts a pool unless one runs already with equal settings. Idempotent, from any number of threads.
    ///
    /// For settings that must hold. To take a pool that runs as it is, and start one only where none runs, use
    /// [`get_or_start`](crate::get_or_start()).
    ///
    /// ```
    /// use heirloom::{PoolConfig, StartError};
    ///
    /// let io = heirloom::create("io");
    /// io.ensure_started(PoolConfig::leased(4))?;
    /// io.ensure_started(PoolConfig::leased(4))?; // fine: it runs so
    /// let other = io.ensure_started(PoolConfig::leased(5));
    /// assert!(matches!(other, Err(ref error) if matches!(error.kind(), StartErrorKind::ConfigMismatch { setting: "n", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigMismatch`](StartErrorKind::ConfigMismatch), which names them, when it runs with other settings; otherwise as
    /// [`start`](Self::start).
    pub fn ensure_started(&self, config: PoolConfig) -> Result<(), StartError> {
        if fork::is_fork() {
            return Err(self.start_error(StartErrorKind::Forked));
        }
        loop {
            if let Some(running) = self.running() {
                self.runs_so(&running, &config)?;
                // Perhaps somebody else's start is still under way.
                return running.wait_ready(running.ready_by()).map_err(|unready| self.not_ready(&running, unready));
            }
            match self.start(config.clone()) {
                // Somebody else was faster: compare with theirs.
                Err(error) if error.is_already_running() => {}
                other => return other,
            }
        }
    }

    /// As [`ensure_started`](Self::ensure_started), without blocking the runtime while threads are
    /// [warmed](PoolConfig::warm). Dropping the future stops only the waiting.
    ///
    /// # Errors
    /// As [`ensure_started`](Self::ensure_started).
    pub async fn ensure_started_async(&self, config: PoolConfig) -> Result<(), StartError> {
        if fork::is_fork() {
            return Err(self.start_error(StartErrorKind::Forked));
        }
        loop {
            if let Some(running) = self.running() {
                self.runs_so(&running, &config)?;
                let ready = running.await_ready(running.ready_by()).await;
                return ready.map_err(|unready| self.not_ready(&running, unready));
            }
            match self.start_async(config.clone()).await {
                Err(error) if error.is_already_running() => {}
                other => return other,
            }
        }
    }

    fn runs_so(&self, running: &Pool, config: &PoolConfig) -> Result<(), StartError> {
        let settings = running.config.differences(config);
        match settings.first() {
            None => Ok(()),
            Some(setting) => Err(self.start_error(StartErrorKind::ConfigMismatch { setting, settings })),
        }
    }

    pub(super) fn running(&self) -> Option<Arc<Pool>> {
        self.0.pool.load_full().filter(|pool| !pool.tracker.is_closed())
    }

    /// Its owner is a scope that ends, which its pool ends with. Noted for those who hold the manager beside that scope
    /// and the caller: mostly there is nobody.
    pub(super) fn ends_with(&self, scope: &Lineage) {
        if Arc::strong_count(&self.0) > 2 {
            self.0.ended_with.get_or_init(|| scope.to_string().into());
        }
    }

    /// The scope that it ended with, in words.
    pub(super) fn ended_with(&self) -> Option<&str> {
        self.0.ended_with.get().map(AsRef::as_ref)
    }

    /// The pool of the last start, running or not.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.0.pool.load_full()
    }

    /// Whether a pool was started and not told to end.
    #[must_use]
    #[inline]
    pub fn is_running(&self) -> bool {
        self.0.pool.load().as_ref().is_some_and(|pool| !pool.tracker.is_closed())
    }

    /// The one type of task the pool takes, when it is typed; of the last start, if the pool has ended.
    #[must_use]
    pub fn task_type(&self) -> Option<TaskType> {
        self.pool().and_then(|pool| pool.config.task_type.clone())
    }

    /// A look at the pool; of the last start, if it has ended. All zero before the first start.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        match &*self.0.pool.load() {
            Some(pool) => pool.stats(),
            None => PoolStats {
                limit: 0,
                running: 0,
                waiting: 0,
                queued: 0,
                completed: 0,
                interrupted: 0,
                panicked: 0,
                cancelled: 0,
                refused: 0,
                task_type: None,
                mode: PoolMode::Joining,
                kind: PoolKind::Leased,
            },
        }
    }

    /// Submits a task. Never blocks.
    ///
    /// The task stands below the place that calls this, and runs inside the `tracing` span current here; under the
    /// subscriber, too, if that is the default of a part of this thread's code (`tracing::subscriber::with_default`). One
    /// allocation.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let name = String::from("heirloom");
    /// let task = pool.submit(move || name.len())?; // a task owns what it uses; for one that borrows see `run` and `scope`
    /// assert_eq!(task.join()?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the pool does not run, is typed about types, or its queue is full; see [`SubmitError`]. The closure is
    /// dropped; [`try_submit`](Self::try_submit) gives it back.
    pub fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, SubmitError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_any(None, f).map_err(|refused| refused.reason)
    }

    /// Submits a task of a type. Never blocks.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_as<F, T>(&self, task_type: impl Into<TaskType>, f: F) -> Result<TaskHandle<T>, SubmitError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_any(Some(task_type.into()), f).map_err(|refused| refused.reason)
    }

    /// As [`submit`](Self::submit); a refusal gives the closure back and says whether trying again can help.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # let (open, gate) = std::sync::mpsc::channel::<()>();
    /// pool.start(PoolConfig::leased(1).queue_limit(1))?;
    /// # let (starts, has_started) = std::sync::mpsc::channel();
    /// # let busy = pool.submit(move || { starts.send(()).unwrap(); gate.recv() })?;
    /// # has_started.recv()?;
    /// # let waits = pool.submit(|| ())?;
    /// let Err(refused) = pool.try_submit(|| 6 * 7) else { panic!("one runs, one is queued") };
    /// assert!(refused.is_temporary()); // the queue is full; later may work
    /// let answer = refused.into_task()(); // or do it here and now
    /// assert_eq!(answer, 42);
    /// # open.send(())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn try_submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_any(None, f)
    }

    /// As [`submit_as`](Self::submit_as); a refusal gives the closure back and says whether trying again can help.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn try_submit_as<F, T>(&self, task_type: impl Into<TaskType>, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_any(Some(task_type.into()), f)
    }

    fn try_any<F, T>(&self, task_type: Option<TaskType>, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match &*self.0.pool.load() {
            Some(pool) => pool.submit_static(task_type, f).map_err(|refused| self.explained(refused)),
            None => Err(Refused { task: f, reason: self.not_started() }),
        }
    }

    /// As [`try_submit`](Self::try_submit), waiting at most `d` for room in a bounded queue. From a task, its place is
    /// given away meanwhile.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// use std::time::Duration;
    ///
    /// pool.start(PoolConfig::leased(1).queue_limit(1))?;
    /// for n in 0..100 {
    ///     // Slowed down to the pool's speed instead of refused.
    ///     let task = pool.submit_timeout(move || n * n, Duration::from_secs(10))?;
    ///     drop(task); // detached
    /// }
    /// assert_eq!(pool.stop()?.completed, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`QueueFull`](SubmitErrorKind::QueueFull) when there was no room in time; otherwise as [`submit`](Self::submit).
    pub fn submit_timeout<F, T>(&self, f: F, d: Duration) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.pool() {
            Some(pool) => pool.submit_waiting(None, f, park::after(d)).map_err(|refused| self.explained(refused)),
            None => Err(Refused { task: f, reason: self.not_started() }),
        }
    }

    /// As [`try_submit`](Self::try_submit), waiting for room in a bounded queue without blocking the runtime. Dropping
    /// the future before it is ready submits nothing.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_async<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.pool() {
            Some(pool) => pool.submit_async(None, f).await.map_err(|refused| self.explained(refused)),
            None => Err(Refused { task: f, reason: self.not_started() }),
        }
    }

    /// Runs `f` on every item, and yields the results in order.
    ///
    /// Tasks are submitted as results are taken, a few for each of the pool's places ahead, so the iterator may be
    /// endless. Each item costs a submit and one allocation more, which holds the item until its task runs.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let squares: Result<Vec<u64>, _> = pool.map(1..=4, |n: u64| n * n)?.collect();
    /// assert_eq!(squares?, [1, 4, 9, 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Self::submit), when the first task is refused. A later refusal is the map's last item; the input that
    /// was refused is both that `Err` and the first of [`into_rest`](Map::into_rest), so count it once.
    pub fn map<I, F, T>(&self, items: I, f: F) -> Result<Map<I::IntoIter, F, T>, SubmitError>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let pool = self.pool().ok_or_else(|| self.not_started())?;
        let task_type = None;
        Map::new(pool, task_type, items.into_iter(), f).map_err(|refusal| self.explain(refusal))
    }

    /// [`map`](Self::map) for a pool that takes one type of task.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_as<I, F, T>(
        &self,
        task_type: impl Into<TaskType>,
        items: I,
        f: F,
    ) -> Result<Map<I::IntoIter, F, T>, SubmitError>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let pool = self.pool().ok_or_else(|| self.not_started())?;
        Map::new(pool, Some(task_type.into()), items.into_iter(), f).map_err(|refusal| self.explain(refusal))
    }

    /// Runs `f` with a scope whose tasks may borrow, and returns when all of them have ended; the wait cannot fail.
    /// Comes back, also when `f` panics, only when every task's closure and unclaimed result is dropped.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let words = ["walk", "up", "the", "tree"];
    /// let longest = pool.scope(|s| -> Result<usize, Box<dyn std::error::Error>> {
    ///     let left = s.submit(|| words[..2].iter().map(|w| w.len()).max())?;
    ///     let right = s.submit(|| words[2..].iter().map(|w| w.len()).max())?;
    ///     Ok(left.join()?.max(right.join()?).unwrap_or(0))
    /// })?;
    /// assert_eq!(longest, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is none of its own: `f`'s value comes back. Submitting in a scope of a manager that was never started is
    /// refused.
    ///
    /// # Aborts
    /// In a fork's child, when `f` forked while tasks of the scope had not ended: they run in the parent only, and what `f`'s
    /// caller does next may rely on them. Call `exec` or `_exit` inside of `f` there.
    pub fn scope<'env, T>(&self, f: impl for<'scope> FnOnce(&'scope TaskScope<'scope, 'env>) -> T) -> T {
        match self.pool() {
            Some(pool) => scope::run(&pool, f),
            None => {
                // Never started: a pool that is closed from the start refuses every task, which is what there is to
                // say.
                exit::arm();
                let pool = Pool::new(self.0.namespace.clone(), self.0.owner.clone(), PoolConfig::leased(1).daemon());
                pool.close();
                scope::run(&pool, f)
            }
        }
    }

    /// Runs `f` as a task and waits for it. `f` may borrow.
    ///
    /// On a leased pool with a free place and an empty queue it runs on the calling thread, within the pool's limit
    /// (unless that thread is a dedicated or work-stealing pool's, on which no other pool's tasks run); otherwise
    /// it is submitted, and this waits as [`TaskHandle::join`] does.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let text = String::from("borrowed");
    /// assert_eq!(pool.run(|| text.len())?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The panic of `f`, with its payload; that it was cancelled; or, as [`TaskError::as_refused`], that it was not
    /// accepted.
    pub fn run<F, T>(&self, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.run_any(None, f)
    }

    /// [`run`](Self::run) for a task of a type.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_as<F, T>(&self, task_type: impl Into<TaskType>, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.run_any(Some(task_type.into()), f)
    }

    fn run_any<F, T>(&self, task_type: Option<TaskType>, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let refused = |reason| TaskError::refused(TaskId::next(), &self.0.namespace, reason);
        let pool = self.pool().ok_or_else(|| refused(self.not_started()))?;
        worker::run_and_wait(&pool, task_type, f).map_err(|refusal| refused(self.explain(refusal)))?
    }

    /// Runs `f` on a thread of a [work-stealing](PoolConfig::work_stealing) pool, as a task, and waits for it: rayon's
    /// `par_iter`, `join` and `scope` inside use the pool's threads. `f` may borrow. On a thread of this very pool
    /// it runs at once.
    ///
    /// It counts, ends and is reported as any task; [`submit`](Self::submit) is the same without waiting. `f` stands at
    /// the pool's owner; see there, and [`Lineage::carry`] for bringing a place along. The wait is one of
    /// heirloom's: a task that installs in another pool gives its place away meanwhile.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    /// use rayon::prelude::*;
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("math");
    /// pool.start(PoolConfig::work_stealing(2))?;
    /// let mut numbers: Vec<u64> = (0..1000).rev().collect();
    /// pool.install(|| numbers.par_sort())?;
    /// assert_eq!(numbers[..3], [0, 1, 2]);
    /// assert_eq!(pool.stop()?.completed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run); on a pool of another kind [`NotWorkStealing`](SubmitErrorKind::NotWorkStealing), as
    /// [`TaskError::as_refused`].
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    pub fn install<F, T>(&self, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.install_any(None, f)
    }

    /// [`install`](Self::install) for a task of a type.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    pub fn install_as<F, T>(&self, task_type: impl Into<TaskType>, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.install_any(Some(task_type.into()), f)
    }

    #[cfg(feature = "rayon")]
    fn install_any<F, T>(&self, task_type: Option<TaskType>, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        match self.pool() {
            Some(pool) if !pool.config.steals() => {
                let reason = SubmitError::new(&self.0.namespace, SubmitErrorKind::NotWorkStealing);
                Err(TaskError::refused(TaskId::next(), &self.0.namespace, reason))
            }
            _ => self.run_any(task_type, f),
        }
    }

    /// Accepts nothing more. A joining pool runs what it accepted; a daemon pool's queued tasks end as cancelled. Does
    /// not wait. Idempotent.
    pub fn close(&self) {
        if let Some(pool) = self.pool() {
            pool.close();
        }
    }

    /// [`close`](Self::close)s, and waits until a joining pool's tasks have all ended and its threads let go (a
    /// dedicated pool's threads have exited, their thread-locals destroyed). A daemon pool is not waited for.
    /// Idempotent.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// drop(pool.submit(|| "detached, and still done")?);
    /// let report = pool.stop()?;
    /// assert_eq!((report.completed, report.is_complete()), (1, true));
    /// assert!(pool.submit(|| ()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask) when called from one of the tasks it would wait for; nothing is closed
    /// then.
    pub fn stop(&self) -> Result<StopReport, StopError> {
        self.stop_by(None)
    }

    /// As [`stop`](Self::stop), waiting at most `d`; the report says what is left then. The pool stays closed either
    /// way.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_timeout(&self, d: Duration) -> Result<StopReport, StopError> {
        self.stop_by(Some(d))
    }

    fn stop_by(&self, d: Option<Duration>) -> Result<StopReport, StopError> {
        match self.pool() {
            Some(pool) => pool.stop(deadline(d)),
            None => Ok(StopReport::default()),
        }
    }

    /// As [`stop`](Self::stop), without blocking the runtime. Closes when first polled; dropping it stops only the
    /// waiting.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub async fn stop_async(&self) -> Result<StopReport, StopError> {
        match self.pool() {
            Some(pool) => pool.stop_async().await,
            None => Ok(StopReport::default()),
        }
    }

    /// Accepts nothing more; what has not started never will, and what runs is asked to stop
    /// ([`checkpoint`](crate::checkpoint)). Does not wait. Idempotent.
    ///
    /// The closures of queued tasks are dropped on this thread, each after all of those tasks have their outcome.
    pub fn cancel(&self) {
        if let Some(pool) = self.pool() {
            pool.cancel();
        }
    }

    /// Waits until nothing is queued or running. The pool stays open.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let task = pool.submit(|| "done")?;
    /// pool.wait_idle()?;
    /// assert!(task.is_finished());
    /// assert!(pool.submit(|| ()).is_ok()); // still open
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask) when called from one of the tasks it would wait for.
    pub fn wait_idle(&self) -> Result<(), StopError> {
        self.idle_by(None).map(drop)
    }

    /// As [`wait_idle`](Self::wait_idle), at most `d`. False when something was still queued or running then.
    ///
    /// # Errors
    /// As [`wait_idle`](Self::wait_idle).
    pub fn wait_idle_timeout(&self, d: Duration) -> Result<bool, StopError> {
        self.idle_by(Some(d))
    }

    /// As [`wait_idle`](Self::wait_idle), without blocking the runtime. Dropping it stops the waiting.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let task = pool.submit(|| "done")?;
    /// futures::executor::block_on(pool.wait_idle_async())?; // on any runtime
    /// assert!(task.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask) when polled first in one of the tasks it would wait for.
    pub async fn wait_idle_async(&self) -> Result<(), StopError> {
        match self.pool() {
            Some(pool) => pool.wait_idle_async().await,
            None => Ok(()),
        }
    }

    fn idle_by(&self, d: Option<Duration>) -> Result<bool, StopError> {
        match self.pool() {
            Some(pool) => pool.wait_idle(deadline(d)),
            None => Ok(true),
        }
    }
}

impl fmt::Debug for PoolManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolManager")
            .field("namespace", &self.0.namespace)
            .field("owner", &self.owner())
            .field("running", &self.is_running())
            .finish()
    }
}
