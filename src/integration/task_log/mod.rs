//! [`TaskLog`]: the last log lines of each task, by [`TaskId`].
//!
//! A line is made, with the user's values formatted, before the lock of the store is taken, and what is thrown out of
//! the store is dropped after it is let go.

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
use crate::pool::context::frame;
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow;

pub use self::line::LogLine;
use self::settings::Settings;
use self::store::Store;

const DEFAULT_LINES: usize = 1000;
const DEFAULT_TASKS: usize = 1024;

/// A `tracing_subscriber` layer that keeps the last lines of each task: what a server shows beside "action 7: running".
///
/// A line is the innermost running task's. On a thread that runs none it is the nearest task's at or above the place
/// where the code stands, so what a task's child threads and futures say is the task's too. What is said outside of any
/// task is not kept.
///
/// It keeps the last 1000 lines of a task, and of 1024 tasks; beyond that the task goes which was written to least
/// recently. A task for which somebody holds a [`Record`] stays, and goes with the record.
///
/// It is a handle: give one clone to the subscriber and keep one to look. It takes every level; put it behind
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
///     heirloom::thread::spawn(|| tracing::warn!("near the end stop")).join().unwrap();
/// })?;
///
/// let record = log.record(action.id()); // while it is held, the lines are
/// action.join()?;
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
    /// One that has kept nothing yet. Set it up before it is cloned: a setting is that of one handle.
    #[must_use]
    pub fn new() -> Self {
        let settings = Settings { lines: DEFAULT_LINES, tasks: DEFAULT_TASKS, ancestors: false };
        Self { settings, store: Arc::default() }
    }

    /// Keeps this many lines of a task, the last ones.
    #[must_use]
    pub fn lines_per_task(mut self, lines: usize) -> Self {
        self.settings.lines = lines;
        self
    }

    /// Keeps the lines of this many tasks, those written to last. Tasks with a [`Record`] do not count.
    #[must_use]
    pub fn max_tasks(mut self, tasks: usize) -> Self {
        self.settings.tasks = tasks;
        self
    }

    /// Whether a line is also kept for the tasks above its own: those that asked for it, as far as they are nodes of
    /// the tree (a task becomes one when its id as a [`Lineage`](crate::Lineage) is asked for, or something is
    /// attached to it). False by default.
    #[must_use]
    pub fn with_ancestors(mut self, ancestors: bool) -> Self {
        self.settings.ancestors = ancestors;
        self
    }

    /// What is kept of a task, the oldest line first. Empty when nothing is.
    #[must_use]
    pub fn lines(&self, task: TaskId) -> Vec<LogLine> {
        // Copied outside the lock.
        let lines = self.store.lock().lines(task);
        lines.iter().map(|line| LogLine::clone(line)).collect()
    }

    /// Keeps a task's lines for as long as the record is held, and what it says from now on.
    #[must_use = "the lines go when the record is dropped"]
    pub fn record(&self, task: TaskId) -> Record {
        self.store.lock().hold(task);
        Record { log: self.clone(), task }
    }

    /// Forgets what a task has said. What it says later is kept again.
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
            let unkept = self.store.lock().push(task, &line, self.settings);
            drop(unkept);
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

/// Whose line one is that is said here: a task's, then those above it if they are wanted.
fn tasks_here(ancestors: bool) -> SmallVec<[TaskId; 4]> {
    let wanted = if ancestors { usize::MAX } else { 1 };
    let above = |node: &Node, own: Option<TaskId>| {
        // A task that has become a node is not below itself: its frame's place is the one it was submitted at.
        own.into_iter().chain(node.path().filter_map(Node::task_id)).take(wanted).collect()
    };
    // What runs on a work-stealing pool's task may be a piece of another's: where it stands is all that is known of it.
    match frame::own().filter(|frame| !frame.is_teardown() && !frame.steals()) {
        Some(frame) => above(frame.counted.place.node(), frame::task_id()),
        None => above(current::nearest_node(&current::pin()), None),
    }
}

/// One task's lines, kept while it is held. Dropping the last record of a task forgets them.
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
    /// The task.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task
    }

    /// What is kept of it, the oldest line first.
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
        let lines = self.log.store.lock().let_go(self.task);
        drop(lines);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("task", &self.task).finish_non_exhaustive()
    }
}
