//! [`SubmitError`]: a task was not accepted.

use std::error::Error;
use std::fmt;
use std::io;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::error::worker_init::WorkerInitFailed;
use crate::names::label::InCode;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::sync::os::Arc;

/// Why a task was not accepted. It was not queued, and will not run.
///
/// ```
/// use heirloom::{PoolConfig, Scope, SubmitErrorKind};
///
/// let scope = Scope::new("doc");
/// let render = scope.create("render");
/// render.start(PoolConfig::leased(1).queue_limit(100))?;
/// match render.submit(|| "page") {
///     Ok(page) => assert_eq!(page.join()?, "page"),
///     Err(error) => match error.as_submit().map(|error| error.kind()) {
///         Some(SubmitErrorKind::QueueFull { limit, .. }) => println!("503: {limit} requests wait already"),
///         _ => return Err(error),
///     },
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
pub struct SubmitError(Box<Repr>);

#[derive(Debug)]
struct Repr {
    namespace: Namespace,
    kind: SubmitErrorKind,
}

/// The reasons for a [`SubmitError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum SubmitErrorKind {
    /// The manager was never started.
    NotStarted {
        /// The node that the manager belongs to, in words.
        owner: Option<String>,
        /// The node, in words, of a running manager of the same name, which this nearer one hides.
        hides: Option<String>,
    },
    /// The pool was closed, stopped or cancelled, or ended with the scope that owned it.
    Closed {
        /// The scope, in words, that owned the pool and that the pool ended with.
        ended_with: Option<String>,
        /// The node, in words, of a running manager of the same name, which this nearer one hides.
        hides: Option<String>,
    },
    /// The pool takes one type of task only.
    UnknownTaskType {
        /// The type it was submitted as, if any.
        given: Option<TaskType>,
        /// The type the pool takes.
        allowed: TaskType,
    },
    /// The task asks for a state of the worker (`submit_with_state`), which the pool's workers do not have.
    WrongWorkerState {
        /// The type that the task asks for.
        wanted: &'static str,
        /// The type that the workers have, if any.
        has: Option<&'static str>,
    },
    /// The queue is at its limit. Trying again later may work.
    QueueFull {
        /// The queue's limit, or that of one tenant.
        limit: usize,
        /// The tenant, in words, that is at [its limit](crate::PoolConfig::queue_limit_each); `None` where the whole queue is full.
        tenant: Option<String>,
    },
    /// More tasks were submitted at once than the queue ever has capacity for.
    TooMany {
        /// The number of tasks.
        tasks: usize,
        /// The most tasks that the queue, or the share of one tenant, has capacity for.
        limit: usize,
    },
    /// The pool's owner was dropped, and the pool's tasks stand there, since the pool is detached or work-stealing.
    OwnerEnded,
    /// A scope at or above the submitter has ended, and accepts no task from below it.
    ScopeEnded {
        /// The scope, in words.
        scope: String,
        /// The cancel that ended it, such as its deadline; `None` when it was closed without one.
        cause: Option<Cancelled>,
    },
    /// The wait for capacity would never end: every task that could free a position waits, directly or through others,
    /// for the submitter.
    WouldDeadlock {
        /// The waits that hold each other up.
        circle: Circle,
    },
    /// The submitter was cancelled while it waited for capacity in a bounded queue, or before a
    /// [`map`](crate::PoolManager::map) submitted its next task.
    Cancelled {
        /// The reason and the place of the cancel.
        cause: Cancelled,
    },
    /// The operating system refused a thread, and the pool has none. Trying again later may work.
    ThreadSpawn {
        /// The system's error.
        source: io::Error,
    },
    /// The initialiser of the pool's workers failed a moment ago, and the pool has no worker. Trying again later may
    /// work: the pool starts a new worker after a pause, which grows with each failure.
    WorkerInit {
        /// The setting that gave the initialiser: `on_worker_start` or `worker_state`.
        setting: &'static str,
        /// The initialiser's own error, or the text of its panic.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// The pool is not work-stealing, so nothing can be installed in it.
    NotWorkStealing,
    /// The submitter is the initialiser of one of the pool's own workers, which could wait for the task for ever.
    FromInitialiser,
    /// This process is a fork of the one that made the pool; the pool's threads do not exist here.
    Forked,
    /// The pool is [remote](crate::PoolConfig::remote), and a closure cannot travel.
    #[cfg(feature = "remote")]
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    NeedsJob,
    /// The engine of the remote pool refused the job.
    #[cfg(feature = "remote")]
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    EngineRefused {
        /// The reason in one word.
        kind: ErrorKind,
        /// The reason, and the remedy.
        why: String,
    },
    /// The job's own `Serialize` failed, or it has more bytes than the engine takes.
    #[cfg(feature = "remote")]
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    NotSendable {
        /// The job's name.
        job: &'static str,
        /// The reason, and the remedy.
        why: String,
    },
}

