//! The verbs of a manager that start its pool.

use std::io;

use crate::error::{CancelReason, Error, ErrorKind, StartError, StartErrorKind};
use crate::lineage::handle::Lineage;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;
use crate::pool::context::interrupted::note_if_cancelled;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::kinds::dedicated::start;
use crate::pool::kinds::dedicated::warm::WarmupError;
use crate::pool::kinds::local::LocalPool;
use crate::pool::run::stop;
use crate::registry::manager::PoolManager;
use crate::sync::fork;
use crate::sync::os::Arc;

impl PoolManager {
    /// Starts a pool.
    ///
    /// Costs an allocation. Starts no thread: threads come with tasks. Only with [`PoolConfig::warm`] it makes threads
    /// and blocks until they are ready, as one of this crate's waits. Tasks submitted meanwhile are accepted. They run
    /// when a thread is ready, or end with the start's failure.
    ///
    /// ```
    /// use heirloom::PoolConfig;
    ///
    /// let render = heirloom::create("render");
    /// render.start(PoolConfig::leased(4))?;
    /// let again = render.start(PoolConfig::leased(8));
    /// assert_eq!(again.unwrap_err().kind(), heirloom::ErrorKind::AlreadyRunning); // and the first goes on
    ///
    /// assert!(render.stop()?.is_complete());
    /// render.start(PoolConfig::leased(8))?; // any settings, fresh numbers
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// * [`AlreadyRunning`](StartErrorKind::AlreadyRunning);
    /// * [`StillStopping`](StartErrorKind::StillStopping) while tasks of the last start have not ended;
    /// * [`Invalid`](StartErrorKind::Invalid), with the name of the setting;
    /// * [`ScopeEnded`](StartErrorKind::ScopeEnded) below a scope that is closed;
    /// * [`NoPlace`](StartErrorKind::NoPlace) when code without a node of its own created the manager.
    ///
    /// These change nothing. With [`PoolConfig::warm`] also [`WorkerInit`](StartErrorKind::WorkerInit),
    /// [`WarmTimeout`](StartErrorKind::WarmTimeout), [`ThreadSpawn`](StartErrorKind::ThreadSpawn), and
    /// [`Ended`](StartErrorKind::Ended) when the pool is ended meanwhile. These end the pool, and the manager can be started
    /// again.
    pub fn start(&self, config: PoolConfig) -> Result<(), Error> {
        let pool = self.start_pool(config)?;
        start::warm_up(&pool);
        self.wait_for(&pool)
    }

