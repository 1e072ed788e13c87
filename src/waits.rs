//! Who waits for whom: finding a wait that would close a cycle.
//!
//! Each thread has a [`Record`]. While it is in one of heirloom's waits the record says what it waits for, and which
//! tasks the waiting code is a part of: all that are on the thread's stack. Nothing is written while a thread runs,
//! since only threads that wait are part of a cycle.
//!
//! Two kinds of wait differ. An **asker** (of a value that another initialises, of a gate that another holds) can be
//! told that its wait would never end. A **joiner** (of a task, a thread, a count of tasks) cannot: its answer is the
//! other's. So an asker looks for a cycle when it begins to wait; a joiner that closes one *breaks the asker* in it,
//! whose wait ends then, and so in the end the joiner's.
//!
//! A joiner's wait with a deadline is no part of a cycle: it ends by itself. An asker's is, because telling it at once
//! is better than its deadline.
//!
//! # Why no cycle is missed
//! Each thread writes its own record first and looks then, so of the threads in a cycle the last to write sees all the
//! others' records. A joiner looks only while there are askers; it writes its record and then looks at their number,
//! and an asker raises the number and then looks at the records: one of the two sees the other.
//!
//! # Why none is found that is not there
//! The records are read one after the other, on the way from the target to the searching thread, and all of them again
//! when it is found. A wait that is the same both times was there in between; so all of them were there at once, when
//! the last was first read. If one is not, the search begins again.
//!
//! # A wait for the first of several
//! It is a part of a cycle when each of them is: as long as one may end, so may the wait. Several of them may wait for
//! one another or for the waiter without the searching thread; so a thread that is met again, while it is looked at,
//! counts as one that does not go on, if at least one of the others leads to the searching thread.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::task::Waker;
use std::thread::ThreadId;

use smallvec::SmallVec;

use crate::fork;
use crate::id::TaskId;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, AtomicUsize, LazyLock, Mutex, Ordering, Weak, fence};

/// What a wait is for.
#[derive(Clone)]
pub(crate) enum Target {
    /// The end of a task.
    Task(TaskId),
    /// The end of one of these tasks, whichever comes first.
    FirstOf(Arc<[TaskId]>),
    /// The end of a thread.
    Thread(ThreadId),
    /// The end of all tasks that a tally counts, by its address.
    Tally(usize),
    /// Something that code on a thread's stack owes, until it says that it is paid: an initialiser's value, a held
    /// gate.
    Debt(Arc<Debt>),
}

impl Target {
    /// It has come already, although who waited may not have noticed yet.
    fn has_come(&self) -> bool {
        matches!(self, Self::Debt(debt) if debt.paid.load(Ordering::SeqCst))
    }
}

/// What code on a thread's stack owes.
///
/// Who owes it says when it is paid, before it goes on. Otherwise a waiter that has not woken yet would seem to wait
/// for one that has gone on, and may wait for the waiter's thread by right.
pub(crate) struct Debt {
    by: Arc<Record>,
    paid: AtomicBool,
    generation: u64,
}

impl Debt {
    pub(crate) fn new(by: Arc<Record>) -> Arc<Self> {
        Arc::new(Self { by, paid: AtomicBool::new(false), generation: fork::generation() })
    }

    /// It was owed by a thread of the process that this one is a fork of, and is paid there.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(crate) fn pay(&self) {
        self.paid.store(true, Ordering::SeqCst);
    }

    /// It is owed by the calling thread.
    pub(crate) fn is_mine(&self) -> bool {
        self.by.thread == std::thread::current().id()
    }
}

/// What a thread's stack is a part of, while it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Task(TaskId),
    Tally(usize),
}

pub(crate) type Parts = SmallVec<[Part; 6]>;

/// What one thread waits for.
pub(crate) struct Record {
    thread: ThreadId,
    wait: Mutex<Option<Wait>>,
    /// How many have begun.
    waits: AtomicU64,
}

struct Wait {
    /// No other wait of the thread has it.
    number: u64,
    on: Target,
    parts: Parts,
    asker: Option<Arc<Asker>>,
}

/// One wait that can be told that it would never end.
struct Asker {
    broken: AtomicBool,
    waker: Waker,
}

/// What the calling thread owes at the moment, innermost first. The list lives in the stack frames themselves, so that
/// it can be read at process exit, when the thread's other locals are gone.
struct Owing<'a> {
    outer: *const Owing<'static>,
    give_up: &'a dyn Fn(),
}

thread_local! {
    static OWING: Cell<*const Owing<'static>> = const { Cell::new(ptr::null()) };
}

/// Runs `f`, which makes what others wait for. If the thread never comes back from it, because it ends the process,
/// `give_up` tells them; it runs no user code.
pub(crate) fn owing<R>(give_up: &dyn Fn(), f: impl FnOnce() -> R) -> R {
    struct Restore(*const Owing<'static>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OWING.set(self.0);
        }
    }
    let owing = Owing { outer: OWING.get(), give_up };
    let restore = Restore(owing.outer);
    OWING.set(ptr::from_ref(&owing).cast());
    let out = f();
    drop(restore);
    out
}

