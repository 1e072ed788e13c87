//! Who waits for whom: finding a wait that would close a circle.
//!
//! Each thread has a [`Record`]. While it is in one of heirloom's waits the record says what it waits for, and what the
//! waiting code is a part of ([`Stack`]): the tasks on the thread's stack, the pools and scopes that count them, the
//! permits that the wait keeps. Nothing is written while a thread runs, since only threads that wait are part of a
//! circle.
//!
//! A thread that begins a wait writes its record, and then follows what it waits for, from wait to wait. Where that
//! leads back to the thread, the wait closes a circle and is refused, with the circle in words ([`Circle`]).
//!
//! # What is seen
//! * The waits, without a deadline, of threads: for a task, the first of several tasks, a thread; for the tasks of a
//!   pool, of a scope, of a borrowing scope; for a value that another initialises, a gate that another holds, room in a
//!   full queue, a future behind a portal; and in `run_until` and `block_on` for a future that is woken by tasks
//!   alone.
//! * What holds a wait up: code on the stack of a thread that waits. A queued task, and room in a full queue, are held up
//!   by the threads that have all the permits of the pool and keep them while they wait (`holds_permit`, a local pool's
//!   thread, a worker's initialiser); a future behind a portal by the runtime's workers, when all of them wait.
//!
//! # What is not seen
//! * Waits that are not heirloom's: locks, channels, sockets, `std`'s joins and the end of `thread::scope`, rayon's
//!   waits, whatever runs inside of `blocking`. A thread in one of these counts as one that goes on.
//! * Futures. One that awaits a handle blocks no thread, and what holds it up stands on no stack.
//! * Waits with a deadline: they end by themselves. Those for a value or a gate are seen all the same, and told at once
//!   instead of at their deadline.
//! * Tasks that run in place inside more than 256 others on one stack: the innermost 256 are seen.
//! * Tasks of a scope that are queued: a wait for the scope is followed to those that run.
//! * What the thread-locals of a dedicated pool's thread wait for in their destructors.
//! * Anything in a fork of the process that made the pools.
//!
//! # Who is told
//! One wait of the circle, the first of these that there is:
//! 1. the wait for a value or a gate, whose caller may do without: so who is told does not hang on who came first;
//! 2. the wait that blocks a runtime's worker, since it is what holds up the runtime;
//! 3. the wait that closes the circle;
//! 4. where its caller cannot be told (the end of a borrowing scope, a borrowing run, the end of the process), another.
//!
//! A wait that is told before it blocks is refused; one that blocks already ends with the same error. Where no caller can
//! be told, the circle is said at WARN, and the waits go on.
//!
//! # Why no circle is missed
//! Each thread writes its own record first and looks then, so of the threads in a circle the last to write sees all the
//! others' records. Nothing but the begin of a wait closes one: what is handed from one thread to another, a gate or a
//! permit, is handed to a thread that runs.
//!
//! # Why none is found that is not there
//! The records are read one after the other, on the way from the target to the searching thread, and all of them once
//! more when it is reached. A wait that is the same both times was there in between; so all of them were there at once.
//! What else a search looks at (a task is queued, a debt is not paid) never becomes true again: seen the second time it
//! was true in between too. If a wait is not the same, the search begins again.
//!
//! # Why exactly one is told
//! Two threads may close a circle together, and both find it. Whoever finds one takes a lock and looks again, and a
//! refused wait is gone before the lock is; so the second finds none.
//!
//! # Cost
//! Nothing for a wait that does not block. One that does writes its record, and looks up what it waits for: about 0.1 µs
//! where that is a task that runs, and a walk over the records of all threads where it is a count of tasks.

mod circle;
mod obliged;
mod search;

use std::cell::RefCell;
use std::collections::HashMap;
use std::task::Waker;
use std::thread::{Thread, ThreadId};

use smallvec::SmallVec;

use self::search::{Found, find};
use crate::names::id::TaskId;
use crate::names::label::Printed;
use crate::names::namespace::Namespace;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, LazyLock, Mutex, OnceLock, Ordering, Weak, fence};
use crate::sync::unwind::swallow;

