//! [`TaskSet`]: handles, yielded as they finish.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::{Error, TaskError, TimedOut};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::blocking::{polled, release};
use crate::pool::core::task_meta::Task;
use crate::pool::handle::cancel_all::cancel_all;
use crate::pool::handle::members::Members;
use crate::pool::handle::task::TaskHandle;
use crate::pool::handle::waiting::Poller;
use crate::sync::fork;
use crate::sync::os::{Arc, Mutex};
use crate::wait::graph::{ClosesCircle, Ends, IsQueued, Label, Several, Target};
use crate::wait::park;

/// The id and the result of a task that has ended.
pub type Ended<T> = (TaskId, Result<T, Error>);

/// Collects handles and yields their results as they finish.
///
/// Its drop detaches the unfinished tasks, as the drops of the handles would; [`cancel_on_drop`](Self::cancel_on_drop)
/// makes the drop cancel them instead.
///
/// # Cost
/// One small allocation for each handle, and a short lock for each add and each yield, at any size of the set.
///
/// ```
/// use heirloom::{PoolConfig, Scope, TaskSet};
///
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(2))?;
/// let mut set = TaskSet::new();
/// for n in 0..10 {
///     set.push(pool.submit(move || n * n)?);
/// }
/// let mut sum = 0;
/// while let Some((_, squared)) = set.join_next() {
///     sum += squared?;
/// }
/// assert_eq!(sum, 285);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct TaskSet<T> {
    /// The handles, each with the number of its push.
    handles: Members<(usize, TaskHandle<T>)>,
    tasks: Arc<Tasks>,
    pushed: usize,
    /// A wait with a deadline has polled members, and left queued tasks that another wait may run in place.
    passed_over: bool,
}

/// A task that has ended, with the number of its push.
pub(super) type Numbered<T> = (usize, Ended<T>);

/// The members' tasks, for the search for circles of waits.
struct Tasks(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    /// By the keys of the members.
    all: slab::Slab<(Task, usize)>,
    /// The key at which the last search stopped. Its task ran, and tasks mostly start in the order of their keys, so the
    /// next search stops near it, and passes over neither the ended tasks before it nor the queued ones behind it.
    from: usize,
}

impl Several for Tasks {
    fn show(&self, more: &mut dyn FnMut(TaskId, usize, &dyn IsQueued) -> bool) {
        let Listed { all, from } = &mut *self.0.lock();
        let shown = |key: &usize| all.get(*key).is_some_and(|(task, pool)| !more(task.id(), *pool, task));
        if let Some(stopped) = (*from..all.capacity()).chain(0..*from).find(shown) {
            *from = stopped;
        }
    }
}

impl<T> TaskSet<T> {
    /// Returns an empty set.
    #[must_use]
    pub fn new() -> Self {
        let tasks = Arc::new(Tasks(Mutex::default()));
        Self { handles: Members::new(), tasks, pushed: 0, passed_over: false }
    }

    /// Adds a handle. Never blocks.
    pub fn push(&mut self, handle: TaskHandle<T>) {
        // Both slabs change together, so their keys are the same.
        self.tasks.0.lock().all.insert((handle.task().another(), handle.pool_address()));
        self.handles.insert((self.pushed, handle));
        self.pushed += 1;
    }

    /// The number of all pushes: that of the next one.
    pub(super) fn pushed(&self) -> usize {
        self.pushed
    }

    /// Returns the number of tasks that were not yielded yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Returns whether no task is left to yield.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// [`cancel`](TaskHandle::cancel)s every task in the set. They are still yielded. Queued tasks have their outcome,
    /// and running tasks their request, before the first closure is dropped.
    pub fn cancel_all(&self) {
        cancel_all(|| self.handles.iter().map(|(_, (_, handle))| handle));
    }

