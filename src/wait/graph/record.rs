//! [`Record`]: one thread's wait, and the [`Graph`] of all records.

use std::collections::HashMap;
use std::task::Waker;
use std::thread::{Thread, ThreadId};

use smallvec::SmallVec;

use crate::error::circle::Circle;
use crate::names::id::TaskId;
use crate::names::label::Printed;
use crate::names::namespace::Namespace;
use crate::sync::fork;
use crate::sync::local::WORDS;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, LazyLock, Mutex, OnceLock, Ordering, Weak};

/// The target of a wait.
#[derive(Clone)]
pub(crate) enum Target {
    /// The end of a task.
    Task(Task),
    /// The end of the first of several tasks.
    FirstOf(Arc<dyn Several>),
    /// The end of a thread.
    Thread(ThreadId),
    /// The end of all tasks that a tracker counts, by its address.
    TaskTracker(usize),
    /// The end of all tasks that a tracker counts, which are all in one pool.
    TrackerIn { tracker: usize, pool: usize },
    /// A permit of a pool, for its queued tasks.
    Permit(usize),
    /// An obligation of other code, until it is fulfilled: an initialiser's value, a held gate, a future behind a
    /// portal.
    Obligation(Arc<Obligation>),
}

/// An awaited task.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    /// Its pool, by its address.
    pub(crate) pool: usize,
    /// The queued task, if it was queued when the wait began.
    pub(crate) queued: Option<Arc<dyn IsQueued>>,
}

/// A task that was queued.
pub(crate) trait IsQueued: Send + Sync {
    /// The task is still queued. Once it is not, it never is again.
    fn is_queued(&self) -> bool;
}

/// Several tasks that one wait awaits together.
pub(crate) trait Several: Send + Sync {
    /// Passes the tasks to `more`, one after the other, until it returns false. `more` runs no user code and takes no
    /// lock but those of this module, so the caller holds none of those.
    fn show(&self, more: &mut dyn FnMut(TaskId, usize, &dyn IsQueued) -> bool);
}

/// The kind of a wait's target, to be put in words.
#[derive(Clone)]
pub(crate) enum Label {
    Task,
    FirstOf,
    Thread(Thread),
    Pool(Namespace),
    Scope(String),
    /// All futures and jobs spawned below scopes of a family.
    Spawned,
    Borrowing(Namespace),
    Value(&'static str),
    Gate(&'static str),
    Capacity(Namespace),
    Start(Namespace),
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only this bridge has runtimes"))]
    Future,
}

/// How a wait that is part of a circle can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With an error to its caller, which may do without the value or gate.
    Asks,
    /// With an error to its caller.
    WhenTold,
    /// With its target only: its caller takes no error.
    Never,
}

/// A step that others wait for, owed by code on a thread's stack or by a runtime.
///
/// The obligor fulfils it before it goes on. Otherwise a waiter that has not woken yet would seem to wait for an
/// obligor that has gone on, and that may rightly wait for the waiter's thread.
pub(crate) struct Obligation {
    pub(super) by: Obligor,
    pub(super) paid: AtomicBool,
    pub(super) generation: u64,
    /// See [`Words::lent`](crate::sync::local::Words::lent).
    lent: u32,
}

/// The code that has to go on.
pub(crate) enum Obligor {
    Thread(Arc<Record>),
    /// Any of this many workers of a runtime.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only this bridge has runtimes"))]
    Runtime {
        id: u64,
        workers: usize,
    },
    /// A future, which stands on no stack.
    Future,
}

impl Obligation {
    pub(crate) fn new(by: Arc<Record>) -> Arc<Self> {
        Self::by(Obligor::Thread(by))
    }

    pub(crate) fn by(by: Obligor) -> Arc<Self> {
        Arc::new(Self {
            by,
            paid: AtomicBool::new(false),
            generation: fork::generation(),
            lent: WORDS.with(|words| words.lent.get()),
        })
    }

    /// The obligor is a thread of the process that this one is a fork of, where the obligation is fulfilled.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(crate) fn fulfil(&self) {
        self.paid.store(true, Ordering::SeqCst);
    }