impl SubmitError {
    #[cold]
    pub(crate) fn new(namespace: &Namespace, kind: SubmitErrorKind) -> Self {
        Self(Box::new(Repr { namespace: namespace.clone(), kind }))
    }

    /// No thread could be had: the system, or the workers' initialiser, refused.
    pub(crate) fn no_thread(namespace: &Namespace, error: io::Error) -> Self {
        let kind = match WorkerInitFailed::in_io(&error) {
            Some(failed) => SubmitErrorKind::WorkerInit { setting: failed.setting(), error: failed.shared() },
            None => SubmitErrorKind::ThreadSpawn { source: error },
        };
        Self::new(namespace, kind)
    }

    /// The manager's name.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The reason, to match on.
    #[must_use]
    pub fn kind(&self) -> &SubmitErrorKind {
        &self.0.kind
    }

    pub(super) fn flat(&self) -> ErrorKind {
        match self.kind() {
            SubmitErrorKind::NotStarted { .. } => ErrorKind::NotStarted,
            SubmitErrorKind::Closed { .. } | SubmitErrorKind::OwnerEnded => ErrorKind::Closed,
            SubmitErrorKind::UnknownTaskType { .. } | SubmitErrorKind::WrongWorkerState { .. } => ErrorKind::WrongType,
            SubmitErrorKind::QueueFull { .. } => ErrorKind::QueueFull,
            SubmitErrorKind::TooMany { .. } => ErrorKind::TooMany,
            SubmitErrorKind::ScopeEnded { cause, .. } => Cancelled::kind_of(cause.as_ref(), ErrorKind::ScopeEnded),
            SubmitErrorKind::WouldDeadlock { .. } => ErrorKind::WouldDeadlock,
            SubmitErrorKind::Cancelled { cause } => Cancelled::kind_of(Some(cause), ErrorKind::Cancelled),
            SubmitErrorKind::ThreadSpawn { .. } => ErrorKind::NoThread,
            SubmitErrorKind::WorkerInit { .. } => ErrorKind::WorkerInit,
            SubmitErrorKind::NotWorkStealing => ErrorKind::NotWorkStealing,
            SubmitErrorKind::FromInitialiser => ErrorKind::FromOwnTask,
            SubmitErrorKind::Forked => ErrorKind::Forked,
            #[cfg(feature = "remote")]
            SubmitErrorKind::NeedsJob => ErrorKind::NeedsJob,
            #[cfg(feature = "remote")]
            SubmitErrorKind::EngineRefused { kind, .. } => *kind,
            #[cfg(feature = "remote")]
            SubmitErrorKind::NotSendable { .. } => ErrorKind::NotSendable,
        }
    }

    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match self.kind() {
            SubmitErrorKind::ScopeEnded { cause, .. } => cause.as_ref(),
            SubmitErrorKind::Cancelled { cause } => Some(cause),
            _ => None,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match self.kind() {
            SubmitErrorKind::WouldDeadlock { circle } => Some(circle),
            _ => None,
        }
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Repr { namespace, kind } = &*self.0;
        match kind {
            SubmitErrorKind::NotStarted { owner, hides } => {
                write!(f, "\"{namespace}\"")?;
                if let Some(owner) = owner {
                    write!(f, " of {owner}")?;
                }
                write!(f, " was not started; call `start(PoolConfig::leased(n))` first{}", Hides(hides))
            }
            SubmitErrorKind::Closed { ended_with: Some(scope), .. } => write!(
                f,
                "\"{namespace}\" belonged to {scope} and ended with it; one for the whole process is made by \
                 `Lineage::process().get_or_start({}, …)`",
                InCode(&namespace.0, "Namespace")
            ),
            SubmitErrorKind::Closed { ended_with: None, hides } => {
                write!(f, "\"{namespace}\" is closed; `start` it again to submit more{}", Hides(hides))
            }
            SubmitErrorKind::UnknownTaskType { given, allowed } => {
                write!(f, "\"{namespace}\" takes only tasks of type \"{allowed}\", and this one ")?;
                match given {
                    Some(given) => write!(f, "is \"{given}\""),
                    None => f.write_str("has none"),
                }?;
                let allowed = InCode(&allowed.0, "TaskType");
                write!(f, "; name the type: `of_type({allowed})` has every verb, and `submit_as` is its short form")
            }
            SubmitErrorKind::WrongWorkerState { wanted, has: Some(has) } => write!(
                f,
                "the task asks for a `{wanted}`, and each worker of \"{namespace}\" has a `{has}`; ask for that"
            ),
            SubmitErrorKind::WrongWorkerState { wanted, has: None } => write!(
                f,
                "the task asks for a `{wanted}`, and the workers of \"{namespace}\" have no state; start it with \
                 `PoolConfig::dedicated(n).worker_state(…)`"
            ),
            SubmitErrorKind::QueueFull { limit, tenant } => {
                write!(f, "the queue of \"{namespace}\" is full ({limit}")?;
                if let Some(tenant) = tenant {
                    write!(f, " tasks of {tenant}")?;
                }
                f.write_str("); try later, or wait with `submit_timeout` or `submit_async`")
            }
            SubmitErrorKind::TooMany { tasks, limit } => write!(
                f,
                "the queue of \"{namespace}\" never has capacity for {tasks} tasks at once ({limit}); submit fewer at once, or \
                 use `map`"
            ),
            SubmitErrorKind::OwnerEnded => write!(
                f,
                "the node that owns \"{namespace}\" has ended, so its tasks have nowhere to run; create the manager on a \
                 node that outlives them"
            ),
            SubmitErrorKind::ScopeEnded { scope, cause } => write!(
                f,
                "submitted to \"{namespace}\" from {scope} or below it, which has ended{}; submit before it ends, from \
                 outside of it (`parent.run(|| …)`), or to a `detached` pool",
                Cancelled::in_brackets(cause.as_ref())
            ),
            SubmitErrorKind::WouldDeadlock { circle } => write!(
                f,
                "the queue of \"{namespace}\" is full, and waiting for capacity would never end: {circle}; release what \
                 the others wait for first, or do it here"
            ),
            SubmitErrorKind::Cancelled { cause } => write!(
                f,
                "not submitted to \"{namespace}\", because the submitter was cancelled: {}; pass this up, or submit from \
                 outside of it (`parent.run(|| …)`)",
                cause.why()
            ),
            SubmitErrorKind::ThreadSpawn { source } => write!(
                f,
                "the system refused a thread for \"{namespace}\": {source}; raise its limits, or lower \
                 `heirloom::threads::set_limit`"
            ),
            SubmitErrorKind::WorkerInit { setting, error } => write!(
                f,
                "\"{namespace}\" has no worker, because its initialiser (`{setting}`) failed: {error}; try later"
            ),
            SubmitErrorKind::NotWorkStealing => write!(
                f,
                "\"{namespace}\" is not work-stealing; start it with `PoolConfig::work_stealing(n)`, or use `run` instead \
                 of `install`"
            ),
            SubmitErrorKind::FromInitialiser => write!(
                f,
                "submitted to \"{namespace}\" from the initialiser of one of its own workers; do it in a task, or use \
                 another pool"
            ),
            #[cfg(feature = "remote")]
            SubmitErrorKind::NeedsJob => write!(
                f,
                "\"{namespace}\" runs its tasks in other processes, to which no closure can travel; make a `remote::Job` of \
                 it, and use `send`"
            ),
            #[cfg(feature = "remote")]
            SubmitErrorKind::EngineRefused { why, .. } => {
                write!(f, "the engine of \"{namespace}\" refused the job: {why}")
            }
            #[cfg(feature = "remote")]
            SubmitErrorKind::NotSendable { job, why } => {
                write!(f, "the job \"{job}\" cannot be sent to \"{namespace}\": {why}")
            }
            SubmitErrorKind::Forked => {
                write!(
                    f,
                    "\"{namespace}\": this process is a fork, and threads do not survive a fork; submit in the process that \
                     started the pool, or `exec` after forking"
                )
            }
        }
    }
}

impl Error for SubmitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            SubmitErrorKind::WorkerInit { error, .. } => Some(&**error),
            SubmitErrorKind::ThreadSpawn { source } => Some(source),
            _ => None,
        }
    }
}

/// How to reach a running manager that a nearer one hides.
struct Hides<'a>(&'a Option<String>);

impl fmt::Display for Hides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(node) => write!(f, ", or `remove` it: it hides the one of that name that runs at {node}"),
        }
    }
}
