//! [`serve`] and [`Serving`]: a process runs the jobs of a queue.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::{Error, StartError, StartErrorKind, UnknownTaskType};
use crate::lineage::intake::Intake;
use crate::names::task_type::TaskType;
use crate::pool::config::kind::PoolKind;
use crate::registry::manager::PoolManager;
use crate::registry::not_found::SENT_FROM;
use crate::registry::scope::Scope;
use crate::remote::job::Job;
use crate::remote::values::Taken;
use crate::remote::worker::core::Core;
use crate::remote::worker::jobs::Jobs;
use crate::remote::worker::readiness::ServingState;
use crate::remote::worker::report::{ServingReport, ServingStats};
use crate::remote::worker::state::Worker;
use crate::remote::worker::{begin, declare, ready, stop};
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::value::heirloom::Heirloom;
use crate::wait::park;
use crate::wire::link::Queue;

/// Returns settings of a worker of the queue, on the threads of the pool `here`.
///
/// `here` is a started manager of any kind but a remote one. This process takes at most as many jobs as the pool has permits, and
/// none ahead: a job that waits here would be one of the queue's limit.
///
/// # Where a job stands
/// The serving has a scope `serve "thumbs"`, below the node that owns `here`. Below that scope stands one remote scope for each
/// scope of an origin, named like `request 7 @ web-3`. All jobs of one scope share its remote scope on this worker. A job finds
/// the managers and values of these scopes and of the worker. Pools that jobs [get or create](crate::get_or_create()) at the
/// remote scope live as long as the origin's scope. A cancel of the origin's scope cancels the jobs below the remote scope.
/// [`Lineage::origin`](crate::Lineage::origin) tells where a job comes from.
///
/// ```
/// use heirloom::remote::{self, Job};
/// use heirloom::{PoolConfig, Scope, TaskType};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Words {
///     text: String,
/// }
///
/// impl Job for Words {
///     const NAME: &'static str = "words";
///     type Output = usize;
///
///     fn run(self) -> usize {
///         self.text.split_whitespace().count()
///     }
/// }
///
/// // The worker: another process, mostly.
/// let engine = remote::loopback();
/// let here = heirloom::create("words-here");
/// here.start(PoolConfig::leased(4))?;
/// let serving = remote::serve(engine.another().queue("words"), &here).job::<Words>().start()?;
///
/// // The origin: a server, mostly.
/// let words = heirloom::create("words"); // once, for all requests
/// words.start(PoolConfig::remote(64, engine.queue("words")).task_type(TaskType::job::<Words>()))?;
/// let request = Scope::new("request 7");
/// let count = request.run(|| heirloom::get("words")?.send(Words { text: "one two".into() }))?.join()?;
/// assert_eq!(count, 2);
///
/// let report = serving.stop()?;
/// assert_eq!((report.stats.done, report.is_complete()), (1, true));
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn serve(queue: Queue, here: &PoolManager) -> Serve {
    Serve { queue, here: here.clone(), jobs: Jobs::default(), twice: None }
}

/// The settings of a [`Serving`]; made by [`serve`].
#[must_use = "the settings do nothing until `start`"]
pub struct Serve {
    queue: Queue,
    here: PoolManager,
    jobs: Jobs,
    /// A name that two jobs have.
    twice: Option<&'static str>,
}

impl Serve {
    /// Adds a job that this process runs. A queue may carry several; each is known by its [`NAME`](Job::NAME).
    pub fn job<J: Job>(mut self) -> Self {
        if !self.jobs.add::<J>() {
            self.twice = Some(J::NAME);
        }
        self
    }

