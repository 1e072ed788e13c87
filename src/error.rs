//! The errors, one per operation. Each message names the namespace and says what can be done.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::busy::Busy;
use crate::names::id::TaskId;
use crate::names::label::{InCode, Printed};
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow_drop;
use crate::wait::graph::Circle;

/// Why nothing can be made for the code itself, and which calls of this build give it a place.
#[cfg(feature = "tokio")]
pub(crate) const NO_PLACE: &str = "the code shares its thread with other code and has no place of its own; give it one \
    (a `Scope` that it stands in, `in_scope`, `in_lineage`, `heirloom::spawn` instead of the runtime's `spawn`)";
#[cfg(not(feature = "tokio"))]
pub(crate) const NO_PLACE: &str = "the code shares its thread with other code and has no place of its own; give it one \
    (a `Scope` that it stands in, `in_scope`, `in_lineage`, `heirloom::wrap`)";

/// Why a pool was not started. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It runs already.
    #[error(
        "\"{namespace}\" is running already; submit to it as it is (`get_or_start` finds one that runs, and starts one \
         where none does), or `stop` it before starting it with other settings"
    )]
    AlreadyRunning {
        /// The manager's name.
        namespace: Namespace,
    },
    /// It was told to end, and some of its tasks have not ended yet.
    #[error(
        "\"{namespace}\" still has {remaining} task(s) of its last start; wait with `stop` or `wait_idle` before starting it again"
    )]
    StillStopping {
        /// The manager's name.
        namespace: Namespace,
        /// Tasks accepted and not ended.
        remaining: usize,
    },
    /// It runs, with other settings than the ones asked for.
    #[error(
        "\"{namespace}\" runs with another {}; take it as it is with `get_or_start`, ask for the settings it has, or \
         `stop` it before starting it with these",
        Listed(.settings)
    )]
    ConfigMismatch {
        /// The manager's name.
        namespace: Namespace,
        /// The first setting that differs.
        setting: &'static str,
        /// All settings that differ.
        settings: Vec<&'static str>,
    },
    /// A setting is not possible, alone or for this kind of pool.
    #[error("\"{namespace}\": `{setting}` {problem}")]
    Invalid {
        /// The manager's name.
        namespace: Namespace,
        /// The setting.
        setting: &'static str,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The closure that gives [`get_or_start`](crate::get_or_start()) its settings asked for the same manager.
    #[error(
        "the settings for \"{namespace}\" wait for \"{namespace}\" itself; make them without `get_or_start` of the same \
         name"
    )]
    Reentrant {
        /// The manager's name.
        namespace: Namespace,
    },
    /// Another caller's closure is to give the manager its settings, and waits, directly or by others, for what the
    /// caller owes.
    #[error(
        "waiting for another caller to start \"{namespace}\" would never end: {circle}; make the settings without waiting \
         for code that needs it"
    )]
    WouldDeadlock {
        /// The manager's name.
        namespace: Namespace,
        /// Who waits for whom.
        circle: Circle,
    },
    /// The scope at or above the manager's owner was told to end.
    #[error(
        "\"{namespace}\" belongs to {}, which has ended; create the manager in a scope that is open",
        .scope.as_deref().unwrap_or("a scope")
    )]
    ScopeEnded {
        /// The manager's name.
        namespace: Namespace,
        /// The scope, in words, unless it is gone.
        scope: Option<String>,
    },
    /// The code that created the manager shares its thread with other code (it is a runtime's future, or runs on a
    /// thread that was [marked](crate::thread::mark_shared)) and had no place of its own, so the manager belongs to
    /// nobody and is found nowhere.
    #[error(
        "\"{namespace}\" was created for nobody: {}, or create it with `Lineage::process().create({})` if the whole \
         process is meant",
        NO_PLACE,
        InCode(&.namespace.0, "Namespace")
    )]
    NoPlace {
        /// The manager's name.
        namespace: Namespace,
    },
    /// The initialiser of a worker failed or panicked, so the pool was ended again.
    #[error("\"{namespace}\": a worker's initialiser (`{setting}`) failed: {error}; put that right and start it again")]
    WorkerInit {
        /// The manager's name.
        namespace: Namespace,
        /// The setting that gave the initialiser: `on_worker_start` or `worker_state`.
        setting: &'static str,
        /// The initialiser's own error, or what its panic said.
        #[source]
        error: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Not all the workers that were to be warm were ready in time, so the pool was ended again.
    #[error(
        "\"{namespace}\": {ready} of {wanted} workers were ready after {after:.1?}; allow more with `warm_timeout`, or warm fewer"
    )]
    WarmTimeout {
        /// The manager's name.
        namespace: Namespace,
        /// Workers that were ready.
        ready: usize,
        /// Workers that were asked for.
        wanted: usize,
        /// The time that was allowed.
        after: Duration,
    },
    /// The operating system refused a thread that was to be warm. Trying again later may work.
    #[error("the system refused a thread for \"{namespace}\": {source}; raise its limits, or warm fewer workers")]
    ThreadSpawn {
        /// The manager's name.
        namespace: Namespace,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody told the pool to end before its workers were ready.
    #[error("\"{namespace}\" was told to end before its workers were ready; start it again if that was not meant")]
    Ended {
        /// The manager's name.
        namespace: Namespace,
    },
    /// This process is a fork of the one that made the pools; its threads do not exist here.
    #[error(
        "\"{namespace}\": this process is a fork, and threads do not survive a fork; start pools only after forking"
    )]
    Forked {
        /// The manager's name.
        namespace: Namespace,
    },
}