/// Gives up all that the calling thread owes: it will not go on.
pub(crate) fn give_up_all() {
    // SAFETY: each is further up this thread's stack, in a call that has not returned.
    while let Some(owing) = unsafe { OWING.get().as_ref() } {
        OWING.set(owing.outer);
        (owing.give_up)();
    }
}

/// Waiting would close a cycle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cycle;

/// All threads' records.
pub(crate) struct Graph {
    records: Mutex<Vec<Weak<Record>>>,
    askers: AtomicUsize,
    /// One asker at a time begins: of two that close a cycle together the later alone is refused.
    asking: Mutex<()>,
}

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
    let new = || graph().record(std::thread::current().id());
    let mine = MINE.try_with(|mine| Arc::clone(mine.borrow_mut().get_or_insert_with(new)));
    // The thread's locals are gone, and with them its hold on its record. What it owes has one still.
    mine.unwrap_or_else(|_| graph().known(std::thread::current().id()).unwrap_or_else(new))
}

impl Record {
    fn is_still_in(&self, number: u64) -> bool {
        self.wait.lock().as_ref().is_some_and(|wait| wait.number == number)
    }

    /// Whether code on this thread's stack must go on for the target to come.
    fn serves(&self, wait: Option<&Wait>, target: &Target) -> bool {
        let has = |part: Part| wait.is_some_and(|wait| wait.parts.contains(&part));
        match target {
            Target::Thread(id) => self.thread == *id,
            Target::Debt(debt) => std::ptr::eq(self, &*debt.by),
            Target::Task(id) => has(Part::Task(*id)),
            // Each of them has its own.
            Target::FirstOf(_) => false,
            Target::Tally(address) => has(Part::Tally(*address)),
        }
    }
}

impl Graph {
    pub(crate) fn new() -> Self {
        Self { records: Mutex::new(Vec::new()), askers: AtomicUsize::new(0), asking: Mutex::new(()) }
    }

    /// A new thread's record.
    pub(crate) fn record(&self, thread: ThreadId) -> Arc<Record> {
        // Whoever waits for what the thread owes is to know in which process that is.
        fork::arm();
        let record = Arc::new(Record { thread, wait: Mutex::new(None), waits: AtomicU64::new(0) });
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

    /// The record of a thread, if anything keeps it.
    fn known(&self, thread: ThreadId) -> Option<Arc<Record>> {
        let records: Vec<Arc<Record>> = self.records.lock().iter().filter_map(Weak::upgrade).collect();
        records.into_iter().find(|record| record.thread == thread)
    }

    /// Notes that a thread joins the target, without a deadline, and breaks the askers of the cycles that this closes.
    /// Each of them ends its wait with an error, if it still waits.
    pub(crate) fn join(&self, me: Arc<Record>, on: Target, parts: Parts) -> Waiting<'_> {
        let waiting = self.begin(me, on, parts, None);
        // The record first, then the number; see the module.
        fence(Ordering::SeqCst);
        if self.askers.load(Ordering::SeqCst) > 0 {
            for asker in waiting.cycle().unwrap_or_default() {
                asker.broken.store(true, Ordering::SeqCst);
                asker.waker.wake_by_ref();
            }
        }
        waiting
    }

    /// Notes that a thread waits for what another's code owes; `waker` wakes it.
    pub(crate) fn ask(&self, me: Arc<Record>, on: Target, parts: Parts, waker: Waker) -> Result<Waiting<'_>, Cycle> {
        self.askers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let asker = Arc::new(Asker { broken: AtomicBool::new(false), waker });
        let _one = self.asking.lock();
        let waiting = self.begin(me, on, parts, Some(asker));
        if waiting.cycle().is_some() { Err(Cycle) } else { Ok(waiting) }
    }

    fn begin(&self, record: Arc<Record>, on: Target, parts: Parts, asker: Option<Arc<Asker>>) -> Waiting<'_> {
        let number = record.waits.fetch_add(1, Ordering::Relaxed);
        let outer = record.wait.lock().replace(Wait { number, on, parts, asker: asker.clone() });
        Waiting { graph: self, record, outer, asker }
    }
}

/// That a thread waits, until dropped. Waits of one thread may be inside one another; the innermost counts.
pub(crate) struct Waiting<'a> {
    graph: &'a Graph,
    record: Arc<Record>,
    outer: Option<Wait>,
    asker: Option<Arc<Asker>>,
}

impl Waiting<'_> {
    /// A later join closed a cycle with this wait in it, so it would never end.
    pub(crate) fn is_broken(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| asker.broken.load(Ordering::SeqCst))
    }

    /// For whoever changes who owes what is waited for.
    pub(crate) fn edge(&self) -> Option<Edge> {
        let asker = self.asker.as_ref()?;
        Some(Edge { record: Arc::clone(&self.record), asker: Arc::clone(asker) })
    }

    /// The askers in a cycle through this wait; `None` when there is no cycle.
    #[cold]
    fn cycle(&self) -> Option<Vec<Arc<Asker>>> {
        let records: Vec<Arc<Record>> = self.graph.records.lock().iter().filter_map(Weak::upgrade).collect();
        let target = self.record.wait.lock().as_ref().map(|wait| wait.on.clone())?;
        loop {
            let mut search = Search { records: &records, me: &self.record, seen: Vec::new(), askers: Vec::new() };
            if search.reach(&target) != Reach::Me {
                return None;
            }
            if search.still_holds() {
                return Some(search.askers);
            }
            // Some went on meanwhile, which need not be those in the cycle.
        }
    }
}

