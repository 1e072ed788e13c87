//! The settings of [`PoolConfig`] for a dedicated pool's threads.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use crate::pool::config::PoolConfig;
use crate::pool::config::threads::ThreadConfig;
use crate::pool::config::worker_ctx::{Hook, WorkerCtx};
use crate::pool::config::worker_state::Maker;

/// Settings of a [`dedicated`](Self::dedicated) pool's threads; a start of another kind refuses each of them.
impl PoolConfig {
    fn threads_mut(&mut self) -> &mut ThreadConfig {
        self.rare_mut().threads.get_or_insert_default()
    }

    /// Keeps permits in waits by default, because each thread of the pool has a scarce resource.
    fn holds_permit_by_default(&mut self) {
        self.holds_permit |= !self.permits_set.0;
    }

    /// Names a dedicated pool's threads `prefix-0`, `prefix-1`, …; the manager's namespace by default.
    ///
    /// ```
    /// # use heirloom::PoolConfig;
    /// # let scope = heirloom::Scope::new("doc");
    /// let gpu = scope.create("gpu");
    /// gpu.start(PoolConfig::dedicated(1).thread_name_prefix("shader"))?;
    /// let name = gpu.submit(|| std::thread::current().name().map(String::from))?.join()?;
    /// assert_eq!(name.as_deref(), Some("shader-0"));
    /// // Borrowed threads have no pool's name: the setting is refused, not ignored.
    /// assert!(scope.create("render").start(PoolConfig::leased(1).thread_name_prefix("render")).is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn thread_name_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.threads_mut().prefix = Some(prefix.into());
        self
    }

    /// Sets the stack size of a dedicated pool's threads, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads_mut().stack_size = Some(bytes);
        self
    }

    /// Ends a dedicated pool's threads after this time idle; the next tasks start new ones.
    ///
    /// By default the threads stay until the pool ends. For leased threads see
    /// [`threads::set_keep_alive`](crate::threads::set_keep_alive).
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.threads_mut().keep_alive = Some(idle);
        self
    }

    /// Runs `f` on each of a dedicated pool's threads before its first task.
    ///
    /// A thread whose `f` failed or panicked never gets a task, and ends.
    ///
    /// For resources that are expensive on each thread: a loaded model, a connection, a library that must be initialised
    /// on the thread that uses it. `f` stands at the thread's own node ([`WorkerCtx::lineage`]). Tasks on that thread find
    /// everything that `f` creates there through [`worker`](crate::worker). The node and all it holds are dropped on that
    /// thread when the thread ends.
    ///
    /// These resources are often scarce, so such a pool [keeps its permits](Self::holds_permit) in waits, unless
    /// [`releases_permit`](Self::releases_permit) is set: at most `n` threads are ever initialised at once. A task
    /// that waits there for one queued behind it may wait for ever; see [`holds_permit`](Self::holds_permit). To lend
    /// each thread's resource to its tasks, use [`worker_state`](Self::worker_state).
    ///
    /// Without [`warm`](Self::warm) threads start, and are initialised, as tasks arrive. When that fails, ready threads
    /// go on with the queued tasks. Without a ready thread the queued tasks end with the error
    /// ([`ErrorKind::WorkerInit`](crate::ErrorKind::WorkerInit)). The next thread is tried after a pause of 100
    /// ms, doubled with each failure up to 13 s; meanwhile a pool without any thread refuses tasks
    /// ([`SubmitErrorKind::WorkerInit`](crate::SubmitErrorKind::WorkerInit)).
    ///
    /// `f` is dropped some time after the pool has ended: on the thread that starts the manager again or drops it, or on one that
    /// uses any manager at that moment. A panic of that drop ends there.
    ///
    /// An `f` that still runs when the pool has nothing left to do is *abandoned*: the end of the pool does not wait
    /// for it, [`StopReport::abandoned`](crate::StopReport) counts it, and its thread ends when it returns. `f` may
    /// use other pools; its own pool refuses its submits. Use the [`WorkerCtx`] instead of a captured manager, which would
    /// keep the pool alive for ever.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let plugins = scope.create("plugins");
    /// let bad = PoolConfig::dedicated(2).on_worker_start(|_| Err::<(), _>("no licence")).warm(1);
    /// let error = plugins.start(bad).unwrap_err();
    /// assert!(error.to_string().contains("no licence"));
    ///
    /// let good = PoolConfig::dedicated(2).on_worker_start(|_| Ok::<(), std::io::Error>(())).warm(2);
    /// plugins.start(good)?; // both are ready
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn on_worker_start<E>(mut self, f: impl Fn(&WorkerCtx) -> Result<(), E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.threads_mut().on_start = Some(Hook::new(f));
        self.holds_permit_by_default();
        self
    }

    /// Gives each of a dedicated pool's threads a state, made by `f` on that thread.
    ///
    /// [`submit_with_state`](crate::PoolManager::submit_with_state) lends the state to a task: a connection, a parser, a session of
    /// a library that stays on its thread. The state need not be `Send`.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// struct Connection { queries: u32 } // of a database, say
    ///
    /// impl Connection {
    ///     fn open() -> std::io::Result<Self> {
    ///         Ok(Self { queries: 0 })
    ///     }
    ///
    ///     fn query(&mut self) -> u32 {
    ///         self.queries += 1;
    ///         self.queries
    ///     }
    /// }
    ///
    /// let scope = Scope::new("doc");
    /// let db = scope.create("db");
    /// db.start(PoolConfig::dedicated(2).warm(2).worker_state(Connection::open))?; // both are open, or this is the error
    /// let first = db.submit_with_state(|connection: &mut Connection| connection.query())?;
    /// assert_eq!(first.join()?, 1);
    /// assert!(db.stop()?.is_complete()); // both are closed
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # When it is made, and how many there are
    /// `f` runs before the thread's first task and after [`on_worker_start`](Self::on_worker_start), and stands at the
    /// thread's own node. `f` runs as tasks arrive, or in `start` with [`warm`](Self::warm). At most `n` states are alive at
    /// once. An error or a panic of `f` has the consequences of one of `on_worker_start`: see there for the tasks,
    /// the pause and the next try.
    ///
    /// # When it is dropped
    /// Always on its thread: when the thread ends, which it does after [`keep_alive`](Self::keep_alive) and when the
    /// pool ends. [`stop`](crate::PoolManager::stop) of a joining pool returns after the last drop. `stop` does not wait for an
    /// abandoned `f`, whose state is dropped as soon as `f` returns.
    ///
    /// # A panic
    /// A task that panics may leave its state half changed, so the state is dropped before the task's handle is notified,
    /// and `f` makes another one for the thread's next task with a state. If `f` fails then, that task ends with the
    /// error ([`ErrorKind::WorkerInit`](crate::ErrorKind::WorkerInit)) and the thread ends. A task whose state
    /// survives a panic catches it itself, with `catch_unwind`. A task that finds its state broken replaces it:
    /// `*connection = Connection::open()?`.
    ///
    /// # Waiting
    /// A task with a state keeps its permit in every wait, so that at most `n` threads, and at most `n` states, are made;
    /// `releases_permit` is refused. A task with a state cannot join a queued task of the same pool that takes a state too:
    /// the join fails at once, with [`ErrorKind::StateInUse`](crate::ErrorKind::StateInUse), because no worker
    /// would be left if each waited so. The queued task never runs in place with the joiner's state.
    pub fn worker_state<S, E>(mut self, f: impl Fn() -> Result<S, E> + Send + Sync + 'static) -> Self
    where
        S: 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.threads_mut().state = Some(Maker::new(f));
        self.holds_permit_by_default();
        self
    }

    /// Has `start` make `n` of a dedicated pool's threads. 0, so none, by default.
    ///
    /// `n` is at most the pool's limit. `start` blocks until each thread has run its [`on_worker_start`](Self::on_worker_start). Four are initialised at a
    /// time ([`warm_concurrency`](Self::warm_concurrency)).
    ///
    /// # Errors
    /// The first failure, a refused thread, or the end of the time ([`warm_timeout`](Self::warm_timeout)) is `start`'s
    /// error. All started threads then end; the manager can be started again.
    pub fn warm(mut self, n: usize) -> Self {
        self.threads_mut().warm = n;
        self
    }

    /// Sets the number of threads that `start` initialises at a time. 4 by default.
    pub fn warm_concurrency(mut self, threads: usize) -> Self {
        self.threads_mut().warm_at_once = Some(threads);
        self
    }

    /// Bounds the wait of `start` for [`warm`](Self::warm) threads. 10 s by default.
    ///
    /// After this time `start` fails with [`StartErrorKind::WarmTimeout`](crate::StartErrorKind::WarmTimeout).
    pub fn warm_timeout(mut self, d: Duration) -> Self {
        self.threads_mut().warm_timeout = Some(d);
        self
    }
}