    /// The obligor is the calling code. A joiner that lends its thread to the calling task is other code.
    pub(crate) fn is_mine(&self) -> bool {
        let here = matches!(&self.by, Obligor::Thread(record) if record.thread == std::thread::current().id());
        here && self.lent == WORDS.with(|words| words.lent.get())
    }
}

/// The tasks, trackers and permits that cannot go on before the waiting code does.
#[derive(Clone, Default)]
pub(crate) struct Stack {
    /// The tasks on the thread's stack, innermost first.
    pub(crate) tasks: SmallVec<[(TaskId, Namespace); 2]>,
    /// The trackers that count them, by their addresses.
    pub(crate) trackers: SmallVec<[usize; 6]>,
    /// The permits that the wait keeps.
    pub(crate) permits: Vec<Permit>,
    /// The runtime's worker that the thread is.
    pub(crate) worker: Option<Worker>,
}

/// A permit of a pool that a wait keeps.
#[derive(Clone)]
pub(crate) struct Permit {
    /// The pool's address.
    pub(crate) pool: usize,
    pub(crate) name: Namespace,
    /// The number of the pool's permits.
    pub(crate) of: usize,
}

/// A worker of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) runtime: u64,
    pub(crate) index: usize,
}

/// A wait that is to begin.
pub(crate) struct Begin {
    pub(crate) on: Target,
    pub(crate) label: Label,
    pub(crate) stack: Stack,
    pub(crate) ends: Ends,
    /// Makes the waker that wakes the calling thread. Called once.
    pub(crate) waker: fn() -> Waker,
}

/// One thread's wait.
pub(crate) struct Record {
    pub(super) thread: ThreadId,
    pub(super) name: Option<String>,
    pub(super) waker: OnceLock<Waker>,
    pub(super) wait: Mutex<Option<Wait>>,
    /// The number of waits that have begun or changed.
    pub(super) waits: AtomicU64,
    /// The key of the wait that was refused last, and the reason.
    pub(super) told: AtomicU64,
    pub(super) why: Mutex<Option<ClosesCircle>>,
}

/// Why a wait would never end.
#[derive(Clone, Debug)]
pub(crate) struct ClosesCircle {
    pub(crate) circle: Circle,
    /// The awaited task, or one of several, and its pool.
    pub(crate) task: Option<(TaskId, Namespace)>,
}

pub(super) struct Wait {
    /// Unique among the thread's waits.
    pub(super) key: u64,
    /// Changes with the target.
    pub(super) number: u64,
    pub(super) on: Target,
    pub(super) label: Label,
    pub(super) stack: Stack,
    pub(super) ends: Ends,
}

/// All threads' records.
pub(crate) struct Graph {
    pub(super) records: Mutex<Vec<Weak<Record>>>,
    /// The records of the tasks whose threads wait.
    pub(super) tasks: [Mutex<HashMap<TaskId, Arc<Record>>>; SHARDS],
    /// Held while one of the threads that close a circle together decides which wait is told.
    pub(super) closing: Mutex<()>,
}

const SHARDS: usize = if cfg!(loom) { 1 } else { 16 };

/// A shard that became empty gives its memory back when it had grown beyond this many entries.
pub(super) const KEEP: usize = 64;

/// The process's graph.
pub(crate) fn graph() -> &'static Graph {
    static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::new);
    &GRAPH
}

impl Record {
    pub(crate) fn new(thread: &Thread) -> Arc<Self> {
        // So that waiters for the thread's obligations know in which process the thread is.
        fork::arm();
        Arc::new(Self {
            thread: thread.id(),
            name: thread.name().map(String::from),
            waker: OnceLock::new(),
            wait: Mutex::new(None),
            waits: AtomicU64::new(1),
            told: AtomicU64::new(0),
            why: Mutex::new(None),
        })
    }

