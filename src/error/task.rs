//! [`TaskError`]: a task gave no value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use crate::error::busy::Busy;
use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::stack::NoRoom;
use crate::error::submit::SubmitError;
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
    ThreadSpawn(io::Error),
    WorkerInit(Arc<dyn Error + Send + Sync>),
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

    pub(crate) fn cancelled(id: TaskId, namespace: &Namespace, cause: Cancelled) -> Self {
        Self::new(id, namespace, Kind::Cancelled(cause))
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

    pub(crate) fn refused(id: TaskId, namespace: &Namespace, reason: SubmitError) -> Self {
        Self::new(id, namespace, Kind::Refused(reason))
    }

    pub(crate) fn busy(id: TaskId, namespace: &Namespace, busy: Busy) -> Self {
        Self::new(id, namespace, Kind::Busy(busy))
    }

    pub(crate) fn gate_missing(id: TaskId, namespace: &Namespace, missing: Box<dyn Error + Send + Sync>) -> Self {
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

    /// The task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panic { .. })
    }

    /// The task was cancelled before it started: its body never ran.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.as_cancelled().is_some()
    }

    /// The reason and the place of the cancel, when the task [was cancelled](Self::is_cancelled).
    #[must_use]
    pub fn as_cancelled(&self) -> Option<&Cancelled> {
        match &self.0.kind {
            Kind::Cancelled(cause) => Some(cause),
            _ => None,
        }
    }

    /// The system refused a thread for the pool: the body never ran.
    #[must_use]
    pub fn is_thread_spawn(&self) -> bool {
        matches!(self.0.kind, Kind::ThreadSpawn(_))
    }

    /// The initialiser of the pool's workers failed and no worker was left: the body never ran. The error's source is
    /// the initialiser's own error.
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

    /// The task was joined or awaited in a fork of the process that submitted it. The fork has no thread to run it; in
    /// the first process the task goes on.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0.kind, Kind::Forked)
    }

    /// The task needs the state of a worker ([`submit_with_state`](crate::PoolManager::submit_with_state)) and had not
    /// started, when a task of the same pool that has a worker's state joined or polled it. The joiner would hold up
    /// the task that it waits for. The task itself goes on, without its handle.
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

    /// Another holder had the gate that the pool runs its tasks under: the body never ran. Trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.as_busy().is_some()
    }

    /// Whether the same task can work later: the system or an initialiser refused a worker, the gate was held, or the
    /// queue was full.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let no_thread = self.is_thread_spawn() || self.is_worker_init();
        let gate_opens = self.as_busy().is_some_and(Busy::opens);
        no_thread || gate_opens || self.as_refused().is_some_and(SubmitError::is_temporary)
    }

    /// The gate and its holder, when the task [is busy](Self::is_busy).
    #[must_use]
    pub fn as_busy(&self) -> Option<&Busy> {
        match &self.0.kind {
            Kind::Busy(busy) => Some(busy),
            _ => None,
        }
    }

    /// The pool runs tasks under a gate only ([`GateMode::Require`](crate::GateMode::Require)), and none is bound at
    /// the task's node or above: the body never ran.
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

    /// The wait for the task would never have ended: the task waits, directly or through others, for the caller. The
    /// task goes on, detached, and can finish when the caller has gone on. A task of [`run`](crate::PoolManager::run)
    /// that was still queued never runs.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        self.as_deadlock().is_some()
    }

    /// The waits that hold each other up, when it [is a deadlock](Self::is_deadlock).
    #[must_use]
    pub fn as_deadlock(&self) -> Option<&Circle> {
        match &self.0.kind {
            Kind::Deadlock(circle) => Some(circle),
            _ => None,
        }
    }

    /// Returns the panic's payload, to be inspected or resumed with `std::panic::resume_unwind`.
    ///
    /// # Errors
    /// The error itself, when the task did not panic.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, TaskError> {
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
            Kind::Cancelled(cause) => write!(f, "was cancelled before it started: {}", cause.why()),
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
            Kind::Refused(reason) => Some(reason),
            Kind::Busy(busy) => Some(busy),
            Kind::GateMissing(missing) => Some(&**missing),
            _ => None,
        }
    }
}