impl StartError {
    /// Whether trying the same again later can work: tasks of the last start have not ended, or the system refused a
    /// thread.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::StillStopping { .. } | Self::ThreadSpawn { .. })
    }
}

/// The names of settings, as code.
struct Listed<'a>(&'a [&'static str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, setting) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}`{setting}`")?;
        }
        Ok(())
    }
}

type SharedError = Arc<dyn Error + Send + Sync>;

/// An initialiser's error, for everybody who is to hear of it. Whoever holds it may be the last, on a thread where
/// nobody can take a panic in its drop.
#[derive(Clone, Debug)]
pub(crate) struct InitError {
    error: Option<SharedError>,
    /// The setting that gave the initialiser.
    setting: &'static str,
}

impl InitError {
    const HOOK: &str = "on_worker_start";
    const STATE: &str = "worker_state";

    pub(crate) fn shared(&self) -> SharedError {
        match &self.error {
            Some(error) => Arc::clone(error),
            None => unreachable!("it has its error until it is dropped"),
        }
    }

    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }
}

/// Of the hook, or of the state, as [`StateFailed`] says.
impl From<Box<dyn Error + Send + Sync>> for InitError {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<StateFailed>() {
            Ok(failed) => Self { error: Some(failed.0.into()), setting: Self::STATE },
            Err(error) => Self { error: Some(error.into()), setting: Self::HOOK },
        }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.as_ref().map_or(Ok(()), |error| error.fmt(f))
    }
}

impl Drop for InitError {
    fn drop(&mut self) {
        swallow_drop(self.error.take());
    }
}

impl From<SharedError> for InitError {
    fn from(error: SharedError) -> Self {
        Self { error: Some(error), setting: Self::HOOK }
    }
}

/// How the error of a worker's state travels where the hook's does. An [`InitError`] takes it apart.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StateFailed(pub(crate) Box<dyn Error + Send + Sync>);

/// How an initialiser's error travels where a system's refusal of a thread does.
#[derive(Debug, thiserror::Error)]
#[error("a worker's initialiser failed: {0}")]
pub(crate) struct WorkerInitFailed(pub(crate) InitError);

impl WorkerInitFailed {
    fn in_io(error: &io::Error) -> Option<&InitError> {
        error.get_ref()?.downcast_ref::<Self>().map(|failed| &failed.0)
    }
}

impl From<WorkerInitFailed> for io::Error {
    fn from(failed: WorkerInitFailed) -> Self {
        io::Error::other(failed)
    }
}

/// An error that is a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Said(pub(crate) String);

