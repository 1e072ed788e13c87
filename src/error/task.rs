//! [`TaskError`]: a task gave no value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use crate::error::busy::Busy;
use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
#[cfg(feature = "remote")]
use crate::error::remote::RemoteFailure;
use crate::error::stack::NoRoom;
use crate::error::value::NotBound;
use crate::error::worker_init::WorkerInitFailed;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, Mutex};

/// Why a task has no value: it panicked, was cancelled, or could not run.
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
    Cancelled(Cancelled),
    /// Cancelled after it had begun.
    Interrupted(Cancelled),
    #[cfg(feature = "remote")]
    Remote(RemoteFailure),
    /// Its promise was dropped.
    Abandoned {
        begun: bool,
    },
    ThreadSpawn(io::Error),
    WorkerInit(Arc<dyn Error + Send + Sync>),
    ProcessExiting,
    FromOwnTask,
    Forked,
    StateInUse,
    Busy(Busy),
    GateMissing(NotBound),
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

    pub(crate) fn cancelled(id: TaskId, namespace: &Namespace, cause: Cancelled) -> Self {
        Self::new(id, namespace, Kind::Cancelled(cause))
    }

    /// A promised task that had begun.
    pub(crate) fn interrupted(id: TaskId, namespace: &Namespace, cause: Cancelled) -> Self {
        Self::new(id, namespace, Kind::Interrupted(cause))
    }

    #[cfg(feature = "remote")]
    pub(crate) fn remote(id: TaskId, namespace: &Namespace, failure: RemoteFailure) -> Self {
        Self::new(id, namespace, Kind::Remote(failure))
    }

    pub(crate) fn abandoned(id: TaskId, namespace: &Namespace, begun: bool) -> Self {
        Self::new(id, namespace, Kind::Abandoned { begun })
    }

    /// No thread could be had: the system, or the workers' initialiser, refused.
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

    pub(crate) fn busy(id: TaskId, namespace: &Namespace, busy: Busy) -> Self {
        Self::new(id, namespace, Kind::Busy(busy))
    }

    pub(crate) fn gate_missing(id: TaskId, namespace: &Namespace, missing: NotBound) -> Self {
        Self::new(id, namespace, Kind::GateMissing(missing))
    }

    /// The thread had no stack left to run the task inside the tasks that it runs already.
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

    /// The reason.
    ///
    /// - `Panicked`, `ProcessExiting`: the task's own end.
    /// - `Cancelled`, `DeadlineExceeded`: the task was cancelled before it started, or its promise's holder ended it so.
    /// - `QueueFull`, `NotAllowed`, `EngineFailed`: the engine of a [remote pool](crate::PoolKind) refused the job.
    /// - `WorkerLost`, `NotUnderstood`: the worker of a remote pool died in the job, or did not know it.
    /// - `Abandoned`: the [promise](crate::Promise) of the task was dropped, so no code is left to complete it.
    /// - `NoThread`, `WorkerInit`: the pool got no worker. The source is the system's or the initialiser's own error.
    /// - `Busy`, `NotBound`, `TooDeep`: the task did not start. The gate that its pool runs tasks under was held, or
    ///   [required](crate::GateMode::Require) and not bound; or the thread that was to run the task inside the tasks that
    ///   it runs already had [no more stack](crate::threads::set_stack_limit).
    /// - `WouldDeadlock`: the task waits, directly or through others, for the caller. It goes on, detached, and can
    ///   finish when the caller has gone on. A task of [`run`](crate::PoolManager::run) that was still queued never runs.
    /// - `FromOwnTask`: the task was joined from its own body, from a task that runs in place within it, or from the
    ///   initialiser of one of its pool's workers.
    /// - `StateInUse`: the task needs the [state of a worker](crate::PoolManager::submit_with_state) and had not started,
    ///   when a task of the same pool that has a worker's state joined or polled it. The joiner would hold up the task
    ///   that it waits for. The task itself goes on, without its handle.
    /// - `Forked`: the task was joined or awaited in a fork of the process that submitted it. The fork has no thread to
    ///   run it; in the first process the task goes on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0.kind {
            Kind::Panic { .. } => ErrorKind::Panicked,
            Kind::Abandoned { .. } => ErrorKind::Abandoned,
            #[cfg(feature = "remote")]
            Kind::Remote(failure) => failure.kind(),
            Kind::Cancelled(cause) | Kind::Interrupted(cause) => Cancelled::kind_of(Some(cause), ErrorKind::Cancelled),
            Kind::ThreadSpawn(_) => ErrorKind::NoThread,
            Kind::WorkerInit(_) => ErrorKind::WorkerInit,
            Kind::ProcessExiting => ErrorKind::ProcessExiting,
            Kind::FromOwnTask => ErrorKind::FromOwnTask,
            Kind::Forked => ErrorKind::Forked,
            Kind::StateInUse => ErrorKind::StateInUse,
            Kind::Busy(busy) => busy.kind(),
            Kind::GateMissing(missing) => missing.kind(),
            Kind::TooDeep(_) => ErrorKind::TooDeep,
            Kind::Deadlock(_) => ErrorKind::WouldDeadlock,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.as_cancelled().is_some()
    }

    /// Whether the task may have run, wholly or in part, although it has no value.
    ///
    /// True for a panic, and for a remote task whose worker was lost after it began. A task of this process that did not panic
    /// did not run.
    #[must_use]
    pub fn maybe_ran(&self) -> bool {
        match &self.0.kind {
            Kind::Panic { .. } | Kind::ProcessExiting | Kind::Interrupted(_) | Kind::Abandoned { begun: true } => true,
            #[cfg(feature = "remote")]
            Kind::Remote(failure) => failure.maybe_ran(),
            _ => false,
        }
    }

    /// The reason and the place of the cancel, when the task ended as cancelled.
    #[must_use]
    pub fn as_cancelled(&self) -> Option<&Cancelled> {
        match &self.0.kind {
            Kind::Cancelled(cause) | Kind::Interrupted(cause) => Some(cause),
            _ => None,
        }
    }

    /// The gate that the pool runs its tasks under, and its holder, when that kept the task from starting.
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match &self.0.kind {
            Kind::Busy(busy) => Some(busy),
            _ => None,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match &self.0.kind {
            Kind::Deadlock(circle) => Some(circle),
            Kind::Busy(busy) => busy.circle.as_ref(),
            _ => None,
        }
    }

    pub(super) fn into_panic(self) -> Result<Box<dyn Any + Send>, TaskError> {
        let Repr { id, namespace, kind } = *self.0;
        match kind {
            Kind::Panic { payload, .. } => Ok(payload.into_inner()),
            kind => Err(Self(Box::new(Repr { id, namespace, kind }))),
        }
    }

    /// The panic's message, when the payload is a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Panic { text, .. } => text.as_deref(),
            _ => None,
        }
    }
}

