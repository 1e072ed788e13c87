//! [`PoolConfig`]: the settings of one start of a pool.

pub(crate) mod check;
mod dedicated;
pub(crate) mod gate;
pub(crate) mod kind;
mod label;
mod lending;
pub(crate) mod order;
mod queue_order;
mod rare;
mod read;
#[cfg(feature = "remote")]
pub(crate) mod remote;
#[cfg(feature = "remote")]
mod remote_pool;
pub(crate) mod threads;
mod time;
pub(crate) mod worker_ctx;
pub(crate) mod worker_state;

use crate::names::task_type::TaskType;
use crate::pool::config::kind::{PoolKind, PoolMode};
use crate::pool::config::rare::Rare;

/// The settings of one start of a pool, by value.
///
/// Equality ignores the closure of [`on_worker_start`](Self::on_worker_start), which cannot be compared. A start with an
/// impossible setting, or with one that the kind does not have, fails with
/// [`StartErrorKind::Invalid`](crate::StartErrorKind::Invalid).
///
/// ```
/// use std::time::Duration;
/// use heirloom::PoolConfig;
///
/// let render = PoolConfig::leased(4).task_type("component_render").queue_limit(1000);
/// let gpu = PoolConfig::dedicated(1).thread_name_prefix("gpu").stack_size(8 << 20).holds_permit();
/// assert_ne!(render, gpu);
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a manager is started with them"]
pub struct PoolConfig {
    pub(crate) kind: PoolKind,
    pub(crate) mode: PoolMode,
    pub(crate) holds_permit: bool,
    /// Whether the user set `holds_permit` or its opposite.
    permits_set: Explicit,
    /// Above every number that a start accepts it saturates.
    limit: u32,
    /// `None` while all of them have their defaults. Boxed, because each started pool keeps its settings.
    rare: Option<Box<Rare>>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PoolConfig>() == 16);

impl PartialEq for PoolConfig {
    fn eq(&self, other: &Self) -> bool {
        let [mine, theirs] =
            [self, other].map(|config| (config.kind, config.mode, config.holds_permit, config.limit, config.rare()));
        mine == theirs
    }
}

impl Eq for PoolConfig {}

/// Whether the user chose a setting. All are equal: settings are compared by their values, not by their origin.
#[derive(Clone, Copy, Debug)]
struct Explicit(bool);

impl PartialEq for Explicit {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Explicit {}

/// Returns so many for each CPU; 0, which a start refuses, for a factor that is not positive.
pub(crate) fn per_core(factor: f64) -> usize {
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    // A cast saturates.
    if factor > 0.0 { ((factor * cpus as f64).round() as usize).max(1) } else { 0 }
}

impl PoolConfig {
    fn new(kind: PoolKind, limit: usize) -> Self {
        Self {
            kind,
            mode: PoolMode::Joining,
            holds_permit: false,
            permits_set: Explicit(false),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            rare: None,
        }
    }

    /// Returns settings for at most `n` tasks at once, on threads of the process-wide cache
    /// ([`heirloom::threads`](crate::threads)).
    ///
    /// For one pool per request, per component, per tenant: starting one makes no thread, and an idle one has none. A caller
    /// that joins a task may run it itself, unless the pool has [`workers_only`](Self::workers_only).
    pub fn leased(n: usize) -> Self {
        Self::new(PoolKind::Leased, n)
    }

    /// Returns settings for [`leased`](Self::leased) with this many tasks at once for each CPU, rounded, and at least one.
    ///
    /// The number of CPUs is that of [`std::thread::available_parallelism`], which heeds the process's affinity and the
    /// quota of its container; two where the system does not tell. A factor that is not positive is refused at the start.
    ///
    /// ```
    /// use heirloom::PoolConfig;
    ///
    /// let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    /// assert_eq!(PoolConfig::leased_per_core(2.0), PoolConfig::leased(2 * cpus)); // for tasks that wait half of the time
    /// assert_eq!(PoolConfig::leased_per_core(0.001), PoolConfig::leased(1));
    /// ```
    pub fn leased_per_core(factor: f64) -> Self {
        Self::leased(per_core(factor))
    }

    /// Returns settings for at most `n` tasks at once, on threads of the pool's own.
    ///
    /// No other pool uses these threads, before or after. For strict isolation of native thread-locals, an own stack size
    /// or own names. Threads start as tasks arrive, and end with the pool.
    pub fn dedicated(n: usize) -> Self {
        Self::new(PoolKind::Dedicated, n)
    }

    /// Returns settings for one task at once, on the thread that [starts](crate::PoolManager::start_local) the pool.
    ///
    /// Tasks run when that thread calls a method of its [`LocalPool`](crate::LocalPool). For work that must happen on one
    /// particular thread, such as the main one.
    pub fn local() -> Self {
        Self::new(PoolKind::Local, 0)
    }