    /// Refuses a wait, if it is still the same.
    pub(super) fn tell(&self, key: u64, why: ClosesCircle) {
        *self.why.lock() = Some(why);
        self.told.store(key, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn is_refused(&self, wait: &Wait) -> bool {
        self.told.load(Ordering::SeqCst) == wait.key
    }

    pub(super) fn next_number(&self) -> u64 {
        self.waits.fetch_add(1, Ordering::Relaxed)
    }

    /// The thread, and the innermost task on its stack, in words.
    pub(super) fn words(&self, stack: &Stack) -> String {
        let thread = match &self.name {
            Some(name) => format!("thread \"{}\"", Printed(name)),
            None => format!("{:?}", self.thread),
        };
        let thread = match stack.worker {
            Some(Worker { runtime, index }) => {
                format!("{thread}, which is worker {index} of the tokio runtime {runtime}")
            }
            None => thread,
        };
        match stack.tasks.first() {
            Some((id, pool)) => format!("task {id} of \"{pool}\" on {thread}"),
            None => thread,
        }
    }
}

impl Label {
    /// The target in words, with the task's name where it is known.
    pub(super) fn words(&self, on: &Target, task: Option<&(TaskId, Namespace)>) -> String {
        let task = || match task {
            Some((id, pool)) => format!("task {id} of \"{pool}\""),
            None => String::from("a task"),
        };
        match (self, on) {
            (Self::Task, Target::Task(queued)) if queued.is_queued() => format!("{}, which is queued", task()),
            (Self::Task, _) => task(),
            (Self::FirstOf, _) => format!("the first of several tasks, one of them {}", task()),
            (Self::Thread(thread), _) => match thread.name() {
                Some(name) => format!("the end of thread \"{}\"", Printed(name)),
                None => format!("the end of {:?}", thread.id()),
            },
            (Self::Pool(name), _) => format!("the end of the tasks of \"{name}\""),
            (Self::Scope(name), _) => format!("the end of the tasks of scope \"{}\"", Printed(name)),
            (Self::Borrowing(name), _) => format!("the end of the borrowing tasks in \"{name}\""),
            (Self::Value(key), _) => format!("the value of \"{}\"", Printed(key)),
            (Self::Gate(name), _) => format!("the gate \"{}\"", Printed(name)),
            (Self::Capacity(name), _) => format!("room in the queue of \"{name}\""),
            (Self::Start(name), _) => format!("the settings that \"{name}\" is to start with"),
            (Self::Future, _) => String::from("a future behind a portal"),
            (Self::Spawned, _) => String::from("all that was spawned below scopes"),
        }
    }
}

impl IsQueued for Task {
    fn is_queued(&self) -> bool {
        self.queued.as_ref().is_some_and(|queued| queued.is_queued())
    }
}

impl Graph {
    pub(crate) fn new() -> Self {
        Self {
            records: Mutex::new(Vec::new()),
            tasks: std::array::from_fn(|_| Mutex::new(HashMap::new())),
            closing: Mutex::new(()),
        }
    }

    /// A new thread's record.
    pub(crate) fn record(&self, thread: &Thread) -> Arc<Record> {
        let record = Record::new(thread);
        let mut records = self.records.lock();
        if records.len() == records.capacity() {
            records.retain(|record| record.strong_count() > 0);
            // As many again, so that a full list is not scanned for each new thread.
            let more = records.len() + 1;
            records.reserve(more);
        }
        records.push(Arc::downgrade(&record));
        record
    }

    pub(super) fn records(&self) -> Vec<Arc<Record>> {
        self.records.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The record of a thread, if it is kept alive.
    pub(crate) fn known(&self, thread: ThreadId) -> Option<Arc<Record>> {
        self.records().into_iter().find(|record| record.thread == thread)
    }

    pub(super) fn shard(&self, task: TaskId) -> &Mutex<HashMap<TaskId, Arc<Record>>> {
        &self.tasks[task.as_u64() as usize % SHARDS]
    }

    /// The record of the thread on whose stack a task waits.
    pub(super) fn waits_in(&self, task: TaskId) -> Option<Arc<Record>> {
        self.shard(task).lock().get(&task).map(Arc::clone)
    }
}