/// The text of a payload as `panic!` makes it.
pub(crate) fn payload_text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&'static str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Repr { id, namespace, kind } = &*self.0;
        write!(f, "task {id} of \"{namespace}\" ")?;
        match kind {
            Kind::Panic { text, .. } => {
                write!(f, "panicked: {}", text.as_deref().unwrap_or("(a payload that is no text)"))
            }
            Kind::Cancelled(cause) => write!(f, "was cancelled before it started: {}; pass this up", cause.why()),
            Kind::Interrupted(cause) => write!(f, "was cancelled: {}; pass this up", cause.why()),
            #[cfg(feature = "remote")]
            Kind::Remote(failure) => write!(f, "{failure}"),
            Kind::Abandoned { begun } => write!(
                f,
                "has no value, because its promise was dropped {} it had begun; complete the promise on each path",
                if *begun { "after" } else { "before" }
            ),
            Kind::ThreadSpawn(error) => write!(
                f,
                "was dropped, because the system refused a thread: {error}; raise its limits, or lower \
                 `heirloom::threads::set_limit`"
            ),
            Kind::WorkerInit(error) => {
                write!(
                    f,
                    "was dropped, because its pool's workers could not be initialised: {error}; correct that, and submit it \
                     again"
                )
            }
            Kind::ProcessExiting => f.write_str("ended the process, so it has no value; return the value, and exit outside of it"),
            Kind::FromOwnTask => f.write_str(
                "was joined from within itself or by the initialiser of its worker, which would never end; join it from outside",
            ),
            Kind::Forked => f.write_str("runs in the process that this one is a fork of; join it there"),
            Kind::StateInUse => f.write_str(
                "needs a worker's state, and was joined by a task of the same pool, which has one; do the work of both in \
                 one task, or join it from outside",
            ),
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
                    "cannot be waited for, because the wait would never end: {circle}; release what the others wait for \
                     first, or wait with a timeout"
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
            Kind::Busy(busy) => Some(busy),
            Kind::GateMissing(missing) => Some(missing),
            _ => None,
        }
    }
}