/// Why a task was not accepted. It was not queued, and will not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The manager was never started.
    #[error(
        "\"{namespace}\"{} was not started; call `start(PoolConfig::leased(n))` first{}",
        At(.owner),
        Hides(.hides)
    )]
    NotStarted {
        /// The manager's name.
        namespace: Namespace,
        /// The place that it belongs to, in words.
        owner: Option<String>,
        /// The place, in words, of a manager of that name that runs and that is not found, because this one is nearer.
        hides: Option<String>,
    },
    /// The pool was closed, stopped or cancelled, or ended with the scope that owned it.
    #[error("{}", IsClosed { namespace, ended_with, hides })]
    Closed {
        /// The manager's name.
        namespace: Namespace,
        /// The scope, in words, that owned the pool and that the pool ended with.
        ended_with: Option<String>,
        /// The place, in words, of a manager of that name that runs and that is not found, because this one is nearer.
        hides: Option<String>,
    },
    /// The pool takes one type of task only.
    #[error("\"{namespace}\" takes only tasks of type \"{allowed}\", and this one {}; name the type: `submit_as({}, …)`, or `map_as`, `run_as`, `install_as`", Given(.given), InCode(&.allowed.0, "TaskType"))]
    UnknownTaskType {
        /// The manager's name.
        namespace: Namespace,
        /// The type it was submitted as, if any.
        given: Option<TaskType>,
        /// The type the pool takes.
        allowed: TaskType,
    },
    /// The task asks for a state of the worker (`submit_with_state`), which the pool's workers do not have.
    #[error("{}", WrongState { namespace, wanted, has: *.has })]
    WrongWorkerState {
        /// The manager's name.
        namespace: Namespace,
        /// The type that the task asks for.
        wanted: &'static str,
        /// The type that the workers have, if any.
        has: Option<&'static str>,
    },
    /// The queue is at its limit. Trying again later may work.
    #[error(
        "the queue of \"{namespace}\" is full ({limit}); try later, or wait with `submit_timeout` or `submit_async`"
    )]
    QueueFull {
        /// The manager's name.
        namespace: Namespace,
        /// The queue's limit.
        limit: usize,
    },
    /// The node that the pool's tasks would stand below is gone: the pool's owner, if it is detached or work-stealing.
    #[error(
        "the tasks of \"{namespace}\" stand at the node that owned it, which has ended; own it at a place that lives longer"
    )]
    OwnerEnded {
        /// The manager's name.
        namespace: Namespace,
    },
    /// A scope at or above the submitter was told to end, and accepts nothing from below it any more.
    #[error(
        "submitted to \"{namespace}\" from {scope} or below it, which has ended; submit before it ends, from outside of it \
         (`parent.run(|| …)`), or to a `detached` pool"
    )]
    ScopeEnded {
        /// The manager's name.
        namespace: Namespace,
        /// The scope, in words.
        scope: String,
    },
    /// Room in the full queue would never come: all that could make some waits, directly or by others, for what the
    /// submitter owes.
    #[error(
        "the queue of \"{namespace}\" is full, and waiting for room would never end: {circle}; let go of what others wait for \
         first, or do it here"
    )]
    WouldDeadlock {
        /// The manager's name.
        namespace: Namespace,
        /// Who waits for whom.
        circle: Circle,
    },
    /// The submitter was asked to stop while it waited for room in a bounded queue, or before a
    /// [`map`](crate::PoolManager::map) submitted its next task.
    #[error(
        "not submitted to \"{namespace}\", because the submitter was asked to stop; pass this up, or submit from outside \
         of it (`parent.run(|| …)`)"
    )]
    Cancelled {
        /// The manager's name.
        namespace: Namespace,
    },
    /// The operating system refused a thread, and the pool has none. Trying again later may work.
    #[error(
        "the system refused a thread for \"{namespace}\": {source}; raise its limits, or lower `heirloom::threads::set_limit`"
    )]
    ThreadSpawn {
        /// The manager's name.
        namespace: Namespace,
        /// What the system said.
        source: io::Error,
    },
    /// The initialiser of the pool's workers failed a moment ago, and the pool has no worker. Trying again later may
    /// work: a new one is tried after a pause, which grows with each failure.
    #[error("\"{namespace}\" has no worker, because its initialiser (`{setting}`) failed: {error}; try later")]
    WorkerInit {
        /// The manager's name.
        namespace: Namespace,
        /// The setting that gave the initialiser: `on_worker_start` or `worker_state`.
        setting: &'static str,
        /// The initialiser's own error, or what its panic said.
        #[source]
        error: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The pool is not work-stealing, so nothing can be installed in it.
    #[error(
        "\"{namespace}\" is not work-stealing; start it with `PoolConfig::work_stealing(n)`, or use `run` instead of `install`"
    )]
    NotWorkStealing {
        /// The manager's name.
        namespace: Namespace,
    },
    /// Submitted by the initialiser of one of the pool's own workers, which could wait for it for ever.
    #[error(
        "submitted to \"{namespace}\" from the initialiser of one of its own workers; do it in a task, or use another pool"
    )]
    FromInitialiser {
        /// The manager's name.
        namespace: Namespace,
    },
    /// This process is a fork of the one that made the pool; its threads do not exist here.
    #[error("\"{namespace}\": this process is a fork, and threads do not survive a fork")]
    Forked {
        /// The manager's name.
        namespace: Namespace,
    },
}