pub use self::circle::{Circle, Link, WouldDeadlock};
pub(crate) use self::obliged::{give_up_all, obliged};

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
    TallyIn { tracker: usize, pool: usize },
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
    /// this module.
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
    by: Obligor,
    paid: AtomicBool,
    generation: u64,
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
    thread: ThreadId,
    name: Option<String>,
    waker: OnceLock<Waker>,
    wait: Mutex<Option<Wait>>,
    /// How many have begun, or changed.
    waits: AtomicU64,
    /// The key of the wait that was told last, and what it was told.
    told: AtomicU64,
    why: Mutex<Option<ClosesCircle>>,
}

/// Why a wait would never end.
#[derive(Clone, Debug)]
pub(crate) struct ClosesCircle {
    pub(crate) circle: Circle,
    /// The task that it is for, or one of several, and its pool.
    pub(crate) task: Option<(TaskId, Namespace)>,
}

struct Wait {
    /// No other wait of the thread has it.
    key: u64,
    /// Changes with what it is for.
    number: u64,
    on: Target,
    label: Label,
    stack: Stack,
    ends: Ends,
}

/// All threads' records.
pub(crate) struct Graph {
    records: Mutex<Vec<Weak<Record>>>,
    /// The records of the tasks whose threads wait.
    tasks: [Mutex<HashMap<TaskId, Arc<Record>>>; SHARDS],
    /// Of those that close a circle together, one at a time decides who is told.
    closing: Mutex<()>,
}

const SHARDS: usize = if cfg!(loom) { 1 } else { 16 };

/// A shard that became empty gives its memory back when it had grown beyond this many entries.
const KEEP: usize = 64;

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
    fn tell(&self, key: u64, why: ClosesCircle) {
        *self.why.lock() = Some(why);
        self.told.store(key, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    fn is_refused(&self, wait: &Wait) -> bool {
        self.told.load(Ordering::SeqCst) == wait.key
    }

    fn next_number(&self) -> u64 {
        self.waits.fetch_add(1, Ordering::Relaxed)
    }

    /// The thread, and the innermost task on its stack, in words.
    fn words(&self, stack: &Stack) -> String {
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
    fn words(&self, on: &Target, task: Option<&(TaskId, Namespace)>) -> String {
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

    fn records(&self) -> Vec<Arc<Record>> {
        self.records.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The record of a thread, if anything keeps it.
    fn known(&self, thread: ThreadId) -> Option<Arc<Record>> {
        self.records().into_iter().find(|record| record.thread == thread)
    }

    fn shard(&self, task: TaskId) -> &Mutex<HashMap<TaskId, Arc<Record>>> {
        &self.tasks[task.as_u64() as usize % SHARDS]
    }

    /// The record of the thread on whose stack a task waits.
    fn waits_in(&self, task: TaskId) -> Option<Arc<Record>> {
        self.shard(task).lock().get(&task).map(Arc::clone)
    }

    /// Notes that the calling thread waits, until what comes back is dropped. The error: it would close a circle, and
    /// does not wait. Runs nothing of a user's but what `tracing` runs for a warning, and that only where the wait
    /// [never](Ends::Never) ends by being told.
    pub(crate) fn begin(&self, me: Arc<Record>, wait: Begin) -> Result<Waiting<'_>, ClosesCircle> {
        let Begin { on, label, stack, ends, waker } = wait;
        if me.waker.get().is_none() {
            let _ = me.waker.set(waker());
        }
        let key = me.next_number();
        if fork::is_fork() {
            // A thread that does not exist here may have held a lock of the graph's.
            return Ok(Waiting { graph: self, record: me, key, outer: None, is_noted: false });
        }
        for (task, _) in &stack.tasks {
            self.shard(*task).lock().insert(*task, Arc::clone(&me));
        }
        let outer = me.wait.lock().replace(Wait { key, number: key, on, label, stack, ends });
        let waiting = Waiting { graph: self, record: me, key, outer, is_noted: true };
        // The record first, then the look; see the module.
        fence(Ordering::SeqCst);
        match find(self, &waiting.record) {
            None => Ok(waiting),
            Some(_) => self.close(waiting),
        }
    }

    /// The wait closed a circle a moment ago.
    #[cold]
    fn close<'a>(&self, waiting: Waiting<'a>) -> Result<Waiting<'a>, ClosesCircle> {
        let one = self.closing.lock();
        while let Some(found) = find(self, &waiting.record) {
            match found.to_be_told() {
                Some(0) => {
                    // Gone before others look.
                    drop(waiting);
                    drop(one);
                    return Err(found.why(0));
                }
                Some(other) => found.tell(other),
                None => {
                    drop(one);
                    warn(&found);
                    return Ok(waiting);
                }
            }
        }
        Ok(waiting)
    }
}

/// No wait of the circle can be told.
fn warn(found: &Found) {
    // A subscriber is user code.
    swallow(|| {
        tracing::warn!(
            target: "heirloom",
            circle = %found.why(0).circle,
            "waits hold each other up, and none of them can fail: they end only if one is ended from outside",
        );
    });
}

/// That a thread waits, until dropped. Waits of one thread may be inside one another; the innermost counts.
pub(crate) struct Waiting<'a> {
    graph: &'a Graph,
    record: Arc<Record>,
    key: u64,
    outer: Option<Wait>,
    is_noted: bool,
}

