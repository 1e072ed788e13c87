//! [`TaskScope`]: tasks that borrow.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::error::{Error, Refused};
use crate::names::id::TaskId;
use crate::names::task_type::{Task as KindTask, TaskKind, TaskType};
use crate::pool::blocking::release::{self, OfTracker, may_run_in_place};
use crate::pool::blocking::wait_for::block_on_tracker;
use crate::pool::core::pool::{Pool, leave_tracker};
use crate::pool::core::task_meta::Task;
use crate::pool::handle::task::TaskHandle;
use crate::pool::report::{CancelOutcome, TaskStatus};
use crate::pool::run::{batch, depth, dispatch, task};
use crate::sync::fork;
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::abort_on_panic;
use crate::task::body::{Body, Job};
use crate::wait::graph::{Ends, Label, Target};
use crate::wait::tracker::TaskTracker;

/// Submits tasks that borrow from the caller of [`PoolManager::scope`](crate::PoolManager::scope).
///
/// `PoolManager::scope` returns only after all tasks have ended, also when its closure panics. The scope of a
/// [`TypedManager`](crate::TypedManager) has its kind `K`, and accepts that kind's tasks alone.
pub struct TaskScope<'scope, 'env: 'scope, K = ()> {
    pub(super) pool: &'scope Arc<Pool>,
    task_type: Option<TaskType>,
    tracker: Arc<TaskTracker>,
    /// Where the scope's own thread is a worker of the pool: the tasks that it can run itself while it waits.
    own: Option<Mutex<VecDeque<Task>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
    kind: PhantomData<fn() -> K>,
}

/// The handle of an accepted borrowing task. Its drop detaches the task; the scope waits for the task all the same.
#[must_use = "dropping the handle detaches the task; its result and its panic are lost"]
pub struct ScopedHandle<'scope, T> {
    inner: TaskHandle<T>,
    scope: PhantomData<&'scope ()>,
}

impl<'scope> TaskScope<'scope, '_> {
    /// Submits a task that may borrow from outside the scope. Never blocks.
    ///
    /// Returns the task's handle. The task has the type of the manager that made the scope; see
    /// [`PoolManager::of_type`](crate::PoolManager::of_type).
    ///
    /// # Errors
    /// As [`PoolManager::submit`](crate::PoolManager::submit).
    pub fn submit<F, T>(&'scope self, f: F) -> Result<ScopedHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.submit_any(f)
    }

    /// Submits all of the tasks, or none. As [`PoolManager::submit_many`](crate::PoolManager::submit_many).
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let mut rows = vec![vec![3, 1, 2], vec![6, 5, 4]];
    /// pool.scope(|s| s.submit_many(rows.iter_mut().map(|row| || row.sort())).map(drop))?; // the scope waits for them
    /// assert_eq!(rows, [[1, 2, 3], [4, 5, 6]]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PoolManager::submit_many`](crate::PoolManager::submit_many).
    pub fn submit_many<I, F, T>(&'scope self, tasks: I) -> Result<Vec<ScopedHandle<'scope, T>>, Error>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.submit_all(tasks.into_iter().collect())
    }
}

impl<'scope, K: TaskKind> TaskScope<'scope, '_, K> {
    /// Submits a task of the scope's kind that may borrow from outside the scope. Never blocks. Returns the task's
    /// handle.
    ///
    /// # Errors
    /// As [`TypedManager::submit`](crate::TypedManager::submit).
    pub fn submit<F, T>(&'scope self, task: KindTask<K, F>) -> Result<ScopedHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.submit_any(task.run)
    }

    /// Submits all of the tasks of the scope's kind, or none. As [`TypedManager::submit_many`](crate::TypedManager::submit_many).
    ///
    /// # Errors
    /// As [`TypedManager::submit_many`](crate::TypedManager::submit_many).
    pub fn submit_many<I, F, T>(&'scope self, tasks: I) -> Result<Vec<ScopedHandle<'scope, T>>, Error>
    where
        I: IntoIterator<Item = KindTask<K, F>>,
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.submit_all(tasks.into_iter().map(|task| task.run).collect())
    }
}