/// Whose a manager is.
struct At<'a>(&'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |owner| write!(f, " of {owner}"))
    }
}

/// How to reach what a manager hides.
struct Hides<'a>(&'a Option<String>);

impl fmt::Display for Hides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(place) => write!(f, ", or `remove` it: it hides the one of that name that runs at {place}"),
        }
    }
}

struct IsClosed<'a> {
    namespace: &'a Namespace,
    ended_with: &'a Option<String>,
    hides: &'a Option<String>,
}

impl fmt::Display for IsClosed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, ended_with, hides } = self;
        match ended_with {
            Some(scope) => write!(
                f,
                "\"{namespace}\" belonged to {scope} and ended with it; one for the whole process is made by \
                 `Lineage::process().get_or_start({}, …)`",
                InCode(&namespace.0, "Namespace")
            ),
            None => write!(f, "\"{namespace}\" is closed; `start` it again to submit more{}", Hides(hides)),
        }
    }
}

struct WrongState<'a> {
    namespace: &'a Namespace,
    wanted: &'static str,
    has: Option<&'static str>,
}

impl fmt::Display for WrongState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, wanted, has } = self;
        match has {
            Some(has) => {
                write!(
                    f,
                    "the task asks for a `{wanted}`, and each worker of \"{namespace}\" has a `{has}`; ask for that"
                )
            }
            None => write!(
                f,
                "the task asks for a `{wanted}`, and the workers of \"{namespace}\" have no state; start it with \
                 `PoolConfig::dedicated(n).worker_state(…)`"
            ),
        }
    }
}

struct Given<'a>(&'a Option<TaskType>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(given) => write!(f, "is \"{given}\""),
            None => f.write_str("has none"),
        }
    }
}

impl SubmitError {
    /// No thread was to be had: the system, or the workers' initialiser, said no.
    pub(crate) fn no_thread(namespace: &Namespace, error: io::Error) -> Self {
        let namespace = namespace.clone();
        match WorkerInitFailed::in_io(&error) {
            Some(failed) => Self::WorkerInit { namespace, setting: failed.setting(), error: failed.shared() },
            None => Self::ThreadSpawn { namespace, source: error },
        }
    }

    /// Whether trying the same again later can work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::QueueFull { .. } | Self::ThreadSpawn { .. } | Self::WorkerInit { .. })
    }
}

/// A task that was not accepted, handed back together with the reason.
///
/// To pass it up with `?` as a `Box<dyn Error + Send + Sync>` the closure must be `Sync`, because it is inside; for one
/// that is not, pass the reason up: `.map_err(|refused| refused.into_parts().1)?`.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// let refused = pool.try_submit(|| 7).unwrap_err(); // not started
/// assert!(!refused.is_temporary());
/// let f = refused.into_task();
/// pool.start(PoolConfig::leased(1)).unwrap();
/// assert_eq!(pool.try_submit(f).unwrap().join().unwrap(), 7);
/// ```
#[derive(thiserror::Error)]
#[error("{reason}")]
pub struct Refused<F> {
    pub(crate) task: F,
    pub(crate) reason: SubmitError,
}

impl<F> Refused<F> {
    /// The closure, to try again or to run elsewhere.
    #[must_use]
    pub fn into_task(self) -> F {
        self.task
    }

