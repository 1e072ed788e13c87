//! [`Promise`]: the other end of a task's handle, for code outside of the pool.

use std::any::Any;
use std::fmt;

use crate::error::{CancelReason, Cancelled, Error, TaskError};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::{ExitOnDrop, Lineage};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::context::thread::shield;
use crate::pool::core::pool::Pool;
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::promise::{self, Meeting, Pledge, Submitted};
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::task::stored::Stored;

/// The duty to end one task from outside of its pool. Its drop ends an unfinished task with
/// [`ErrorKind::Abandoned`](crate::ErrorKind::Abandoned).
///
/// [`PoolManager::promise`](crate::PoolManager::promise) returns the promise, together with the task's handle. A promise is for
/// work that no thread of the pool runs: a device's queue, a callback of a library, a request to another machine. The task is one
/// of the pool all the same. Its scope counts it and waits for it, and so do `stop`, a drain and the end of the process, for a
/// joining pool. Snapshots and metrics show it. The holder may end it on any thread, and in any code: a callback, a future, a
/// destructor.
///
/// # Cancels
/// A cancel reaches the task through its handle, a scope or another node above it, its pool, the end of its owner, or a
/// deadline.
///
/// - Before [`begin`](Self::begin) it ends the task at once, as cancelled. No code waits for the holder, whose later
///   [`complete`](Self::complete) drops the value. A hook of [`on_end`](Self::on_end) tells the holder.
/// - After `begin` it is a request, and the task ends when the holder ends it. The holder sees the request at the
///   [`lineage`](Self::lineage): [`is_cancelled`](Lineage::is_cancelled), [`on_cancel`](Lineage::on_cancel),
///   [`cancelled`](Lineage::cancelled).
///
/// The hooks of the `lineage` run for cancels before `begin` too.
///
/// ```
/// use std::sync::mpsc;
/// use heirloom::{PoolConfig, Promise, Scope};
///
/// let request = Scope::new("request 7");
/// let gpu = request.create("gpu");
/// gpu.start(PoolConfig::leased(1).queue_limit(100))?;
///
/// let (jobs, queue) = mpsc::channel::<(u32, Promise<u32>)>();
/// std::thread::spawn(move || {
///     for (input, job) in queue {
///         if job.begin() {
///             job.complete(input * 2);
///         } // or it was cancelled, and its handle knows
///     }
/// });
///
/// let (job, result) = request.run(|| gpu.promise())?;
/// jobs.send((21, job)).unwrap();
/// assert_eq!(result.join()?, 42);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Waits
/// The task's end depends on the holder alone. A `stop` of the pool, or a join of the task, by the code that holds the promise never
/// ends, and no circle is reported: heirloom does not know which code will complete a promise.
///
/// In a fork's child the promise does nothing: the task is the parent's.
#[must_use = "dropping the promise ends the task as abandoned"]
pub struct Promise<T> {
    pledge: Pledge,
    meeting: Arc<Meeting<T>>,
    /// The holder has ended the task.
    ended: bool,
}

impl<V: Send + 'static> Promise<V> {
    /// The holder's value becomes a `T` when the handle takes the result.
    pub(crate) fn submit<T>(pool: &Arc<Pool>, task_type: Option<TaskType>) -> Result<(Self, TaskHandle<T>), Error>
    where
        V: Stored<T>,
        T: Send + 'static,
    {
        let Submitted { pledge, meeting, task } = promise::submit(pool, task_type)?;
        Ok((Self { pledge, meeting, ended: false }, TaskHandle::new(task, pool)))
    }
}