    /// Waits for the task that finishes first, and returns its result.
    ///
    /// Returns `None` when the set is empty. Waits as [`TaskHandle::join`] does, and never lends the thread.
    ///
    /// The wait would never end where all tasks of the set wait, directly or through others, for a result or a permit
    /// of the caller. Then this returns the error of one of them, of the kind
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock). That task leaves the set,
    /// and goes on, detached.
    pub fn join_next(&mut self) -> Option<Ended<T>> {
        self.join_numbered().map(|(_, ended)| ended)
    }

    /// As [`join_next`](TaskSet::join_next), waiting at most `d`. Never runs a task in place, as
    /// [`TaskHandle::join_timeout`].
    ///
    /// # Errors
    /// [`TimedOut`] when no task has finished by then; the set is unchanged.
    pub fn join_next_timeout(&mut self, d: Duration) -> Result<Option<Ended<T>>, Error> {
        Ok(self.join_until(park::after(d))?.map(|(_, ended)| ended))
    }

    pub(super) fn join_numbered(&mut self) -> Option<Numbered<T>> {
        self.join_until(None).unwrap_or(None)
    }

    pub(super) fn join_until(&mut self, deadline: Option<Instant>) -> Result<Option<Numbered<T>>, TimedOut> {
        let mut next = None;
        let mut released = if deadline.is_none() { release::release_if_deep() } else { None };
        let mut closed = None;
        let by = if deadline.is_none() { Poller::Waiter } else { Poller::Timed };
        park::block_until(deadline, |waker| match self.poll_one(&mut Context::from_waker(waker), by) {
            Poll::Ready(ready) => {
                next = Some(ready);
                true
            }
            Poll::Pending => {
                // Only once it is clear that this blocks, and after tasks were run in place.
                let begun = match &mut released {
                    Some(released) => released,
                    None => released.insert(PermitsReleased::begin_until(deadline)),
                };
                if deadline.is_none() {
                    closed = match begun.is_waiting() {
                        true => begun.refusal(),
                        false => begun.waits_for(self.target(), Label::FirstOf, Ends::WhenTold).err(),
                    };
                }
                closed.is_some()
            }
        });
        match closed {
            Some(why) if next.is_none() => Ok(Some(self.give_up_one(why))),
            _ => Ok(next.ok_or(TimedOut)?),
        }
    }

    /// Takes the task that closes the circle out of the set.
    fn give_up_one(&mut self, why: ClosesCircle) -> Numbered<T> {
        let (found, pool) = why.task.map_or((None, Namespace::DEFAULT), |(id, pool)| (Some(id), pool));
        let is_it = |handle: &TaskHandle<T>| found.is_none_or(|id| handle.id() == id);
        let at = self.handles.iter().find(|(_, (_, handle))| is_it(handle)).map(|(key, _)| key);
        let given_up = at.and_then(|key| {
            self.forget(key);
            self.handles.remove(key)
        });
        let (number, id) = match &given_up {
            Some((number, handle)) => (*number, handle.id()),
            None => (self.pushed, found.unwrap_or_else(TaskId::next)),
        };
        (number, (id, Err(TaskError::deadlock(id, &pool, why.circle).into())))
    }

    fn forget(&self, key: usize) {
        let task = self.tasks.0.lock().all.try_remove(key);
        drop(task);
    }

    fn target(&self) -> Target {
        Target::FirstOf(Arc::clone(&self.tasks) as _)
    }

    /// As [`join_next`](Self::join_next), without blocking the runtime. The future may be dropped at any time without losing a
    /// result.
    pub async fn join_next_async(&mut self) -> Option<Ended<T>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next result, as a stream is polled; `None` when the set is empty.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended<T>>> {
        self.poll_numbered(cx).map(|ended| ended.map(|(_, ended)| ended))
    }

    pub(super) fn poll_numbered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Numbered<T>>> {
        self.poll_one(cx, Poller::Future)
    }

    fn poll_one(&mut self, cx: &mut Context<'_>, by: Poller) -> Poll<Option<Numbered<T>>> {
        let passed_over = std::mem::replace(&mut self.passed_over, by == Poller::Timed);
        if passed_over && by != Poller::Timed {
            self.handles.wake_all();
        }
        match self.handles.poll_next(cx, |(_, handle), cx| handle.poll_output(cx, by)) {
            Poll::Ready(ended) => Poll::Ready(ended.map(|(key, (number, handle), output)| {
                self.forget(key);
                (number, (handle.id(), output))
            })),
            Poll::Pending => {
                polled::left_with(cx.waker(), || self.target());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for TaskSet<T> {
    fn drop(&mut self) {
        // A fork's child has no thread that would release the lock.
        if fork::is_fork() {
            return;
        }
        // An unfinished task holds a waker of this set, which holds the set's tasks. This drop breaks that circle of
        // references.
        let tasks = std::mem::take(&mut *self.tasks.0.lock());
        drop(tasks);
    }
}

impl<T> Default for TaskSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<TaskHandle<T>> for TaskSet<T> {
    fn extend<I: IntoIterator<Item = TaskHandle<T>>>(&mut self, handles: I) {
        for handle in handles {
            self.push(handle);
        }
    }
}

impl<T> FromIterator<TaskHandle<T>> for TaskSet<T> {
    fn from_iter<I: IntoIterator<Item = TaskHandle<T>>>(handles: I) -> Self {
        let mut set = Self::new();
        set.extend(handles);
        set
    }
}

impl<T> fmt::Debug for TaskSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet").field("len", &self.len()).finish()
    }
}