    /// Why it was refused.
    #[must_use]
    pub fn reason(&self) -> &SubmitError {
        &self.reason
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (F, SubmitError) {
        (self.task, self.reason)
    }

    /// Whether trying the same again later can work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.reason.is_temporary()
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Why an end or a wait was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The caller is, on some frame of its thread, one of the tasks it would wait for. Nothing was changed.
    #[error(
        "waiting for {:?} from one of its own tasks would never end; use `close` or `cancel`, or wait from outside",
        Printed(.name)
    )]
    FromOwnTask {
        /// The manager's or the scope's name.
        name: String,
    },
    /// One of the tasks that it would wait for waits, directly or by others, for what the caller owes. What it was to
    /// close is closed.
    #[error(
        "waiting for {:?} would never end: {circle}; let go of what others wait for first, or wait with a limit",
        Printed(.name)
    )]
    WouldDeadlock {
        /// The manager's or the scope's name.
        name: String,
        /// Who waits for whom.
        circle: Circle,
    },
}

/// The running task or thread was asked to stop, or the place where it stands, or one above that.
///
/// Returned by [`checkpoint`](crate::checkpoint), [`sleep`](crate::sleep) and the joins that pass requests on. It is an
/// ordinary error, to be passed up with `?`: stopping is the task's own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("cancelled: the task, or a place above it, was asked to stop")]
#[non_exhaustive]
pub struct Cancelled {}

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self {}
    }
}

/// Why a thread has no more stack for a task that is to run inside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The segments of the thread have reached this limit, in bytes.
    #[cfg_attr(not(feature = "stacker"), allow(dead_code, reason = "no stack grows"))]
    Limit(usize),
    /// The system refused the memory.
    #[cfg_attr(not(feature = "stacker"), allow(dead_code, reason = "no stack grows"))]
    NoMemory,
    /// This build cannot give a thread more stack.
    CannotGrow,
}

/// Why a task has no value: it panicked, or was cancelled, or could not run.
pub struct TaskError(Box<Repr>);

struct Repr {
    id: TaskId,
    namespace: Namespace,
    kind: Kind,
}

enum Kind {
    /// The payload may hold anything that is `Send`; the mutex makes the error `Sync` without looking inside.
    Panic {
        payload: Mutex<Box<dyn Any + Send>>,
        text: Option<String>,
    },
    Cancelled,
    ThreadSpawn(io::Error),
    WorkerInit(Arc<dyn std::error::Error + Send + Sync>),
    ProcessExiting,
    FromOwnTask,
    Forked,
    StateInUse,
    Refused(SubmitError),
    Busy(Busy),
    GateMissing(Box<dyn Error + Send + Sync>),
    TooDeep(NoRoom),
    Deadlock(Circle),
}

impl TaskError {
    fn new(id: TaskId, namespace: &Namespace, kind: Kind) -> Self {
        Self(Box::new(Repr { id, namespace: namespace.clone(), kind }))
    }

    pub(crate) fn panic(id: TaskId, namespace: &Namespace, payload: Box<dyn Any + Send>) -> Self {
        let text = payload_text(payload.as_ref()).map(String::from);
        Self::new(id, namespace, Kind::Panic { payload: Mutex::new(payload), text })
    }

    pub(crate) fn cancelled(id: TaskId, namespace: &Namespace) -> Self {
        Self::new(id, namespace, Kind::Cancelled)
    }

    /// No thread was to be had: the system, or the workers' initialiser, said no.
    pub(crate) fn no_thread(id: TaskId, namespace: &Namespace, error: &io::Error) -> Self {
        let kind = match WorkerInitFailed::in_io(error) {
            Some(failed) => Kind::WorkerInit(failed.shared()),
            None => Kind::ThreadSpawn(io::Error::new(error.kind(), error.to_string())),
        };
        Self::new(id, namespace, kind)
    }

    pub(crate) fn process_exiting(id: TaskId, namespace: &Namespace) -> Self {
        Self::new(id, namespace, Kind::ProcessExiting)
    }

    pub(crate) fn from_own_task(id: TaskId, namespace: &Namespace) -> Self {
        Self::new(id, namespace, Kind::FromOwnTask)
    }

    pub(crate) fn forked(id: TaskId, namespace: &Namespace) -> Self {
        Self::new(id, namespace, Kind::Forked)
    }

    pub(crate) fn state_in_use(id: TaskId, namespace: &Namespace) -> Self {
        Self::new(id, namespace, Kind::StateInUse)
    }