    /// As [`start`](Self::start), without blocking the runtime while threads are [warmed](PoolConfig::warm).
    ///
    /// Starts when first polled. Dropping the future stops only the wait: the start goes on until it is ready or fails,
    /// and [`stop`](Self::stop) ends it.
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
    /// # Ok::<(), heirloom::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_async(&self, config: PoolConfig) -> Result<(), Error> {
        let pool = self.start_pool(config)?;
        start::warm_up(&pool);
        self.await_for(&pool).await
    }

    /// Starts a pool whose tasks run on the calling thread, whenever that thread calls the returned [`LocalPool`].
    ///
    /// Any thread submits. Dropping the [`LocalPool`] ends the pool.
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
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start); [`Invalid`](StartErrorKind::Invalid) when the settings are not [`PoolConfig::local`]'s.
    pub fn start_local(&self, config: PoolConfig) -> Result<LocalPool, Error> {
        if config.kind != PoolKind::Local {
            return Err(self.wrong_kind("is not local; use `PoolConfig::local`, or `start`"));
        }
        self.start_any(config).map(LocalPool::new)
    }

    /// Starts a pool unless one with equal settings runs.
    ///
    /// Idempotent, from any number of threads. For settings that must hold. [`get_or_start`](crate::get_or_start())
    /// instead takes a running pool as it is. Blocks while threads are [warmed](PoolConfig::warm), also by another
    /// caller's start.
    ///
    /// ```
    /// use heirloom::PoolConfig;
    ///
    /// let io = heirloom::create("io");
    /// io.ensure_started(PoolConfig::leased(4))?;
    /// io.ensure_started(PoolConfig::leased(4))?; // fine: it runs so
    /// let other = io.ensure_started(PoolConfig::leased(5));
    /// assert_eq!(other.unwrap_err().kind(), heirloom::ErrorKind::ConfigMismatch);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigMismatch`](StartErrorKind::ConfigMismatch), with the settings that differ; otherwise as
    /// [`start`](Self::start).
    pub fn ensure_started(&self, config: PoolConfig) -> Result<(), Error> {
        let (pool, is_started) = self.running_or_started(&config)?;
        if is_started {
            return self.wait_for(&pool);
        }
        // The caller that started it waits for the end of a failed start.
        start::wait_ready(&pool, start::ready_by(&pool)).map_err(|unready| self.not_ready(&pool, unready))
    }

    /// As [`ensure_started`](Self::ensure_started), without blocking the runtime while threads are
    /// [warmed](PoolConfig::warm). Dropping the future stops only the wait.
    ///
    /// # Errors
    /// As [`ensure_started`](Self::ensure_started).
    pub async fn ensure_started_async(&self, config: PoolConfig) -> Result<(), Error> {
        let (pool, _) = self.running_or_started(&config)?;
        self.await_for(&pool).await
    }

    /// A running pool with these settings, and whether this call started it. Its threads may be warming still.
    fn running_or_started(&self, config: &PoolConfig) -> Result<(Arc<Pool>, bool), Error> {
        self.not_in_fork()?;
        loop {
            if let Some(running) = self.running() {
                let settings = running.config.differences(config);
                let Some(setting) = settings.first() else { return Ok((running, false)) };
                return Err(self.start_error(StartErrorKind::ConfigMismatch { setting, settings }));
            }
            match self.start_pool(config.clone()) {
                // Another caller's start was first: compare with its settings.
                Err(error) if error.kind() == ErrorKind::AlreadyRunning => {}
                started => return started.inspect(start::warm_up).map(|pool| (pool, true)),
            }
        }
    }

    /// Starts a pool of any kind but the local one, and no threads: [`Pool::warm_up`] does.
    pub(super) fn start_pool(&self, config: PoolConfig) -> Result<Arc<Pool>, Error> {
        if config.kind == PoolKind::Local {
            return Err(self.wrong_kind("is local, so a thread of the caller must run it; use `start_local`"));
        }
        self.start_any(config)
    }

    fn start_any(&self, config: PoolConfig) -> Result<Arc<Pool>, Error> {
        self.not_in_fork()?;
        if self.inner.owner.is_nowhere() {
            return Err(self.start_error(StartErrorKind::NoPlace));
        }
        if let Some((setting, problem)) = config.problem() {
            return Err(self.start_error(StartErrorKind::Invalid { setting, problem }));
        }
        let known = self.load();
        if let Some(before) = known.get() {
            if !before.tracker.is_closed() {
                return Err(self.start_error(StartErrorKind::AlreadyRunning));
            }
            // Not by the tracker, which lags behind: a task whose end a `join` has returned has ended here too.
            let remaining = end::remaining(before);
            if remaining > 0 {
                return Err(self.start_error(StartErrorKind::StillStopping { remaining }));
            }
        }
        self.not_in_ended_scope()?;
        let pool = self.new_pool(config);
        pool.totals.begin(&self.inner.totals, &pool);
        if !self.inner.pool.replace(known, Arc::clone(&pool)) {
            // Another caller's start was first. No code has seen this pool.
            return Err(self.start_error(StartErrorKind::AlreadyRunning));
        }
        // A scope that ended since the first look closed the pools that it found then, without this one.
        self.not_in_ended_scope().inspect_err(|_| stop::close(&pool, CancelReason::OwnerEnd))?;
        Ok(pool)
    }

    fn not_in_fork(&self) -> Result<(), Error> {
        match fork::is_fork() {
            true => Err(self.start_error(StartErrorKind::Forked)),
            false => Ok(()),
        }
    }

    /// Asks the scope itself: the owner below it may be dropped already.
    fn not_in_ended_scope(&self) -> Result<(), Error> {
        if self.inner.scope.is_process() {
            return Ok(());
        }
        let scope = self.inner.scope.upgrade();
        if scope.as_ref().is_some_and(|scope| !scope.node().scope_closed()) {
            return Ok(());
        }
        note_if_cancelled();
        let cause = scope.as_ref().and_then(|scope| scope.node().end_cause());
        let scope = scope.map(|scope| Lineage(scope).to_string()).or_else(|| self.ended_with());
        Err(self.start_error(StartErrorKind::ScopeEnded { scope, cause }))
    }

    fn start_error(&self, kind: StartErrorKind) -> Error {
        StartError::new(self.namespace(), kind).into()
    }

    fn wrong_kind(&self, problem: &'static str) -> Error {
        self.start_error(StartErrorKind::Invalid { setting: "kind", problem })
    }

    fn wait_for(&self, pool: &Arc<Pool>) -> Result<(), Error> {
        let deadline = start::ready_by(pool);
        start::wait_ready(pool, deadline).map_err(|unready| {
            // The idle threads of a failed start have ended when this returns.
            let _ = end::block_until_over(pool, deadline);
            self.not_ready(pool, unready)
        })
    }

    async fn await_for(&self, pool: &Arc<Pool>) -> Result<(), Error> {
        start::await_ready(pool, start::ready_by(pool)).await.map_err(|unready| self.not_ready(pool, unready))
    }

    /// Waits for the threads that the last start warms.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[inline]
    pub(super) fn wait_ready(&self) -> Result<(), Error> {
        // Counted, since the caller waits.
        let unready = match self.load().get() {
            Some(_) if fork::is_fork() => return self.not_in_fork(),
            Some(pool) if !start::is_ready(pool) => Arc::clone(pool),
            _ => return Ok(()),
        };
        self.wait_for(&unready)
    }

    /// [`wait_ready`](Self::wait_ready) without blocking.
    pub(super) async fn await_ready(&self) -> Result<(), Error> {
        let Some(pool) = self.pool() else { return Ok(()) };
        self.not_in_fork()?;
        self.await_for(&pool).await
    }

    fn not_ready(&self, pool: &Pool, unready: WarmupError) -> Error {
        self.start_error(match unready {
            WarmupError::Init(error) => StartErrorKind::WorkerInit { setting: error.setting(), error: error.shared() },
            WarmupError::Thread(error) => {
                StartErrorKind::ThreadSpawn { source: io::Error::new(error.kind(), error.to_string()) }
            }
            WarmupError::TimedOut { ready } => {
                let (wanted, after) = start::warm_wanted(pool);
                StartErrorKind::WarmTimeout { ready, wanted, after }
            }
            WarmupError::Ended => StartErrorKind::Ended,
        })
    }
}