impl<T> Promise<T> {
    /// Returns the task's id, which is that of its handle.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.pledge.id()
    }

    /// Returns the name of the pool's manager, for errors.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.pledge.pool().namespace
    }

    /// Returns the task's own node, below its submitter's.
    ///
    /// Code that works for the task stands there: it finds the managers and values of the submitter, and its own tasks are
    /// cancelled with this one. The node ends with the task.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage(self.pledge.node().clone())
    }

    /// Begins the task: from now on it counts as running, and no more as queued. Returns whether this call began it.
    ///
    /// False if the task was cancelled, or has begun before: nothing changes then. The time of
    /// [`task_timeout`](crate::PoolConfig::task_timeout) starts here. An end without a `begin` begins the task on its way.
    /// A submitter that waits for capacity of the queue is woken on this thread.
    pub fn begin(&self) -> bool {
        self.pledge.begin()
    }

    /// Returns whether the task has ended without this promise: it was cancelled before it began.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.pledge.is_ended()
    }

    /// Calls `f` once, when the task ends without this promise: when it is cancelled before it begins.
    ///
    /// If it has ended already, `f` runs here before this returns. Otherwise `f` runs on the canceller's thread, after the waiters of
    /// the task are woken. It stands at the node of this call and holds no lock, so it may submit, cancel and drop. It must not
    /// block: the canceller and the pool's end wait for it. A panic in it is swallowed. The end of the task by this promise drops
    /// `f` without a call.
    ///
    /// Costs one allocation, and nothing for cancels elsewhere. [`Lineage::on_cancel`] at the [`lineage`](Self::lineage) sees
    /// requests to a task that has begun as well, and each cancel at the scopes above makes one more check for it.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let (withdraw, withdrawn) = std::sync::mpsc::channel();
    /// let (promise, task) = pool.promise::<u32>()?;
    /// promise.on_end(move || drop(withdraw.send("the job")));
    /// task.cancel();
    /// assert_eq!(withdrawn.recv(), Ok("the job"));
    /// assert!(!promise.begin());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn on_end(&self, f: impl FnOnce() + Send + 'static) {
        let at = current::nearest();
        let hook = move || {
            // A cancel of the canceller is none of the code's.
            let _shield = shield();
            let _at = ExitOnDrop(Some(current::enter(at, LazyNode::Nothing)));
            f();
        };
        if let Err(hook) = self.meeting.add_hook(Box::new(hook)) {
            swallow(hook);
        }
    }

    /// Ends the task with a value, which its handle gets.
    ///
    /// If the task was cancelled before it began, the value is dropped here. Waiters of the task are woken, and an abandoned value is
    /// dropped, on this thread.
    pub fn complete(mut self, value: T) {
        self.meeting.put(value);
        self.end(Ok(()));
        // Dropped outside of the lock, if the task ended before.
        drop(self.meeting.take());
    }

    /// Ends the task with a value, or with the error of another task: a task that stands for that one.
    ///
    /// The error names the other task. Otherwise as [`complete`](Self::complete).
    pub fn complete_with(mut self, outcome: Result<T, TaskError>) {
        match outcome {
            Ok(value) => self.complete(value),
            Err(error) => self.end(Err(error)),
        }
    }

    /// Ends the task as panicked, with the payload of a panic that another thread caught.
    ///
    /// The handle gets the payload and its text. Nothing is logged here.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let (promise, task) = pool.promise::<u32>()?;
    /// promise.panic(Box::new("the device is lost"));
    /// assert_eq!(task.join().unwrap_err().panic_message(), Some("the device is lost"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn panic(self, payload: Box<dyn Any + Send>) {
        let error = TaskError::panic(self.id(), self.namespace(), payload);
        self.complete_with(Err(error));
    }

    /// Ends the task as cancelled, for the request that reaches its node.
    ///
    /// Without such a request the cause is a request at the task itself.
    pub fn cancel(self) {
        let cause = self.pledge.node().node().cause();
        let id = self.id();
        let cause = cause.unwrap_or_else(|| Cancelled::new(CancelReason::Request, format_args!("task {id}")));
        self.cancel_for(cause);
    }

    /// The same for a cause from elsewhere.
    pub(crate) fn cancel_for(self, cause: Cancelled) {
        let namespace = self.namespace();
        let error = match self.pledge.has_begun() {
            true => TaskError::interrupted(self.id(), namespace, cause),
            false => TaskError::cancelled(self.id(), namespace, cause),
        };
        self.complete_with(Err(error));
    }

    /// Ends the task once. The hooks are for an end by other code.
    fn end(&mut self, outcome: Result<(), TaskError>) {
        if !std::mem::replace(&mut self.ended, true) {
            let hooks = self.meeting.close();
            self.pledge.end(outcome, &|| drop(self.meeting.take_node()));
            drop(hooks);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.ended {
            let error = TaskError::abandoned(self.id(), self.namespace(), self.pledge.has_begun());
            self.end(Err(error));
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("id", &self.id()).finish_non_exhaustive()
    }
}