    pub(crate) fn refused(id: TaskId, namespace: &Namespace, reason: SubmitError) -> Self {
        Self::new(id, namespace, Kind::Refused(reason))
    }

    pub(crate) fn busy(id: TaskId, namespace: &Namespace, busy: Busy) -> Self {
        Self::new(id, namespace, Kind::Busy(busy))
    }

    pub(crate) fn gate_missing(id: TaskId, namespace: &Namespace, missing: Box<dyn Error + Send + Sync>) -> Self {
        Self::new(id, namespace, Kind::GateMissing(missing))
    }

    /// There was no stack to run it inside the tasks that run on the thread already.
    pub(crate) fn too_deep(id: TaskId, namespace: &Namespace, no_room: NoRoom) -> Self {
        Self::new(id, namespace, Kind::TooDeep(no_room))
    }

    pub(crate) fn deadlock(id: TaskId, namespace: &Namespace, circle: Circle) -> Self {
        Self::new(id, namespace, Kind::Deadlock(circle))
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id
    }

    /// The name of the manager whose pool it was submitted to.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panic { .. })
    }

    /// The task was cancelled before it started: its body never ran.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.kind, Kind::Cancelled)
    }

    /// The system refused a thread for the pool: the body never ran.
    #[must_use]
    pub fn is_thread_spawn(&self) -> bool {
        matches!(self.0.kind, Kind::ThreadSpawn(_))
    }

    /// The initialiser of the pool's workers failed and no worker was left: the body never ran. The error's source is
    /// the initialiser's own.
    #[must_use]
    pub fn is_worker_init(&self) -> bool {
        matches!(self.0.kind, Kind::WorkerInit(_))
    }

    /// The task itself ended the process.
    #[must_use]
    pub fn is_process_exiting(&self) -> bool {
        matches!(self.0.kind, Kind::ProcessExiting)
    }

    /// The task was joined from its own body, from a task that runs in place within it, or from the initialiser of one
    /// of its pool's workers.
    #[must_use]
    pub fn is_from_own_task(&self) -> bool {
        matches!(self.0.kind, Kind::FromOwnTask)
    }

    /// The task was joined or awaited in a fork of the process that submitted it, which has no thread to run it; there
    /// it goes on.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0.kind, Kind::Forked)
    }

    /// The task needs the state of a worker ([`submit_with_state`](crate::PoolManager::submit_with_state)), and was
    /// joined or polled by a task of the same pool that has its worker's, before it had started. The joiner would hold
    /// up what it waits for. The task itself goes on, without its handle.
    #[must_use]
    pub fn is_state_in_use(&self) -> bool {
        matches!(self.0.kind, Kind::StateInUse)
    }

    /// The task was never accepted (in [`Map`](crate::Map), which submits as it goes).
    #[must_use]
    pub fn as_refused(&self) -> Option<&SubmitError> {
        match &self.0.kind {
            Kind::Refused(reason) => Some(reason),
            _ => None,
        }
    }

    /// The gate that its pool runs tasks under was held by somebody else: the body never ran. Trying again later may
    /// work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.as_busy().is_some()
    }

    /// Whether trying the same again later can work: the system or an initialiser refused a worker, the gate was taken, or
    /// the queue was full.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let no_thread = self.is_thread_spawn() || self.is_worker_init();
        let gate_opens = self.as_busy().is_some_and(Busy::opens);
        no_thread || gate_opens || self.as_refused().is_some_and(SubmitError::is_temporary)
    }

    /// Who held the gate, when the task [is busy](Self::is_busy).
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match &self.0.kind {
            Kind::Busy(busy) => Some(busy),
            _ => None,
        }
    }

    /// Its pool runs tasks under a gate only ([`GateMode::Require`](crate::GateMode::Require)), and none is bound where
    /// the task stands or above: the body never ran.
    #[must_use]
    pub fn is_gate_missing(&self) -> bool {
        matches!(self.0.kind, Kind::GateMissing(_))
    }

    /// The thread that was to run the task inside the tasks that it runs already had no more stack for it
    /// ([`threads::set_stack_limit`](crate::threads::set_stack_limit)): the body never ran.
    #[must_use]
    pub fn is_too_deep(&self) -> bool {
        matches!(self.0.kind, Kind::TooDeep(_))
    }

    /// The wait for the task would never have ended: the task waits, directly or by others, for what the caller owes. It
    /// goes on, detached, and ends when the caller has gone on; one of [`run`](crate::PoolManager::run) that was queued
    /// has not run, and never will.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        self.as_deadlock().is_some()
    }

    /// Who waits for whom, when it [is a deadlock](Self::is_deadlock).
    #[must_use]
    pub fn as_deadlock(&self) -> Option<&Circle> {
        match &self.0.kind {
            Kind::Deadlock(circle) => Some(circle),
            _ => None,
        }
    }

    /// What the panic carried, to be resumed with `std::panic::resume_unwind` or looked at.
    ///
    /// # Errors
    /// The error itself, when it is no panic.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, TaskError> {
        let Repr { id, namespace, kind } = *self.0;
        match kind {
            Kind::Panic { payload, .. } => Ok(payload.into_inner()),
            kind => Err(Self(Box::new(Repr { id, namespace, kind }))),
        }
    }

    /// The panic's message, when it carried a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Panic { text, .. } => text.as_deref(),
            _ => None,
        }
    }
}