    /// Returns settings for a rayon pool of `n` threads of the process-wide cache: for data parallelism.
    ///
    /// Inside [`PoolManager::install`](crate::PoolManager::install), or any task of the pool, rayon's `par_iter`, `join` and
    /// `scope` use these threads. With the feature `rayon`, which is on by default.
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
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Its threads
    /// The threads come with the first task. The pool returns them to the cache some 10 ms after the last task, or when it
    /// ends, so an idle pool has none. In between the pool has all `n`. A thread counts against
    /// [`threads::limit`](crate::threads::limit) only while it has a task. When the system refuses some of them, the pool
    /// works with fewer until it has been idle once; `rayon::current_num_threads` returns their number. When the system
    /// refuses the first, the task is refused.
    ///
    /// Each task is handed to another thread, also by [`install`](crate::PoolManager::install), which blocks until the task
    /// has finished. The hand-over costs some microseconds while the threads are there, and otherwise the wake or start of `n` of
    /// them. From within the pool `install` is a call.
    ///
    /// # The node of its code
    /// Code on these threads stands at the pool's owner, never at a submitter's node. rayon does not report its steals: a
    /// stolen piece runs on top of the code that waits on that thread. In a pool that requests share, that is often another
    /// request's code (about 15 % of the pieces, measured). So nothing here belongs to one task: the submitter's span is not
    /// entered, and [`task_id`](crate::task_id) returns `None`.
    ///
    /// A task still belongs to its submitter. The submitter's scopes count the task, wait for it, keep their values until it
    /// has ended, and cancel it while it is queued. Once it runs, its code sees their cancel requests where a
    /// carried node is current. The scopes at or above the owner do the same, since the code stands there; a scope above
    /// both counts the task once.
    ///
    /// [`Lineage::carry`](crate::Lineage::carry) brings a node into the closures. The alternative is a pool for each request,
    /// owned by it. A piece that rayon steals while a carried closure waits *in rayon* stands at the carried node; so carry
    /// into the innermost closures. In the same way the piece runs inside everything else that is held across a call of
    /// rayon's: a lock, a [`Gate`](crate::Gate), a value's initialiser.
    ///
    /// # Cancelling
    /// A task that has not started is cancelled through its handle ([`cancel`](crate::TaskHandle::cancel)), its submitter's
    /// scopes, its pool and the owner. A running task sees the requests of its pool and the owner, and within
    /// [`carry`](crate::Lineage::carry) those at the carried node; not those of its own handle. rayon itself is not
    /// cancelled: the rest of a loop sees the request at [`checkpoint`](crate::checkpoint).
    ///
    /// # Waiting
    /// A wait *in rayon* (`join`, `scope`, `par_iter`) does other work of the pool meanwhile. A wait in heirloom does not: it
    /// releases its permit, and keeps its thread. When all threads wait so, the next task gets `n` others, so pools that
    /// install in each other go on; [`max_blocked`](Self::max_blocked) bounds how often. Any other wait (a channel, a lock)
    /// blocks its thread; wrap it in [`blocking`](crate::blocking).
    ///
    /// A join of a queued task of this pool runs the task in place. A join of a *started* task may wait for code further out
    /// on the same thread, where rayon ran the one task on top of the other. Such a wait is refused only where the task itself
    /// is there, not a piece of it. Use a leased pool for tasks that wait for each other.
    ///
    /// # Its end
    /// As for any pool: the pool closes when its last manager handle is dropped, and accepted tasks run. Dropping the
    /// scope that owns it cancels them. Neither blocks. `stop` returns when the threads have gone back, also from
    /// jobs that a task gave to `rayon::spawn`. Such jobs are no tasks: nothing else counts them, and a panic in one
    /// is only logged. At the process's exit a joining pool finishes its tasks, except when one of its own
    /// threads ends the process.
    ///
    /// # Errors
    /// A start refuses the settings of dedicated threads, and [`gate`](Self::gate):
    ///
    /// ```
    /// # use heirloom::PoolConfig;
    /// let pool = heirloom::create("pages");
    /// let refused = pool.start(PoolConfig::work_stealing(2).stack_size(1 << 20)); // its threads are borrowed
    /// let error = refused.unwrap_err();
    /// assert_eq!(error.kind(), heirloom::ErrorKind::Invalid);
    /// ```
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    pub fn work_stealing(n: usize) -> Self {
        Self::new(PoolKind::WorkStealing, n)
    }

    /// Makes the pool typed: it accepts only tasks of this type.
    ///
    /// Every other submission is refused before anything is queued.
    ///
    /// ```
    /// # use heirloom::PoolConfig;
    /// # let scope = heirloom::Scope::new("doc");
    /// # let render = scope.create("render");
    /// render.start(PoolConfig::leased(4).task_type("component"))?;
    /// assert!(render.submit_as("component", || ()).is_ok());
    /// assert!(render.submit_as("thumbnail", || ()).is_err());
    /// assert!(render.submit(|| ()).is_err()); // no type is another type
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn task_type(mut self, only: impl Into<TaskType>) -> Self {
        self.rare_mut().task_type = Some(only.into());
        self
    }

