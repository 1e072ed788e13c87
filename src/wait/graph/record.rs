//! [`Record`]: what one thread waits for, and the [`Graph`] of all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::task::Waker;
use std::thread::{Thread, ThreadId};

use smallvec::SmallVec;

use crate::error::circle::Circle;
use crate::names::id::TaskId;
use crate::names::label::Printed;
use crate::names::namespace::Namespace;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, LazyLock, Mutex, OnceLock, Ordering, Weak};

/// What a wait is for.
#[derive(Clone)]
pub(crate) enum Target {
    /// The end of a task.
    Task(Task),
    /// The end of one of several tasks, whichever comes first.
    FirstOf(Arc<dyn Several>),
    /// The end of a thread.
    Thread(ThreadId),
    /// The end of all tasks that a tracker counts, by its address.
    TaskTracker(usize),
    /// The end of all tasks that a tracker counts, which are all in one pool.
    TrackerIn { tracker: usize, pool: usize },
    /// A permit of a pool, for what is queued there.
    Permit(usize),
    /// Something that others' code owes, until it says that it is paid: an initialiser's value, a held gate, a future
    /// behind a portal.
    Obligation(Arc<Obligation>),
}

/// A task that is waited for.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    /// Its pool, by its address.
    pub(crate) pool: usize,
    /// Where it was queued when the wait began.
    pub(crate) queued: Option<Arc<dyn IsQueued>>,
}

/// Something that was queued.
pub(crate) trait IsQueued: Send + Sync {
    /// It still is. Once it is not, it never is again.
    fn is_queued(&self) -> bool;
}

/// Several tasks that are waited for together.
pub(crate) trait Several: Send + Sync {
    /// Shows them, one after the other, until `more` says no. `more` runs no user code and takes no lock but those of
    /// this module; so the caller holds none of those.
    fn show(&self, more: &mut dyn FnMut(TaskId, usize, &dyn IsQueued) -> bool);
}

/// What a wait is for, in words.
#[derive(Clone)]
pub(crate) enum Label {
    Task,
    FirstOf,
    Thread(Thread),
    Pool(Namespace),
    Scope(String),
    /// All that was spawned below scopes of a family.
    Spawned,
    Borrowing(Namespace),
    Value(&'static str),
    Gate(&'static str),
    Capacity(Namespace),
    Start(Namespace),
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "only this bridge has runtimes"))]
    Future,
}

/// What can be done with a wait that is part of a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Its caller can be told, and may do without what it asks for.
    Asks,
    /// Its caller can be told.
    WhenTold,
    /// Its caller can be told nothing: the wait ends with what it is for.
    Never,
}

/// What code on a thread's stack, or a runtime's, owes.
///
/// Who owes it says when it is paid, before it goes on. Otherwise a waiter that has not woken yet would seem to wait
/// for one that has gone on, and may wait for the waiter's thread by right.
pub(crate) struct Obligation {
    pub(super) by: Obligor,
    pub(super) paid: AtomicBool,
    pub(super) generation: u64,
}

/// Whose code has to go on.
pub(crate) enum Obligor {
    Thread(Arc<Record>),
    /// Any of so many workers of a runtime.
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
        Arc::new(Self { by, paid: AtomicBool::new(false), generation: fork::generation() })
    }

    /// It was owed by a thread of the process that this one is a fork of, and is paid there.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(crate) fn fulfil(&self) {
        self.paid.store(true, Ordering::SeqCst);
    }

    /// It is owed by the calling thread.
    pub(crate) fn is_mine(&self) -> bool {
        matches!(&self.by, Obligor::Thread(record) if record.thread == std::thread::current().id())
    }
}

/// What the code that waits is a part of: what cannot go on before it does.
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
    /// How many there are.
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
    /// Makes the waker that wakes the calling thread; asked for once.
    pub(crate) waker: fn() -> Waker,
}

/// What one thread waits for.
pub(crate) struct Record {
    pub(super) thread: ThreadId,
    pub(super) name: Option<String>,
    pub(super) waker: OnceLock<Waker>,
    pub(super) wait: Mutex<Option<Wait>>,
    /// How many have begun, or changed.
    pub(super) waits: AtomicU64,
    /// The key of the wait that was told last, and what it was told.
    pub(super) told: AtomicU64,
    pub(super) why: Mutex<Option<ClosesCircle>>,
}

/// Why a wait would never end.
#[derive(Clone, Debug)]
pub(crate) struct ClosesCircle {
    pub(crate) circle: Circle,
    /// The task that it is for, or one of several, and its pool.
    pub(crate) task: Option<(TaskId, Namespace)>,
}

pub(super) struct Wait {
    /// No other wait of the thread has it.
    pub(super) key: u64,
    /// Changes with what it is for.
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
    /// Of those that close a circle together, one at a time decides who is told.
    pub(super) closing: Mutex<()>,
}

const SHARDS: usize = if cfg!(loom) { 1 } else { 16 };

/// A shard that became empty gives its memory back when it had grown beyond this many entries.
pub(super) const KEEP: usize = 64;

/// The process's.
pub(crate) fn graph() -> &'static Graph {
    static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::new);
    &GRAPH
}

thread_local! {
    static MINE: RefCell<Option<Arc<Record>>> = const { RefCell::new(None) };
}

/// The calling thread's record.
pub(crate) fn me() -> Arc<Record> {
    let new = || graph().record(&std::thread::current());
    let mine = MINE.try_with(|mine| Arc::clone(mine.borrow_mut().get_or_insert_with(new)));
    // The thread's locals are gone, and with them its hold on its record. What it owes has one still.
    mine.unwrap_or_else(|_| graph().known(std::thread::current().id()).unwrap_or_else(new))
}

impl Record {
    /// Ends a wait, if it is still the same: its caller is told.
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
    /// What the wait is for, in words; for the task, where it is for one that is known.
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
        // Whoever waits for what the thread owes is to know in which process that is.
        fork::arm();
        let record = Arc::new(Record {
            thread: thread.id(),
            name: thread.name().map(String::from),
            waker: OnceLock::new(),
            wait: Mutex::new(None),
            waits: AtomicU64::new(1),
            told: AtomicU64::new(0),
            why: Mutex::new(None),
        });
        let mut records = self.records.lock();
        if records.len() == records.capacity() {
            records.retain(|record| record.strong_count() > 0);
            // Room for as many again, so that a full list is not gone through for each new thread.
            let more = records.len() + 1;
            records.reserve(more);
        }
        records.push(Arc::downgrade(&record));
        record
    }

    pub(super) fn records(&self) -> Vec<Arc<Record>> {
        self.records.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The record of a thread, if anything keeps it.
    pub(super) fn known(&self, thread: ThreadId) -> Option<Arc<Record>> {
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