    /// Binds the values that travel under the key's name at the tasks of the jobs that they come with.
    ///
    /// The origin's key [travels](crate::Heirloom::travels). A value that no key here takes in is ignored, and one that does not
    /// decode makes its job not understood.
    ///
    /// ```
    /// use heirloom::Heirloom;
    /// use heirloom::remote::{self, Job};
    /// # use heirloom::{PoolConfig, Scope};
    /// # use serde::{Deserialize, Serialize};
    ///
    /// static TENANT: Heirloom<String> = Heirloom::new("tenant").travels();
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Bill;
    /// impl Job for Bill {
    ///     const NAME: &'static str = "bill";
    ///     type Output = String;
    ///
    ///     fn run(self) -> String {
    ///         TENANT.get().map_or_else(|_| "nobody".into(), |tenant| format!("for {tenant}"))
    ///     }
    /// }
    ///
    /// # let engine = remote::loopback();
    /// # let away = Scope::new("another process");
    /// # let here = away.create("here");
    /// # here.start(PoolConfig::leased(1))?;
    /// let queue = engine.another().queue("bills");
    /// let serving = remote::serve(queue, &here).job::<Bill>().value(&TENANT).start()?;
    /// # let bills = heirloom::create("bills");
    /// # bills.start(PoolConfig::remote(1, engine.queue("bills")))?;
    /// let bill = TENANT.run_with(String::from("acme"), || bills.send(Bill))??.join()?;
    /// assert_eq!(bill, "for acme");
    /// # serving.stop()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn value<T: DeserializeOwned + Send + Sync + 'static>(mut self, key: &'static Heirloom<T>) -> Self {
        self.jobs.take(Taken::by(key));
        self
    }

    /// Begins to take jobs. Does not wait for a connection, nor for the queue: see [`Serving::wait_ready`].
    ///
    /// The system's first thread for remote jobs of this engine, `heirloom-remote`, starts here.
    ///
    /// # Errors
    /// - [`Invalid`](StartErrorKind::Invalid) without a job, with two jobs of one name, with a remote pool, and for a queue that this
    ///   end serves already.
    /// - [`NotStarted`](crate::ErrorKind::NotStarted) or [`Closed`](crate::ErrorKind::Closed) when the pool does not run.
    /// - [`UnknownTaskType`] when it is typed for another job.
    /// - [`ThreadSpawn`](StartErrorKind::ThreadSpawn) when the system refuses the thread.
    pub fn start(self) -> Result<Serving, Error> {
        let Self { queue, here, jobs, twice } = self;
        let refused = |kind| Error::from(StartError::new(here.namespace(), kind));
        let invalid = |setting, problem| refused(StartErrorKind::Invalid { setting, problem });
        if fork::is_fork() {
            return Err(refused(StartErrorKind::Forked));
        }
        if jobs.is_empty() {
            return Err(invalid("serve", "has no job, so nothing could run; add one with `job::<T>()`"));
        }
        if twice.is_some() {
            return Err(invalid("serve", "has two jobs with one `NAME`; each job needs a name of its own"));
        }
        let Some(pool) = here.pool().filter(|pool| !pool.tracker.is_closed()) else {
            // The pool's own words.
            return Err(here.submit(|| ()).err().unwrap_or_else(|| refused(StartErrorKind::Ended)));
        };
        if pool.config.kind == PoolKind::Remote {
            return Err(invalid("serve", "cannot run jobs in a remote pool; give it a pool of this process"));
        }
        if let Some(allowed) = here.task_type()
            && let Some(wanted) = jobs.names().map(TaskType::from).find(|job| *job != allowed)
        {
            let (namespace, allowed) = (here.namespace().clone(), Some(allowed));
            return Err(UnknownTaskType { namespace, wanted, allowed }.into());
        }
        let Some(owner) = here.owner() else { return Err(refused(StartErrorKind::NoPlace)) };
        // Idempotent.
        let _ = SENT_FROM.set(|at| at.origin().map(|origin| origin.process().to_string()));
        let worker = super::of(&queue.link).map_err(|source| refused(StartErrorKind::ThreadSpawn { source }))?;
        let scope = Scope::new_in(&owner, format!("serve {:?}", queue.name()));
        let core = Arc::new(Core::new(queue, here.clone(), jobs, scope));
        {
            let mut state = worker.state.lock();
            if state.servings.contains_key(&core.queue.name) {
                drop(state);
                return Err(invalid(
                    "serve",
                    "names a queue that this end serves already; add the jobs to that serving",
                ));
            }
            state.servings.insert(core.queue.name.clone(), Arc::clone(&core));
            state.cores.push(Arc::downgrade(&core));
        }
        let intake: Arc<dyn Intake> =
            Arc::new(stop::Served { worker: Arc::downgrade(&worker), core: Arc::downgrade(&core) });
        owner.0.node().family().index().intakes.add(Arc::downgrade(&intake));
        core.keep(intake);
        declare::declare(&worker, &core);
        core.refill();
        Ok(Serving { core, worker })
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs: Vec<_> = self.jobs.names().collect();
        f.debug_struct("Serve").field("queue", &self.queue).field("here", &self.here).field("jobs", &jobs).finish()
    }
}

/// A process that takes jobs from a queue; made by [`Serve::start`]. Dropping it [closes](Self::close) it without blocking.
///
/// Jobs that are here go on after a drop, and their ends are told. A [`Drain`](crate::Drain) ends the servings of its family with
/// the pools: they take no job any more, their jobs end, and the jobs that are left at the deadline are given up. A
/// [`shutdown`](crate::shutdown()) does so too, and gives up nothing.
///
/// | verb | new jobs | jobs that are here |
/// |---|---|---|
/// | [`close`](Self::close) | none | go on |
/// | [`stop`](Self::stop) | none | are waited for |
/// | [`stop_timeout`](Self::stop_timeout) | none | are waited for; then they go back or are lost, by name |
/// | [`cancel`](Self::cancel) | none | are cancelled |
#[must_use = "dropping the serving closes it: this process takes no jobs then"]
pub struct Serving {
    core: Arc<Core>,
    worker: Arc<Worker>,
}

impl Serving {
    /// Takes no new job. Does not wait. Idempotent.
    pub fn close(&self) {
        begin::close(&self.worker, &self.core);
    }