    /// Abandons accepted tasks when the pool ends.
    ///
    /// The end cancels queued tasks. Neither [`stop`](crate::PoolManager::stop) nor the process's exit waits for running ones.
    pub fn daemon(mut self) -> Self {
        self.mode = PoolMode::Daemon;
        self
    }

    /// Completes accepted tasks when the pool ends, also at process exit (see [`exit_guard`](crate::exit_guard)). The
    /// default.
    pub fn joining(mut self) -> Self {
        self.mode = PoolMode::Joining;
        self
    }

    /// Bounds the queue to this many tasks, not counting running ones. Unlimited by default.
    ///
    /// A submit to a full queue is refused as [`QueueFull`](crate::SubmitErrorKind::QueueFull).
    ///
    /// Cancelled tasks hold no capacity: a cancel ends them in the queue and frees their capacity at once. A cancel admits
    /// as many of the submitters that wait for capacity ([`submit_timeout`](crate::PoolManager::submit_timeout),
    /// [`submit_async`](crate::PoolManager::submit_async)) as it cancels tasks.
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
    /// let slow = pool.submit(move || (starts.send(()), gate.recv()))?; // acquires the only permit
    /// started.recv().unwrap();
    ///
    /// let request = Scope::new("request 7");
    /// let queued = request.run(|| pool.submit(|| "never runs"))?;
    /// assert!(pool.submit(|| ()).is_err()); // full
    /// drop(request); // the client has disconnected
    /// assert!(queued.is_finished());
    /// let next = pool.submit(|| "runs")?;
    /// # drop(open);
    /// # let _ = slow.join()?;
    /// assert_eq!(next.join()?, "runs");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn queue_limit(mut self, tasks: usize) -> Self {
        self.rare_mut().queue_limit = Some(tasks);
        self
    }

    /// Puts tasks below the manager's owner instead of below their submitter.
    ///
    /// The tasks see nothing of the submitter. Nor does the submitter's scope see them: it does not count them, wait for them or cancel them. A detached pool is
    /// for work that outlives its client: an audit record, a cache to be filled for the next request.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// let audit = scope.create("audit");
    /// audit.start(PoolConfig::leased(1).detached())?;
    /// let request = Scope::new("request 7");
    /// request.create("render").start(PoolConfig::leased(1))?;
    /// let finds = request.run(|| audit.submit(|| heirloom::get("render").is_ok()))?;
    /// assert!(!finds.join()?); // it stands at the audit's node, not in the request
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn detached(mut self) -> Self {
        self.rare_mut().detached = true;
        self
    }

    /// Keeps the permit of a waiting task, so that at most `n` tasks run code at a time.
    ///
    /// Without this setting, a task that waits in heirloom (a join, [`sleep`](crate::sleep), a portal's `block_on`) releases
    /// its permit to another task. With it and `n == 1` the pool is strictly serial: each task ends before the next one
    /// starts. The one exception is a task of the pool that a task of the pool joins, or ends a scope of: it runs in place,
    /// inside its joiner, which runs no code of its own meanwhile. So one permit may have several tasks that have started
    /// and not ended, one inside the other.
    ///
    /// A resource of which there are `n`, such as a connection or a licence, therefore belongs to a worker and not to a
    /// task ([`on_worker_start`](Self::on_worker_start)): a task that took one, and then joined another task that takes
    /// one, would need two.
    ///
    /// So an untimed wait that only a task queued behind the waiting one could end is a [`Circle`](crate::Circle), and fails.
    /// A join of such a task runs it in place.
    pub fn holds_permit(mut self) -> Self {
        (self.holds_permit, self.permits_set) = (true, Explicit(true));
        self
    }

    /// Releases the permit of a task that waits in heirloom to the next task.
    ///
    /// The opposite of [`holds_permit`](Self::holds_permit), for a pool whose [`on_worker_start`](Self::on_worker_start) prepares a resource that may exist more than `n` times.
    /// The waits may cause more threads, up to [`max_blocked`](Self::max_blocked), and each is prepared.
    pub fn releases_permit(mut self) -> Self {
        (self.holds_permit, self.permits_set) = (false, Explicit(true));
        self
    }

    /// Bounds the tasks that have released their permits in waits. 256 by default.
    ///
    /// The bound is also that of the extra threads which waits cause. At the bound a wait keeps its permit, which is logged
    /// once at WARN.
    ///
    /// The bound delays queued tasks, and does not stop them. When waits without a deadline keep all permits of the pool, and
    /// nothing changes for 10 ms, the next task starts with one of these permits, past the bound. The more tasks are past
    /// it, the longer that takes. So pools whose tasks wait for one another go on, however many do. A wait with a deadline
    /// keeps its permit until it ends.
    pub fn max_blocked(mut self, tasks: usize) -> Self {
        // A setting that is explicitly the default is equal to it.
        self.rare_mut().max_blocked = (tasks != self.kind.most_blocked()).then_some(tasks);
        self
    }

    /// Sets whether a task's panic is reported through `tracing` at ERROR. True by default; the joiner gets it either way.
    pub fn log_panics(mut self, log: bool) -> Self {
        self.rare_mut().hides_panics = !log;
        self
    }
}