/// The text of a panic's payload, as `panic!` makes them.
pub(crate) fn payload_text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&'static str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repr { id, namespace, kind } = &*self.0;
        write!(f, "task {id} of \"{namespace}\" ")?;
        match kind {
            Kind::Panic { text, .. } => {
                write!(f, "panicked: {}", text.as_deref().unwrap_or("(a payload that is no text)"))
            }
            Kind::Cancelled => f.write_str("was cancelled before it started"),
            Kind::ThreadSpawn(error) => write!(f, "was dropped, because the system refused a thread: {error}"),
            Kind::WorkerInit(error) => {
                write!(f, "was dropped, because its pool's workers could not be initialised: {error}")
            }
            Kind::ProcessExiting => f.write_str("ended the process"),
            Kind::FromOwnTask => f.write_str("was joined from within itself, which would never end"),
            Kind::Forked => f.write_str("runs in the process that this one is a fork of; join it there"),
            Kind::StateInUse => f.write_str(
                "needs a worker's state, and was joined by a task of the same pool, which has one; do the work of both in \
                 one task, or join it from outside",
            ),
            Kind::Refused(reason) => write!(f, "was not accepted: {reason}"),
            Kind::Busy(busy) => write!(f, "did not start: {busy}"),
            Kind::GateMissing(missing) => write!(f, "did not start, because its pool requires a gate: {missing}"),
            Kind::TooDeep(no_room) => {
                f.write_str("did not start, because it was joined inside too many tasks on one thread: ")?;
                match no_room {
                    NoRoom::Limit(bytes) => {
                        write!(f, "their stack has reached {bytes} bytes; raise `threads::set_stack_limit`")
                    }
                    NoRoom::NoMemory => f.write_str("the system has no memory for more stack"),
                    NoRoom::CannotGrow => f.write_str("stacks grow only with heirloom's feature `stacker`"),
                }?;
                f.write_str(", or let fewer tasks wait inside one another")
            }
            Kind::Deadlock(circle) => {
                write!(
                    f,
                    "would be waited for in vain: {circle}; let go of what others wait for first, or wait with a limit"
                )
            }
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskError({self})")
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.kind {
            Kind::ThreadSpawn(error) => Some(error),
            Kind::WorkerInit(error) => Some(&**error),
            Kind::Refused(reason) => Some(reason),
            Kind::Busy(busy) => Some(busy),
            Kind::GateMissing(missing) => Some(&**missing),
            _ => None,
        }
    }
}

/// A manager does not take tasks of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("\"{namespace}\" {}; start it with `.task_type(TaskType::of::<{wanted}>())`", Allowed(.allowed))]
pub struct UnknownTaskType {
    /// The manager's name.
    pub namespace: Namespace,
    /// The type asked for.
    pub wanted: TaskType,
    /// The one it takes; `None` when it does not run, or takes any.
    pub allowed: Option<TaskType>,
}

struct Allowed<'a>(&'a Option<TaskType>);

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(allowed) => write!(f, "takes only tasks of type \"{allowed}\""),
            None => f.write_str("does not run, or takes tasks of any type"),
        }
    }
}