/// An asker's wait, as others see it. What it waits for can go from one thread's hands to another's: whoever changes
/// that says so here, in the same step, or a cycle would be found that is not there.
pub(crate) struct Edge {
    record: Arc<Record>,
    asker: Arc<Asker>,
}

impl Edge {
    /// The wait is for something else now.
    pub(crate) fn turn(&self, on: Target) {
        let mut wait = self.record.wait.lock();
        // Not while the thread is in another wait within this one.
        let own = wait.as_mut().filter(|wait| wait.asker.as_ref().is_some_and(|asker| Arc::ptr_eq(asker, &self.asker)));
        let before = own.map(|wait| std::mem::replace(&mut wait.on, on));
        drop(wait);
        drop(before);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let inner = std::mem::replace(&mut *self.record.wait.lock(), self.outer.take());
        drop(inner);
        if self.asker.is_some() {
            self.graph.askers.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What a walk over the records found of a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It may come: some code on the way runs, or has not started.
    No,
    /// It does not come before one that is on the way to here, and is looked at still.
    IfThatDoes,
    /// It does not come before the thread that searches goes on.
    Me,
}

/// A walk over the records, from a target towards the thread that searches.
struct Search<'a> {
    records: &'a [Arc<Record>],
    me: &'a Arc<Record>,
    /// In the order of the walk, so that what was met within one comes after it.
    seen: Vec<Seen>,
    /// Of the threads on the way.
    askers: Vec<Arc<Asker>>,
}

/// A wait on the way.
struct Seen {
    record: Arc<Record>,
    number: u64,
    on: Target,
    /// While it is looked at, that it does not end if it does not.
    reach: Reach,
}

impl Seen {
    fn is_as_it_was(&self) -> bool {
        self.record.is_still_in(self.number) && !self.on.has_come()
    }
}

impl Search<'_> {
    /// Depth is bounded by the number of threads: each is visited once.
    fn reach(&mut self, target: &Target) -> Reach {
        if target.has_come() {
            return Reach::No;
        }
        if let Target::FirstOf(tasks) = target {
            return self.reach_all(tasks);
        }
        let mut found = Reach::No;
        for record in self.records {
            let next = {
                let wait = record.wait.lock();
                if !record.serves(wait.as_ref(), target) {
                    continue;
                }
                if Arc::ptr_eq(record, self.me) {
                    return Reach::Me;
                }
                wait.as_ref().map(|wait| (wait.number, wait.on.clone(), wait.asker.clone()))
            };
            let Some((number, on, asker)) = next else { continue };
            let reach = match self.seen.iter().find(|seen| Arc::ptr_eq(&seen.record, record)) {
                Some(seen) => seen.reach,
                None => self.visit(record, number, on, asker),
            };
            found = match (found, reach) {
                (Reach::Me, _) | (_, Reach::Me) => Reach::Me,
                (Reach::IfThatDoes, _) | (_, Reach::IfThatDoes) => Reach::IfThatDoes,
                (Reach::No, Reach::No) => Reach::No,
            };
        }
        found
    }

    fn visit(&mut self, record: &Arc<Record>, number: u64, on: Target, asker: Option<Arc<Asker>>) -> Reach {
        let (at, before) = (self.seen.len(), self.askers.len());
        self.seen.push(Seen { record: Arc::clone(record), number, on: on.clone(), reach: Reach::IfThatDoes });
        let reach = self.reach(&on);
        if reach == Reach::No {
            // What leads here through it alone does not.
            let within = self.seen.split_off(at + 1);
            self.seen.extend(within.into_iter().filter(|seen| seen.reach == Reach::No));
            self.askers.truncate(before);
        } else {
            self.askers.extend(asker);
        }
        self.seen[at].reach = reach;
        reach
    }

    /// The first of several does not come if none does. The askers on the way to one of them are enough: when that one
    /// ends, so does the wait.
    fn reach_all(&mut self, tasks: &[TaskId]) -> Reach {
        let begun = self.askers.len();
        let mut found = Reach::IfThatDoes;
        for task in tasks {
            let before = self.askers.len();
            match self.reach(&Target::Task(*task)) {
                Reach::No => return Reach::No,
                Reach::Me => found = Reach::Me,
                Reach::IfThatDoes => {}
            }
            if before > begun {
                self.askers.truncate(before);
            }
        }
        found
    }

    /// All the waits that the answer rests on are what they were when they were read, so they were there at once.
    fn still_holds(&self) -> bool {
        self.seen.iter().all(|seen| seen.reach == Reach::No || seen.is_as_it_was())
    }
}
