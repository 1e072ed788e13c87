//! [`TaskLog`]: the last log lines of each task, by [`TaskId`].
//!
//! The user's values are formatted before the store's lock is taken, and removed lines are dropped after it is released.

mod line;
mod settings;
mod store;

use std::fmt;

use smallvec::SmallVec;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::lineage::current;
use crate::lineage::node::Node;
use crate::names::id::TaskId;
use crate::pool::context::thread::{task_id, with_own};
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow;

pub use self::line::LogLine;
use self::settings::Settings;
use self::store::Store;

const DEFAULT_LINES: usize = 1000;
const DEFAULT_TASKS: usize = 1024;

/// A `tracing_subscriber` layer that keeps the last log lines of each task, for a server to show beside the task.
///
/// A line belongs to the innermost running task. On a thread that runs no task it belongs to the nearest task at or above
/// the current node, so the lines of a task's child threads and futures are the task's too. Lines outside of any task are
/// not kept.
///
/// It keeps the last 1000 lines of a task, and of 1024 tasks. Beyond that it removes the task that was written to least
/// recently. A task with a [`Record`] stays, and its lines are removed with its last record.
///
/// It is a handle: give one clone to the subscriber and keep one to read. It takes every level; put it behind
/// `tracing_subscriber`'s `with_filter` for fewer.
///
/// A line costs its formatting, one short lock and some memory. A value whose `Debug` panics is left out of its line,
/// and no lock is held while values are formatted.
///
/// ```
/// use heirloom::task_log::TaskLog;
/// use heirloom::{PoolConfig, Scope};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let log = TaskLog::new();
/// tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone()))?;
///
/// let scope = Scope::new("doc");
/// let actions = scope.create("actions");
/// actions.start(PoolConfig::leased(1))?;
/// let action = actions.submit(|| {
///     tracing::info!(axis = "x", "moving");
///     heirloom::thread::spawn(|| tracing::warn!("near the end stop"))?.join()
/// })?;
///
/// let record = log.record(action.id()); // keeps the lines
/// action.join()??;
/// let said: Vec<String> = record.lines().iter().map(|line| line.message.clone()).collect();
/// assert_eq!(said, ["moving", "near the end stop"]);
/// assert_eq!(record.lines()[0].fields, [("axis", "x".to_string())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TaskLog {
    settings: Settings,
    store: Arc<Mutex<Store>>,
}

impl TaskLog {
    /// Returns an empty log. Set it up before it is cloned: a setting belongs to one handle.
    #[must_use]
    pub fn new() -> Self {
        let settings = Settings { lines: DEFAULT_LINES, tasks: DEFAULT_TASKS, ancestors: false };
        Self { settings, store: Arc::default() }
    }

    /// Keeps the last so many lines of a task. 1000 by default.
    #[must_use]
    pub fn lines_per_task(mut self, lines: usize) -> Self {
        self.settings.lines = lines;
        self
    }

    /// Keeps the lines of the so many tasks written to last. Tasks with a [`Record`] do not count. 1024 by default.
    #[must_use]
    pub fn max_tasks(mut self, tasks: usize) -> Self {
        self.settings.tasks = tasks;
        self
    }

    /// Sets whether a line is also kept for the tasks above its own. False by default.
    ///
    /// The tasks above are the submitter, its submitter and so on, as far as they are nodes of the tree. A task becomes a
    /// node when code asks for its [`Lineage`](crate::Lineage), or binds a value or creates a manager there.
    #[must_use]
    pub fn with_ancestors(mut self, ancestors: bool) -> Self {
        self.settings.ancestors = ancestors;
        self
    }

    /// Returns the kept lines of a task, the oldest first.
    #[must_use]
    pub fn lines(&self, task: TaskId) -> Vec<LogLine> {
        // The lines are copied outside the lock.
        let lines = self.store.lock().lines(task);
        lines.iter().map(|line| LogLine::clone(line)).collect()
    }

    /// Keeps a task's lines, present and future, for as long as the record is held.
    #[must_use = "the lines go when the record is dropped"]
    pub fn record(&self, task: TaskId) -> Record {
        self.store.lock().hold(task);
        Record { log: self.clone(), task }
    }

    /// Removes the lines of a task. Its later lines are kept again.
    pub fn remove(&self, task: TaskId) {
        let lines = self.store.lock().clear(task);
        drop(lines);
    }

    fn keep(&self, event: &Event<'_>) {
        let tasks = tasks_here(self.settings.ancestors);
        if tasks.is_empty() || self.settings.lines == 0 {
            return;
        }
        let line = Arc::new(LogLine::of(event));
        for task in tasks {
            let removed = self.store.lock().push(task, &line, self.settings);
            drop(removed);
        }
    }
}

impl Default for TaskLog {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Subscriber> Layer<S> for TaskLog {
    fn on_event(&self, event: &Event<'_>, _cx: Context<'_, S>) {
        swallow(|| self.keep(event));
    }
}

impl fmt::Debug for TaskLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Returns the task that a line of the calling code belongs to, and those above it if they are wanted.
fn tasks_here(ancestors: bool) -> SmallVec<[TaskId; 4]> {
    let wanted = if ancestors { usize::MAX } else { 1 };
    let above = |node: &Node, own: Option<TaskId>| {
        // A task that has become a node is not below itself: its frame names the submitter's node.
        own.into_iter().chain(node.path().filter_map(Node::task_id)).take(wanted).collect()
    };
    // A work-stealing pool's task may run a piece of another's: only the current node is known of that.
    with_own(|frame| match frame.filter(|frame| !frame.is_teardown() && !frame.steals()) {
        Some(frame) => above(frame.counted.place.node(), task_id()),
        None => above(current::nearest_node(&current::pin()), None),
    })
}

/// Keeps one task's lines. Dropping the last record of a task removes them.
///
/// ```
/// # use heirloom::task_log::TaskLog;
/// # use heirloom::{PoolConfig, Scope};
/// # use tracing_subscriber::layer::SubscriberExt;
/// # let scope = Scope::new("doc");
/// # let pool = scope.create("work");
/// # pool.start(PoolConfig::leased(1))?;
/// let log = TaskLog::new();
/// # tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone()))?;
/// let task = pool.submit(|| tracing::info!("done"))?;
/// let id = task.id();
/// let record = log.record(id);
/// task.join()?;
/// assert_eq!(record.lines().len(), 1);
/// drop(record);
/// assert!(log.lines(id).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the lines go when the record is dropped"]
pub struct Record {
    log: TaskLog,
    task: TaskId,
}

impl Record {
    /// Returns the task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task
    }

    /// Returns the task's lines, the oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        self.log.lines(self.task)
    }
}

impl Clone for Record {
    fn clone(&self) -> Self {
        self.log.record(self.task)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let lines = self.log.store.lock().release(self.task);
        drop(lines);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("task", &self.task).finish_non_exhaustive()
    }
}