impl<'scope, K> TaskScope<'scope, '_, K> {
    fn submit_any<F, T>(&'scope self, f: F) -> Result<ScopedHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let inner = self.try_submit(f).map_err(|refused| refused.into_parts().1)?;
        Ok(ScopedHandle { inner, scope: PhantomData })
    }

    /// Submits all of the jobs, or none.
    fn submit_all<F, T>(&'scope self, jobs: Vec<F>) -> Result<Vec<ScopedHandle<'scope, T>>, Error>
    where
        F: Job<Output = T> + Send + 'scope,
        T: Send + 'scope,
    {
        let tasks = jobs.len() as u64;
        if tasks == 0 {
            return Ok(Vec::new());
        }
        // The tracker is never closed before the wait is over, so this cannot be refused.
        let _ = self.tracker.enter_many(tasks);
        let handles =
            batch::submit_many(self.pool, self.task_type.clone(), Some(&self.tracker), jobs, |job| self.body(job));
        let handles = handles.inspect_err(|_| leave_tracker(&self.tracker, tasks)).map_err(|refused| refused.reason)?;
        if let Some(own) = &self.own {
            let mut own = own.lock();
            handles.iter().for_each(|task| note_own(&mut own, task.another()));
        }
        let handle = |task| ScopedHandle { inner: TaskHandle::new(task, self.pool), scope: PhantomData };
        Ok(handles.into_iter().map(handle).collect())
    }

    /// Submits; a refusal returns the closure.
    pub(super) fn try_submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: Job<Output = T> + Send + 'scope,
        T: Send + 'scope,
    {
        // The tracker is never closed before the wait is over, so this cannot be refused.
        let _ = self.tracker.enter();
        let (task_type, tracker) = (self.task_type.clone(), Arc::clone(&self.tracker));
        let task = dispatch::submit(self.pool, task_type, Some(tracker), self.body(f));
        let task = task.inspect_err(|_| leave_tracker(&self.tracker, 1))?;
        if let Some(own) = &self.own {
            note_own(&mut own.lock(), task.another());
        }
        Ok(TaskHandle::new(task, self.pool))
    }

    /// The body of a task that has entered the tracker.
    fn body<F, T>(&self, f: F) -> Body<F>
    where
        F: Job<Output = T> + 'scope,
        T: 'scope,
    {
        // SAFETY: closure and result live for `'scope`. `run` does not return before the tracker is empty. A task
        // leaves the tracker after its closure is dropped and, unless a handle still has it, its result. The handle's type
        // holds `T`, so it drops no result later than `T` allows.
        unsafe { Body::borrowing(f) }
    }

    /// Returns when every task has ended.
    fn wait(&self) {
        if fork::is_fork() && self.tracker.count() > 0 {
            fork::abort_wait(&format!("a borrowing scope of \"{}\"", self.pool.namespace));
        }
        let _deep = release::release_if_deep();
        if let Some(own) = &self.own
            && may_run_in_place(Arc::as_ptr(self.pool))
        {
            // Queued tasks run here, in place: they are the very tasks that this waits for.
            loop {
                let next = own.lock().pop_front();
                let Some(task) = next else { break };
                if let Ok(claimed) = task.claim() {
                    task::run_in_place(self.pool, claimed, false);
                }
            }
        }
        self.block();
    }

    /// The second half of the wait. It is not inlined, since its locals would be on the stack of every task that runs
    /// inside another one.
    #[inline(never)]
    fn block(&self) {
        // The borrowed data goes with this stack frame, so this wait cannot be refused. Other waits of a circle are, if
        // any can be.
        let all = || OfTracker {
            on: Target::TrackerIn { tracker: self.tracker.address(), pool: release::address(self.pool) },
            label: Label::Borrowing(self.pool.namespace.clone()),
            ends: Ends::Never,
        };
        while block_on_tracker(&self.tracker, None, all, || self.tracker.count() == 0).is_err() {}
    }
}

/// Adds a task to those that the scope's own thread can run. A full list first drops the tasks that are no longer queued, so
/// its length is in the order of the queued ones.
fn note_own(own: &mut VecDeque<Task>, task: Task) {
    if own.len() == own.capacity() {
        own.retain(|task| task.state().is_queued());
        own.reserve(own.len() + 1);
    }
    own.push_back(task);
}

/// Runs `f` with a scope on the pool, and waits for the submitted tasks, also when `f` panics.
pub(crate) fn run<'env, K, T>(
    pool: &Arc<Pool>,
    task_type: Option<TaskType>,
    f: impl for<'scope> FnOnce(&'scope TaskScope<'scope, 'env, K>) -> T,
) -> T {
    let scope = TaskScope {
        pool,
        task_type,
        tracker: Arc::new(TaskTracker::new()),
        own: may_run_in_place(Arc::as_ptr(pool)).then(|| Mutex::new(VecDeque::new())),
        scope: PhantomData,
        env: PhantomData,
        kind: PhantomData,
    };
    // Scopes may be nested as tasks are, and without any task.
    let out = depth::with_stack(|| catch_unwind(AssertUnwindSafe(|| f(&scope))));
    abort_on_panic(|| scope.wait());
    out.unwrap_or_else(|payload| resume_unwind(payload))
}

impl<T> ScopedHandle<'_, T> {
    /// Waits until the task has ended, and returns its value. As [`TaskHandle::join`].
    ///
    /// # Errors
    /// As [`TaskHandle::join`].
    pub fn join(self) -> Result<T, Error> {
        self.inner.join()
    }

    /// Waits at most `d` for the task's result. As [`TaskHandle::join_timeout`].
    ///
    /// # Errors
    /// The handle itself, to wait again.
    pub fn join_timeout(self, d: Duration) -> Result<Result<T, Error>, Self> {
        self.inner.join_timeout(d).map_err(|inner| Self { inner, scope: PhantomData })
    }

    /// Cancels the task. As [`TaskHandle::cancel`].
    pub fn cancel(&self) -> CancelOutcome {
        self.inner.cancel()
    }

    /// Returns the task's id. As [`TaskHandle::id`].
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.inner.id()
    }

    /// Returns whether the task has ended. As [`TaskHandle::is_finished`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// Returns the task's step in its life. As [`TaskHandle::status`].
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        self.inner.status()
    }
}

impl<K> fmt::Debug for TaskScope<'_, '_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScope").field("tasks", &self.tracker.count()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