    /// [`close`](Self::close)s, and waits until all jobs that are here have ended and their origins know.
    ///
    /// Blocks without a bound: a job may take any time. A program that must end takes [`stop_timeout`](Self::stop_timeout).
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask) from within a job of this serving; nothing is closed then.
    /// [`WouldDeadlock`](crate::StopError::WouldDeadlock) when a job waits for the caller; the serving is closed then.
    pub fn stop(&self) -> Result<ServingReport, Error> {
        stop::stop(&self.worker, &self.core, None)
    }

    /// As [`stop`](Self::stop), waiting at most `d`; then it gives up the jobs that are left.
    ///
    /// A job that has not begun goes to another worker at no cost. One that has begun is cancelled with the reason
    /// [`Shutdown`](crate::CancelReason::Shutdown). If it is [repeatable](Job::REPEATABLE), another worker may begin it, beside code here
    /// that does not end. Otherwise its handle gets [`WorkerLost`](crate::ErrorKind::WorkerLost). The report names these jobs. Telling
    /// their origins takes up to a second, or a third of the engine's lease, on top of `d`.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_timeout(&self, d: Duration) -> Result<ServingReport, Error> {
        stop::stop(&self.worker, &self.core, park::after(d))
    }

    /// As [`stop`](Self::stop), without blocking the runtime.
    ///
    /// Closes when first polled. Dropping the future stops only the wait.
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask), as [`stop`](Self::stop).
    pub async fn stop_async(&self) -> Result<ServingReport, Error> {
        stop::stop_async(&self.worker, &self.core, None).await
    }

    /// As [`stop_timeout`](Self::stop_timeout), without blocking the runtime.
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask), as [`stop`](Self::stop).
    pub async fn stop_timeout_async(&self, d: Duration) -> Result<ServingReport, Error> {
        stop::stop_async(&self.worker, &self.core, park::after(d)).await
    }

    /// [`close`](Self::close)s, and cancels the jobs that are here. Does not wait. Idempotent.
    ///
    /// A job that has not begun goes to another worker, and so does a repeatable one that ends because it saw the request. The
    /// result of another job is told as always.
    pub fn cancel(&self) {
        stop::cancel(&self.worker, &self.core);
    }

    /// Returns whether it takes jobs, in one word: the answer of a health check.
    ///
    /// Costs a lock. A worker is alive in each state, and ready as [`ServingState::Serving`].
    #[must_use]
    pub fn state(&self) -> ServingState {
        self.core.state()
    }

    /// Waits until it takes jobs: there is a connection, and the queue is there.
    ///
    /// Returns false once it is closed. Blocks without a bound while there is no connection or no queue: an origin makes the queue
    /// when its pool starts, or an operator. The running task releases its permit meanwhile.
    ///
    /// ```
    /// use heirloom::remote::{self, Job, ServingState};
    /// # use heirloom::{PoolConfig, Scope};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Words;
    /// # impl Job for Words {
    /// #     const NAME: &'static str = "words";
    /// #     type Output = ();
    /// #     fn run(self) {}
    /// # }
    /// # let (engine, scope) = (remote::loopback(), Scope::new("doc"));
    /// # let here = scope.create("here");
    /// # here.start(PoolConfig::leased(1))?;
    ///
    /// let serving = remote::serve(engine.queue("words"), &here).job::<Words>().start()?;
    /// assert!(serving.wait_ready()?); // now the worker says that it is ready
    /// assert_eq!(serving.state(), ServingState::Serving);
    /// engine.disconnect();
    /// # while serving.state() == ServingState::Serving {}
    /// assert_eq!(serving.state().as_str(), "disconnected");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotAllowed`](crate::ErrorKind::NotAllowed) or [`EngineFailed`](crate::ErrorKind::EngineFailed) when the engine refuses the
    /// queue. The serving asks again after each lease.
    pub fn wait_ready(&self) -> Result<bool, Error> {
        ready::wait(&self.core, None)
    }

    /// As [`wait_ready`](Self::wait_ready), waiting at most `d`. Returns false also when it was not ready in time.
    ///
    /// # Errors
    /// As [`wait_ready`](Self::wait_ready).
    pub fn wait_ready_timeout(&self, d: Duration) -> Result<bool, Error> {
        ready::wait(&self.core, park::after(d))
    }

    /// As [`wait_ready`](Self::wait_ready), without blocking the runtime. Dropping the future stops the wait.
    ///
    /// # Errors
    /// As [`wait_ready`](Self::wait_ready).
    pub async fn wait_ready_async(&self) -> Result<bool, Error> {
        ready::wait_async(&self.core).await
    }

    /// Returns the numbers of this serving.
    #[must_use]
    pub fn stats(&self) -> ServingStats {
        self.core.stats()
    }

    /// Returns whether it takes no job any more: it was closed, or its pool was.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("queue", &self.core.queue)
            .field("here", &self.core.here)
            .field("stats", &self.stats())
            .field("closed", &self.is_closed())
            .finish()
    }
}
