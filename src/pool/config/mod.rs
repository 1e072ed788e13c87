//! [`PoolConfig`]: the settings of one start of a pool.

pub(crate) mod check;
pub(crate) mod gate;
pub(crate) mod kind;
pub(crate) mod threads;
pub(crate) mod worker_ctx;
pub(crate) mod worker_state;

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use crate::names::task_type::TaskType;
use crate::pool::config::gate::Gated;
use crate::pool::config::kind::{PoolKind, PoolMode};
use crate::pool::config::threads::ThreadConfig;
use crate::pool::config::worker_ctx::{Hook, WorkerCtx};
use crate::pool::config::worker_state::Maker;

/// How many extra threads the waits of one pool may cause, unless told otherwise.
const DEFAULT_MAX_BLOCKED: usize = 256;

/// The settings of one start of a pool, by value. Two are equal also when their
/// [`on_worker_start`](Self::on_worker_start) differ, which cannot be compared.
///
/// ```
/// use std::time::Duration;
/// use heirloom::PoolConfig;
///
/// let render = PoolConfig::leased(4).task_type("component_render").queue_limit(1000);
/// let gpu = PoolConfig::dedicated(1).thread_name_prefix("gpu").stack_size(8 << 20).holds_permit();
/// assert_ne!(render, gpu);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a manager is started with them"]
pub struct PoolConfig {
    pub(crate) kind: PoolKind,
    pub(crate) mode: PoolMode,
    pub(crate) limit: usize,
    pub(crate) max_blocked: usize,
    pub(crate) queue_limit: Option<usize>,
    pub(crate) task_type: Option<TaskType>,
    pub(crate) detached: bool,
    pub(crate) holds_permit: bool,
    /// Whether `holds_permit` is what the user said.
    permits_said: Said,
    pub(crate) log_panics: bool,
    /// Boxed, because few have one.
    pub(crate) gate: Option<Box<Gated>>,
    /// What only some kinds honour; boxed, because a pool per request has none of it.
    pub(crate) threads: Option<Box<ThreadConfig>>,
}

/// How a setting came about. All are equal: settings are compared by what they are.
#[derive(Clone, Copy, Debug)]
struct Said(bool);

impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Said {}

impl PoolConfig {
    fn new(kind: PoolKind, limit: usize) -> Self {
        Self {
            kind,
            mode: PoolMode::Joining,
            limit,
            max_blocked: DEFAULT_MAX_BLOCKED,
            queue_limit: None,
            task_type: None,
            detached: false,
            holds_permit: false,
            permits_said: Said(false),
            log_panics: true,
            gate: None,
            threads: None,
        }
    }

    /// At most `n` tasks at once, on threads borrowed from the process-wide cache
    /// ([`heirloom::threads`](crate::threads)).
    ///
    /// For one pool per request, per component, per tenant: creating one makes no thread, and an idle one has none.
    pub fn leased(n: usize) -> Self {
        Self::new(PoolKind::Leased, n)
    }

    /// At most `n` tasks at once, on threads of the pool's own, that no other pool ever used or will use.
    ///
    /// For strict isolation of native thread-locals, an own stack size or own names. Threads start as tasks arrive, and
    /// end with the pool.
    pub fn dedicated(n: usize) -> Self {
        Self::new(PoolKind::Dedicated, n)
    }

    /// One task at once, on the thread that [starts](crate::PoolManager::start_local) it and when that thread says so;
    /// see [`LocalPool`](crate::LocalPool).
    ///
    /// For what must happen on one particular thread, such as the main one.
    pub fn local() -> Self {
        // No place that a thread could be sent for, so no wait that would need one.
        Self { max_blocked: usize::MAX, ..Self::new(PoolKind::Local, 0) }
    }