impl Waiting<'_> {
    /// The wait is to end: it would never end otherwise.
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.record.told.load(Ordering::SeqCst) == self.key
    }

    /// Why, if so.
    pub(crate) fn refusal(&self) -> Option<ClosesCircle> {
        if self.is_refused() { self.record.why.lock().clone() } else { None }
    }

    /// For whoever changes who owes what is waited for.
    pub(crate) fn edge(&self) -> Edge {
        Edge { record: Arc::clone(&self.record), key: self.key }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_noted {
            return;
        }
        let outer = self.outer.take();
        let has_outer = outer.is_some();
        let inner = std::mem::replace(&mut *self.record.wait.lock(), outer);
        if let Some(inner) = &inner {
            let outer = self.record.wait.lock();
            let stays =
                |task: TaskId| outer.iter().any(|outer| outer.stack.tasks.iter().any(|(other, _)| *other == task));
            for (task, _) in &inner.stack.tasks {
                if !stays(*task) {
                    self.graph.leave(*task, &self.record);
                }
            }
        }
        drop(inner);
        if has_outer {
            self.graph.goes_on(&self.record);
        }
    }
}

impl Graph {
    fn leave(&self, task: TaskId, record: &Arc<Record>) {
        let mut shard = self.shard(task).lock();
        let left = shard.remove(&task);
        debug_assert!(left.is_none_or(|left| Arc::ptr_eq(&left, record)), "a task is on one stack");
        if shard.is_empty() && shard.capacity() > KEEP {
            *shard = HashMap::new();
        }
    }

    /// A thread is back in a wait after one within it. Others may have begun to wait for the thread meanwhile.
    #[cold]
    fn goes_on(&self, record: &Arc<Record>) {
        fence(Ordering::SeqCst);
        if find(self, record).is_none() {
            return;
        }
        let one = self.closing.lock();
        while let Some(found) = find(self, record) {
            match found.to_be_told() {
                Some(told) => found.tell(told),
                None => {
                    drop(one);
                    return warn(&found);
                }
            }
        }
    }
}

/// A wait, as others see it. What it waits for can go from one thread's hands to another's: whoever changes that says
/// so here, in the same step, or a circle would be found that is not there.
pub(crate) struct Edge {
    record: Arc<Record>,
    key: u64,
}

impl Edge {
    /// The wait is for something else now, which a thread owes that runs.
    pub(crate) fn turn(&self, on: Target) {
        let mut wait = self.record.wait.lock();
        // Not while the thread is in another wait within this one.
        let before = wait.as_mut().filter(|wait| wait.key == self.key).map(|wait| {
            wait.number = self.record.next_number();
            std::mem::replace(&mut wait.on, on)
        });
        drop(wait);
        drop(before);
    }
}
