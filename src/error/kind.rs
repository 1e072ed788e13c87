//! [`ErrorKind`]: the reason of an error in one word.

/// The reason of an [`Error`](crate::Error), flat and without its details, to decide by.
///
/// A kind has one meaning for all verbs. [`Error`](crate::Error) says which verb failed, and with what.
///
/// ```
/// use heirloom::ErrorKind;
///
/// assert_eq!(heirloom::get("nowhere").unwrap_err().kind(), ErrorKind::NotFound);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "remote", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ErrorKind {
    /// No manager has that name at the node asked or above.
    NotFound,
    /// The manager was never started.
    NotStarted,
    /// The pool was closed, stopped or cancelled, or its owner has ended.
    Closed,
    /// The manager's pool runs already.
    AlreadyRunning,
    /// Tasks of the pool's last start have not finished.
    StillStopping,
    /// The pool runs with other settings than the ones asked for.
    ConfigMismatch,
    /// A setting is not possible.
    Invalid,
    /// The bounded queue is full.
    QueueFull,
    /// More tasks were submitted at once than the queue can hold.
    TooMany,
    /// The pool takes another type of task, or its workers have another state.
    WrongType,
    /// The pool is not work-stealing.
    NotWorkStealing,
    /// The caller or its task was cancelled. As an error of a join it means that the task never ran; as one of the task's own
    /// result, that the task stopped midway.
    Cancelled,
    /// A deadline has passed, and cancelled the caller, its task, or the scope that the call needs.
    DeadlineExceeded,
    /// A scope, task or thread at or above the caller's node has ended, by another cause than a deadline.
    ScopeEnded,
    /// The code panicked. [`Error::into_panic`](crate::Error::into_panic) returns the payload.
    Panicked,
    /// The wait would never end. [`Error::circle`](crate::Error::circle) returns the waits that hold each other up.
    WouldDeadlock,
    /// The caller would wait for its own task, or for a task that needs the caller's initialiser.
    FromOwnTask,
    /// The call is made inside the closure that gives its result.
    Reentrant,
    /// The awaited thing was not ready in time.
    TimedOut,
    /// Another holder has the gate.
    Busy,
    /// No value, or no gate, is bound at the node asked or above.
    NotBound,
    /// The node has a value already.
    AlreadyBound,
    /// The key is sealed.
    Sealed,
    /// The value's initialiser returned an error, which is the source.
    InitFailed,
    /// The code that owed the result was dropped: the future that initialised the value, or the promise of the task.
    Abandoned,
    /// The caller does not stand at or below the node that was to own the value.
    NotBelow,
    /// The code shares its thread with other code and has no node of its own.
    NoPlace,
    /// The system refused a thread.
    NoThread,
    /// The initialiser of a worker failed or panicked.
    WorkerInit,
    /// The task needs the state of a worker whose task waits for it.
    StateInUse,
    /// The thread had no stack left for one more task inside the tasks that it runs.
    TooDeep,
    /// No runtime is running here, or behind the portal.
    NoRuntime,
    /// The task itself ended the process.
    ProcessExiting,
    /// This process is a fork of the one that the thread, pool, task or holder belongs to.
    Forked,
    /// The pool runs its tasks in other processes, and takes jobs instead of closures.
    NeedsJob,
    /// The job cannot be encoded, or is larger than a message may be.
    NotSendable,
    /// This process has no right to do that at the engine of a remote pool.
    NotAllowed,
    /// The engine of a remote pool failed in another way.
    EngineFailed,
    /// The worker that ran the remote task died, or was stopped, and its end is not known.
    WorkerLost,
    /// The worker does not know the job, or could not read it, or its output could not be written or read.
    NotUnderstood,
    /// An error of another process, of a kind that this version of the crate does not know.
    #[cfg_attr(feature = "remote", serde(other))]
    Unknown,
}

impl ErrorKind {
    pub(crate) fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::DeadlineExceeded | Self::ScopeEnded)
    }

    pub(super) fn is_temporary(self) -> bool {
        use ErrorKind::{Abandoned, Busy, NoThread, QueueFull, StillStopping, TimedOut, WorkerInit};
        matches!(self, Abandoned | Busy | NoThread | QueueFull | StillStopping | TimedOut | WorkerInit)
    }
}