    /// How many tasks may run at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.limit.max(usize::from(self.kind == PoolKind::Local))
    }

    /// A rayon pool of `n` threads, borrowed from the process-wide cache: for data parallelism. Inside
    /// [`PoolManager::install`](crate::PoolManager::install), or any task of it, rayon's `par_iter`, `join` and `scope`
    /// use these threads. With the feature `rayon`, which is on by default.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    /// use rayon::prelude::*;
    ///
    /// let request = Scope::new("request 7");
    /// let pages = request.create("pages");
    /// pages.start(PoolConfig::work_stealing(4))?;
    /// let words = ["walk", "up", "the", "tree"];
    /// let letters: usize = pages.install(|| words.par_iter().map(|word| word.len()).sum())?;
    /// assert_eq!(letters, 13);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Its threads
    /// They come with the first task and go back to the cache some 10 ms after the last one, or when the pool ends, so
    /// an idle one has none. In between it has all `n`, which count against
    /// [`threads::limit`](crate::threads::limit) only while they have a task. If the system refuses some it works
    /// with those there are, until it has been idle once: `rayon::current_num_threads` says how many. If it refuses
    /// the first, the task is refused.
    ///
    /// Each task is handed to another thread, also by [`install`](crate::PoolManager::install), which waits for it:
    /// some microseconds while the threads are there, and to wake or start `n` of them otherwise. From within the
    /// pool `install` is a call.
    ///
    /// # Where code stands
    /// On these threads code stands at the pool's owner, and never at a submitter's place. rayon
    /// cannot be told when it steals: what it steals runs on top of whatever waits on that thread, which in a pool
    /// shared by requests is often another request's (about 15 % of the pieces, measured). So nothing here belongs
    /// to one task: the submitter's span is not entered, and [`task_id`](crate::task_id) is `None`.
    ///
    /// A task still belongs to whoever asked for it: the submitter's scopes count it, wait for it, keep their values
    /// until it has ended, and cancel it while it is queued. Once it runs it hears their request to stop where a
    /// carried place is. The scopes at or above the owner do the same, since its code stands there; a scope above both
    /// counts it once.
    ///
    /// [`Lineage::carry`](crate::Lineage::carry) brings a place into the closures, or give each request a pool of its
    /// own, whose owner it is. What rayon steals while a carried closure waits *in rayon* stands at that place; so
    /// carry into the innermost ones. In the same way it is inside whatever else is held across a call of rayon's:
    /// a lock, a [`Gate`](crate::Gate), a value's initialiser.
    ///
    /// # Requests to stop
    /// A task that has not started hears its handle's [`cancel`](crate::TaskHandle::cancel), its submitter's scopes',
    /// its pool's and the owner's. One that runs hears the latter two, and within [`carry`](crate::Lineage::carry)
    /// those to the place it brought; not its own handle's. rayon itself is not stopped: what is left of a loop
    /// sees it at [`checkpoint`](crate::checkpoint).
    ///
    /// # Waiting
    /// What waits *in rayon* (`join`, `scope`, `par_iter`) does other work of the pool meanwhile. What waits in
    /// heirloom does not: it gives its place away, and keeps its thread. When all threads wait so, the next task
    /// gets `n` others, so pools that install in each other go on; [`max_blocked`](Self::max_blocked) bounds how
    /// often. Any other wait (a channel, a lock) holds its thread up; [`blocking`](crate::blocking) tells heirloom
    /// of it.
    ///
    /// A join of a task of this pool which nobody has started runs it in place. To wait for one that *has* started may
    /// be to wait for something further out on the same thread, where rayon ran the one on top of the other; that
    /// is refused only where the task itself is there, not a piece of it. Leave tasks that wait for each other to a
    /// leased pool.
    ///
    /// # Its end
    /// As of any pool: it closes when nobody holds its manager any more, and what was accepted runs; dropping the scope
    /// that owns it asks that to stop. Neither waits. `stop` returns when the threads have gone back, also from
    /// jobs that a task gave to `rayon::spawn`; these are no tasks, so nothing else counts them, and a panic in one
    /// is only logged. At the end of the process a joining one finishes its tasks, except when one of its own
    /// threads ends the process.
    ///
    /// Settings for threads of a pool's own, and [`gate`](Self::gate), are refused:
    ///
    /// ```
    /// # use heirloom::{PoolConfig, StartError};
    /// let pool = heirloom::create("pages");
    /// let refused = pool.start(PoolConfig::work_stealing(2).stack_size(1 << 20)); // its threads are borrowed
    /// assert!(matches!(refused, Err(ref error) if matches!(error.kind(), StartErrorKind::Invalid { setting: "stack_size", .. })));
    /// ```
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    pub fn work_stealing(n: usize) -> Self {
        Self::new(PoolKind::WorkStealing, n)
    }

    /// How much stack a task finds that runs inside another one: half of what a thread of the pool has.
    #[inline]
    pub(crate) fn stack_needed(&self) -> usize {
        /// What `std` gives a thread, unless told otherwise.
        const THREAD: usize = 2 << 20;
        /// Enough for the engine itself.
        const LEAST: usize = 32 << 10;
        let whole = self.threads.as_ref().and_then(|threads| threads.stack_size).unwrap_or(THREAD);
        (whole / 2).max(LEAST)
    }

    /// Its code may be stolen, and run within another task's.
    #[inline]
    pub(crate) fn steals(&self) -> bool {
        #[cfg(feature = "rayon")]
        return self.kind == PoolKind::WorkStealing;
        #[cfg(not(feature = "rayon"))]
        return false;
    }

    /// Takes only tasks of this type; every other submission is refused before anything is queued.
    ///
    /// ```
    /// # use heirloom::PoolConfig;
    /// # let scope = heirloom::Scope::new("doc");
    /// # let render = scope.create("render");
    /// render.start(PoolConfig::leased(4).task_type("component"))?;
    /// assert!(render.submit_as("component", || ()).is_ok());
    /// assert!(render.submit_as("thumbnail", || ()).is_err());
    /// assert!(render.submit(|| ()).is_err()); // none is another one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_type(mut self, only: impl Into<TaskType>) -> Self {
        self.task_type = Some(only.into());
        self
    }

    /// What was accepted is abandoned when the pool ends: the queued tasks are cancelled, the running ones not waited
    /// for.
    pub fn daemon(mut self) -> Self {
        self.mode = PoolMode::Daemon;
        self
    }

    /// What was accepted completes, also at process exit (see [`exit_guard`](crate::exit_guard)). The default.
    pub fn joining(mut self) -> Self {
        self.mode = PoolMode::Joining;
        self
    }

    /// At most this many tasks queued (running ones do not count); one more is refused as
    /// [`QueueFull`](crate::SubmitErrorKind::QueueFull). Unlimited by default.
    ///
    /// Cancelled tasks hold no room: a cancel ends them in the queue and gives their room back at once. Submitters that
    /// wait for room ([`submit_timeout`](crate::PoolManager::submit_timeout),
    /// [`submit_async`](crate::PoolManager::submit_async)) are let in then, one for each cancelled task.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("work");
    /// pool.start(PoolConfig::leased(1).queue_limit(1))?;
    /// let (open, gate) = mpsc::channel::<()>();
    /// let (starts, started) = mpsc::channel();
    /// let slow = pool.submit(move || (starts.send(()), gate.recv()))?; // takes the only place
    /// started.recv()?;
    ///
    /// let request = Scope::new("request 7");
    /// let queued = request.run(|| pool.submit(|| "never runs"))?;
    /// assert!(pool.submit(|| ()).is_err()); // full
    /// drop(request); // the client is gone
    /// assert!(queued.is_finished());
    /// let next = pool.submit(|| "runs")?;
    /// # drop(open);
    /// # let _ = slow.join()?;
    /// assert_eq!(next.join()?, "runs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_limit(mut self, tasks: usize) -> Self {
        self.queue_limit = Some(tasks);
        self
    }

    fn threads_mut(&mut self) -> &mut ThreadConfig {
        self.threads.get_or_insert_default()
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_name_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.threads_mut().prefix = Some(prefix.into());
        self
    }

    /// The stack size of a dedicated pool's threads, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads_mut().stack_size = Some(bytes);
        self
    }

    /// Ends a dedicated pool's threads after being idle this long; they come back with the next task. By default they
    /// stay until the pool ends. (For leased threads see
    /// [`threads::set_keep_alive`](crate::threads::set_keep_alive).)
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.threads_mut().keep_alive = Some(idle);
        self
    }

    /// Each of a dedicated pool's threads runs `f` before its first task. A thread whose `f` failed or panicked never
    /// gets a task, and ends.
    ///
    /// For what is expensive to have on each thread: a loaded model, a connection, a library that must be initialised
    /// on the thread that uses it. `f` stands at the thread's own node ([`WorkerCtx::lineage`]); what it creates
    /// there, tasks on that thread find through [`worker`](crate::worker), and it is dropped on that thread when
    /// the thread ends.
    ///
    /// What each thread has is often scarce, so such a pool [keeps its places](Self::holds_permit) in waits, unless
    /// [`releases_permit`](Self::releases_permit) says otherwise: no more than `n` threads are ever initialised at once. A task
    /// that waits there for one queued behind it may wait for ever; see [`holds_permit`](Self::holds_permit). To lend
    /// what each thread has to its tasks, use [`worker_state`](Self::worker_state).
    ///
    /// Without [`warm`](Self::warm) threads come, and are initialised, as tasks arrive. When that fails, threads that
    /// are ready go on with what is queued; if there is none, what is queued ends with the error
    /// ([`TaskError::is_worker_init`](crate::TaskError::is_worker_init)). A new thread is not tried for a pause of 100
    /// ms, doubled with each failure up to 13 s; meanwhile a pool without any thread refuses tasks
    /// ([`SubmitErrorKind::WorkerInit`](crate::SubmitErrorKind::WorkerInit)).
    ///
    /// An `f` that is still running when the pool has nothing left to do is *abandoned*: ending the pool does not wait
    /// for it, [`StopReport::abandoned`](crate::StopReport) counts it, and its thread ends when it returns. `f` may
    /// use other pools; to its own it can submit nothing. It gets the [`WorkerCtx`] so that it need not hold the
    /// manager, which would keep the pool alive for ever.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_worker_start<E>(mut self, f: impl Fn(&WorkerCtx) -> Result<(), E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.threads_mut().on_start = Some(Hook::new(f));
        self.holds_permit_unless_said();
        self
    }

    /// Each thread of its own stands for something scarce.
    fn holds_permit_unless_said(&mut self) {
        self.holds_permit |= !self.permits_said.0;
    }

    /// Each of a dedicated pool's threads has a state, made by `f` on that thread, which a task is lent with
    /// [`submit_with_state`](crate::PoolManager::submit_with_state): a connection, a parser, a session of a library
    /// that stays on its thread. The state need not be `Send`.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # When it is made, and how many there are
    /// `f` runs before the thread's first task and after [`on_worker_start`](Self::on_worker_start), standing at the
    /// thread's own node: as tasks arrive, or in `start` with [`warm`](Self::warm). No more than `n` are ever alive at
    /// once. What follows an error or a panic of `f` is what follows one of `on_worker_start`: see there for the tasks,
    /// the pause and the next try.
    ///
    /// # When it is dropped
    /// Always on its thread: when the thread ends, which it does after [`keep_alive`](Self::keep_alive) and when the
    /// pool ends. [`stop`](crate::PoolManager::stop) of a joining pool returns after the last drop. (An `f` that is
    /// abandoned then is not waited for; what it makes is dropped as soon as it returns.)
    ///
    /// # A panic
    /// A task that panics may leave its state half changed, so that state is dropped before the task's handle is told,
    /// and `f` makes another for the thread's next task that asks for one. If `f` fails then, that task ends with the
    /// error ([`TaskError::is_worker_init`](crate::TaskError::is_worker_init)) and the thread ends. A task whose state
    /// survives a panic catches it itself, with `catch_unwind`. A task that finds its state broken puts another in its
    /// place: `*connection = Connection::open()?`.
    ///
    /// # Waiting
    /// A task that has a state keeps its place in every wait, so that no more threads, and no more states, are made than
    /// `n`; `releases_permit` is refused. A task of the same pool that asks for a state and has not started is not waited
    /// for by one that has a state: the join fails at once, with
    /// [`TaskError::is_state_in_use`](crate::TaskError::is_state_in_use), because if each worker waited so, none would
    /// be left. It never runs in place with the joiner's state.
    pub fn worker_state<S, E>(mut self, f: impl Fn() -> Result<S, E> + Send + Sync + 'static) -> Self
    where
        S: 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.threads_mut().state = Some(Maker::new(f));
        self.holds_permit_unless_said();
        self
    }

    /// `start` makes `n` of a dedicated pool's threads, at most the pool's limit, and returns when each has run its
    /// [`on_worker_start`](Self::on_worker_start). Four are initialised at a time
    /// ([`warm_concurrency`](Self::warm_concurrency)). 0, so none, by default.
    ///
    /// The first failure, a refused thread, or the end of the time ([`warm_timeout`](Self::warm_timeout)) is `start`'s
    /// error, and everything that was started is ended; the manager can be started again.
    pub fn warm(mut self, n: usize) -> Self {
        self.threads_mut().warm = n;
        self
    }

    /// How many threads `start` initialises at a time. 4 by default.
    pub fn warm_concurrency(mut self, threads: usize) -> Self {
        self.threads_mut().warm_at_once = Some(threads);
        self
    }

    /// How long `start` waits for [`warm`](Self::warm) threads before it gives up with
    /// [`StartErrorKind::WarmTimeout`](crate::StartErrorKind::WarmTimeout). 10 s by default.
    pub fn warm_timeout(mut self, d: Duration) -> Self {
        self.threads_mut().warm_timeout = Some(d);
        self
    }

    /// Tasks stand below the manager's owner instead of below their submitter, and see nothing of the submitter.
    ///
    /// Nor does the submitter's scope see them: it does not count them, wait for them or cancel them. So this is the
    /// pool for what has to be done though the client has gone: an audit record, a cache to be filled for the next.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// let audit = scope.create("audit");
    /// audit.start(PoolConfig::leased(1).detached())?;
    /// let request = Scope::new("request 7");
    /// request.create("render").start(PoolConfig::leased(1))?;
    /// let finds = request.run(|| audit.submit(|| heirloom::get("render").is_ok()))?;
    /// assert!(!finds.join()?); // it stands at the audit's place, not in the request
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// A task inside a wait keeps its place: no other task starts in it, and at most `n` tasks run code at a time.
    ///
    /// Without this setting, tasks that wait in heirloom (a join, [`sleep`](crate::sleep), a portal's `block_on`) let
    /// others start. With it and `n == 1` the pool is strictly serial: each task ends before the next one starts. The
    /// one exception is a task of the pool that a task of the pool joins, or ends a scope of: it runs in place, inside
    /// its joiner, which runs no code of its own meanwhile. So a place may have several tasks that have started and not
    /// ended, one inside the other.
    ///
    /// A thing of which there are `n`, such as a connection or a licence, therefore belongs to a worker and not to a
    /// task ([`on_worker_start`](Self::on_worker_start)): a task that took one of its own, and then joined another that
    /// does so too, would need two.
    ///
    /// So an untimed wait that only a task queued behind the waiting one could end is a [`Circle`](crate::Circle) and
    /// ends with an error. A join of such a task runs it in place.
    pub fn holds_permit(mut self) -> Self {
        (self.holds_permit, self.permits_said) = (true, Said(true));
        self
    }

    /// A task inside one of heirloom's waits gives its place to the next one: the opposite of
    /// [`holds_permit`](Self::holds_permit), for a pool whose [`on_worker_start`](Self::on_worker_start) prepares
    /// something that may exist more than `n` times. The waits may cause more threads, up to
    /// [`max_blocked`](Self::max_blocked), and each is prepared.
    pub fn releases_permit(mut self) -> Self {
        (self.holds_permit, self.permits_said) = (false, Said(true));
        self
    }

    /// How many tasks may give their place away in waits at once, so how many extra threads waits may cause. 256 by
    /// default. At the bound a wait keeps its place, which is said once at WARN.
    ///
    /// The bound delays what is queued, and does not stop it. When all places of the pool are kept by waits that have
    /// no deadline, and nothing changes for 10 ms, the next task starts in one of them, past the bound; the more there
    /// are past it, the longer that takes. So pools whose tasks wait for one another's go on, however many do. A wait
    /// with a deadline keeps its place until it ends.
    pub fn max_blocked(mut self, tasks: usize) -> Self {
        self.max_blocked = tasks;
        self
    }

    /// Whether a task's panic is reported through `tracing` at ERROR. True by default; the waiter gets it either way.
    pub fn log_panics(mut self, log: bool) -> Self {
        self.log_panics = log;
        self
    }
}
