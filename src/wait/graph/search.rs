//! [`find`]: a walk over the records, from what a thread waits for back to that thread.
//!
//! A wait is held up by one thread's wait, or by several in so many of them together ([`Holds`]). The walk follows one after the
//! other on a stack of its own, so that a small stack of the thread is no bound to it.
//!
//! # A wait for the first of several
//! It is a part of a circle when each of them is: as long as one may end, so may the wait. Several of them may wait for
//! one another, or for the waiter, without the searching thread; so a thread that is met again while it is looked at
//! counts as one that does not go on, if at least one of the others leads to the searching thread.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::record::{ClosesCircle, Ends, Graph, IsQueued, Obligation, Obligor, Record, Several, Target, Wait, Worker};
use crate::error::circle::{Circle, Link};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, Ordering};

/// A circle through the wait of a thread, and who waits in it, from that thread on.
pub(super) struct Found {
    circle: Circle,
    waits: Vec<One>,
}

/// One wait of a circle.
struct One {
    record: Arc<Record>,
    key: u64,
    number: u64,
    ends: Ends,
    /// It blocks a runtime's worker.
    on_worker: bool,
    /// The task that it is for, where it is for one.
    task: Option<(TaskId, Namespace)>,
}

impl Found {
    /// The wait that is to be told; 0 is the searching thread's.
    pub(super) fn to_be_told(&self) -> Option<usize> {
        let asks = |one: &One| one.ends == Ends::Asks;
        let holds_up_a_runtime = |one: &One| one.ends == Ends::WhenTold && one.on_worker;
        let can_be = |one: &One| one.ends == Ends::WhenTold;
        let first = |which: &dyn Fn(&One) -> bool| self.waits.iter().position(which);
        first(&asks).or_else(|| first(&holds_up_a_runtime)).or_else(|| first(&can_be))
    }

    /// What the wait is told.
    pub(super) fn why(&self, at: usize) -> ClosesCircle {
        ClosesCircle { circle: self.circle.from(at), task: self.waits[at].task.clone() }
    }

    pub(super) fn tell(&self, at: usize) {
        let One { record, key, .. } = &self.waits[at];
        record.tell(*key, self.why(at));
    }
}

/// The circle that the wait of the thread is a part of. The waits of it were all there at one moment of the call.
pub(super) fn find(graph: &Graph, me: &Arc<Record>) -> Option<Found> {
    loop {
        let mut first = Search::new(graph, me);
        let leads_home = first.run().is_some();
        if !first.has_changed {
            if !leads_home {
                return None;
            }
            let mut second = Search::new(graph, me);
            let way = second.run();
            if let Some(way) = way.filter(|_| second.rests_on(&first))
                && let Some(found) = second.words(way)
            {
                return Some(found);
            }
        }
        // Some went on meanwhile, which need not be those in the circle.
    }
}

/// What is found of a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It may come: some code on the way runs, or has not started.
    No,
    /// It does not come before one that is on the way to here, and is looked at still.
    IfThatDoes,
    /// It does not come before the thread that searches goes on.
    Me,
}

/// Where the way goes on from a wait.
#[derive(Clone, Copy)]
enum Way {
    /// To the thread that searches.
    Home,
    /// To the wait that was seen as this one.
    To(usize),
}

/// One of several.
enum Step {
    Waits(Held),
    Permit(usize),
}

/// A thread's wait that holds up another.
#[derive(Clone)]
struct Held {
    record: Arc<Record>,
    number: u64,
    on: Target,
}

/// What holds a target up.
enum Holds {
    Nothing,
    One(Held),
    /// So many of these together.
    Several(usize, Vec<Step>),
}

/// A wait on the way.
struct Seen {
    record: Arc<Record>,
    number: u64,
    /// While it is looked at, that it does not end if it does not. `None` for what is to be looked at again.
    reach: Option<Reach>,
    way: Way,
}

/// Several that are looked at, one after the other.
struct Level {
    /// The waits that led here, one from the other.
    chain: Vec<usize>,
    /// How many of them it takes.
    needs: usize,
    left: Vec<Step>,
    /// How many of them do not go on.
    held: usize,
    found: Reach,
    way: Way,
}

struct Search<'a> {
    graph: &'a Graph,
    me: &'a Arc<Record>,
    records: OnceCell<Vec<Arc<Record>>>,
    /// In the order of the walk, so that what was met within one comes after it.
    seen: Vec<Seen>,
    /// Where in that list a record was seen last.
    at: HashMap<*const Record, usize>,
    /// A thread was met in two waits.
    has_changed: bool,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, me: &'a Arc<Record>) -> Self {
        Self { graph, me, records: OnceCell::new(), seen: Vec::new(), at: HashMap::new(), has_changed: false }
    }

    /// The way from what the thread waits for back to it.
    fn run(&mut self) -> Option<Way> {
        let target = self.me.wait.lock().as_ref().map(|wait| wait.on.clone())?;
        let mut levels: Vec<Level> = Vec::new();
        let mut next = self.follow(Holds::of(self, &target), &mut levels);
        loop {
            let Some((reach, way)) = next else {
                // One level more.
                next = self.next_of_level(&mut levels);
                continue;
            };
            let Some(level) = levels.last_mut() else {
                return (reach == Reach::Me).then_some(way);
            };
            level.take(reach, way);
            next = self.next_of_level(&mut levels);
        }
    }

    /// Follows what holds something up for as long as that is one wait each. `None` where several are to be looked at:
    /// they are a level more.
    fn follow(&mut self, mut holds: Holds, levels: &mut Vec<Level>) -> Option<(Reach, Way)> {
        let mut chain = Vec::new();
        loop {
            let held = match holds {
                Holds::Nothing => return Some(self.settle(&chain, Reach::No, Way::Home)),
                Holds::One(held) => held,
                Holds::Several(needs, left) => {
                    levels.push(Level { chain, needs, left, held: 0, found: Reach::No, way: Way::Home });
                    return None;
                }
            };
            if Arc::ptr_eq(&held.record, self.me) {
                return Some(self.settle(&chain, Reach::Me, Way::Home));
            }
            if let Some(at) = self.at.get(&Arc::as_ptr(&held.record))
                && let Some(reach) = self.seen[*at].reach
            {
                let at = *at;
                // What was found of another wait of the thread says nothing of this one.
                self.has_changed |= self.seen[at].number != held.number;
                return Some(self.settle(&chain, reach, Way::To(at)));
            }
            let Held { record, number, on } = held;
            chain.push(self.seen.len());
            self.at.insert(Arc::as_ptr(&record), self.seen.len());
            self.seen.push(Seen { record, number, reach: Some(Reach::IfThatDoes), way: Way::Home });
            holds = Holds::of(self, &on);
        }
    }

    /// What the waits of a chain come to, each of which leads to the next, and the last one there.
    fn settle(&mut self, chain: &[usize], reach: Reach, way: Way) -> (Reach, Way) {
        let Some(first) = chain.first() else { return (reach, way) };
        if reach == Reach::No {
            // What leads here through it alone does not.
            for seen in &mut self.seen[*first..] {
                seen.reach = seen.reach.filter(|reach| *reach == Reach::No);
            }
        }
        let mut to = way;
        for at in chain.iter().rev() {
            self.seen[*at].reach = Some(reach);
            self.seen[*at].way = to;
            to = Way::To(*at);
        }
        (reach, to)
    }

    /// Looks at the next one of the innermost level, or closes it.
    fn next_of_level(&mut self, levels: &mut Vec<Level>) -> Option<(Reach, Way)> {
        let level = levels.last_mut()?;
        if let Some(step) = level.next() {
            let holds = match step {
                Step::Waits(held) => Holds::One(held),
                Step::Permit(pool) => Holds::permit(self, pool),
            };
            return self.follow(holds, levels);
        }
        let level = levels.pop()?;
        let reach = level.reach();
        Some(self.settle(&level.chain, reach, level.way))
    }

    /// All the waits that this search's answer may rest on were seen by the other one too.
    fn rests_on(&self, other: &Self) -> bool {
        if self.has_changed {
            return false;
        }
        let held = |seen: &&Seen| seen.reach.is_some_and(|reach| reach != Reach::No);
        let same = |one: &Seen, two: &Seen| Arc::ptr_eq(&one.record, &two.record) && one.number == two.number;
        self.seen.iter().filter(held).all(|seen| other.seen.iter().any(|other| same(seen, other)))
    }

    /// The circle in words. `None` when one of its waits has ended.
    fn words(&self, first: Way) -> Option<Found> {
        let mut records = vec![self.me];
        let mut way = first;
        while let Way::To(at) = way {
            let seen = &self.seen[at];
            records.push(&seen.record);
            way = seen.way;
            // A way leads home; one that did not would be a mistake of the search.
            if records.len() > self.seen.len() + 1 {
                debug_assert!(false, "a way leads home");
                return None;
            }
        }
        let mut links = Vec::new();
        let mut waits = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let next = records[(at + 1) % records.len()];
            let (mut one, on, label, waiter) = {
                let wait = record.wait.lock();
                let wait = wait.as_ref()?;
                let (key, number, ends, on_worker) = (wait.key, wait.number, wait.ends, wait.stack.worker.is_some());
                let one = One { record: Arc::clone(record), key, number, ends, on_worker, task: None };
                (one, wait.on.clone(), wait.label.clone(), record.words(&wait.stack))
            };
            let is_seen = |seen: &Seen| Arc::ptr_eq(&seen.record, record) && seen.number == one.number;
            if at > 0 && !self.seen.iter().any(is_seen) {
                return None;
            }
            one.task = task_of(&on, next);
            links.push(Link { waiter, awaits: label.words(&on, one.task.as_ref()) });
            waits.push(one);
        }
        Some(Found { circle: Circle::new(links), waits })
    }
}

/// The task that a wait is for, and its pool, as the thread knows them that holds it up.
fn task_of(on: &Target, next: &Record) -> Option<(TaskId, Namespace)> {
    // Copied: a set shows its tasks under its lock, and the search takes a record's within that.
    let stack = next.wait.lock().as_ref()?.stack.clone();
    let known = |id: TaskId, pool: usize| {
        let runs = stack.tasks.iter().find(|(other, _)| *other == id).map(|(_, name)| name);
        let name =
            runs.or_else(|| stack.permits.iter().find(|permit| permit.pool == pool).map(|permit| &permit.name))?;
        Some((id, name.clone()))
    };
    match on {
        Target::Task(task) => known(task.id, task.pool),
        Target::FirstOf(several) => {
            let mut found = None;
            several.show(&mut |id, pool, _| {
                found = known(id, pool);
                found.is_none()
            });
            found
        }
        _ => None,
    }
}

impl Level {
    fn take(&mut self, reach: Reach, way: Way) {
        if reach == Reach::No {
            return;
        }
        self.held += 1;
        if self.found != Reach::Me {
            (self.found, self.way) = (reach, way);
        }
    }

    /// The next one to look at, if the answer is not clear without it.
    fn next(&mut self) -> Option<Step> {
        let is_enough = self.held >= self.needs && self.found == Reach::Me;
        let is_too_few = self.held + self.left.len() < self.needs;
        if is_enough || is_too_few { None } else { self.left.pop() }
    }

    fn reach(&self) -> Reach {
        if self.held >= self.needs { self.found } else { Reach::No }
    }
}

impl Record {
    /// What the thread waits for, if its wait goes on and `holds` says so of it.
    fn held(self: &Arc<Self>, holds: impl FnOnce(&Wait) -> bool) -> Option<Held> {
        let wait = self.wait.lock();
        let wait = wait.as_ref().filter(|wait| !self.is_refused(wait) && holds(wait))?;
        Some(Held { record: Arc::clone(self), number: wait.number, on: wait.on.clone() })
    }
}

impl Holds {
    fn one(held: Option<Held>) -> Self {
        held.map_or(Self::Nothing, Self::One)
    }

    fn several(needs: usize, steps: Vec<Step>) -> Self {
        if steps.is_empty() || steps.len() < needs { Self::Nothing } else { Self::Several(needs, steps) }
    }

    fn of(search: &Search<'_>, target: &Target) -> Self {
        match target {
            Target::Task(task) => match search.waits_in(task.id) {
                Some(held) => Self::One(held),
                None if task.is_queued() => Self::permit(search, task.pool),
                None => Self::Nothing,
            },
            Target::FirstOf(several) => Self::first_of(search, &**several),
            Target::Thread(thread) => {
                let record = search.records().iter().find(|record| record.thread == *thread);
                Self::one(record.and_then(|record| record.held(|_| true)))
            }
            Target::TaskTracker(tracker) => Self::several(1, search.counted_by(*tracker)),
            Target::TrackerIn { tracker, pool } => {
                let mut steps = search.counted_by(*tracker);
                // What is left of it has started, and then it has a permit, or is queued.
                steps.push(Step::Permit(*pool));
                Self::several(1, steps)
            }
            Target::Permit(pool) => Self::permit(search, *pool),
            Target::Obligation(obligation) if obligation.paid.load(Ordering::SeqCst) => Self::Nothing,
            Target::Obligation(obligation) => Self::obligation(search, obligation),
        }
    }

    /// A permit is free again when one of the threads that keep them all goes on.
    fn permit(search: &Search<'_>, pool: usize) -> Self {
        let (mut steps, mut of) = (Vec::new(), 0);
        for record in search.records() {
            let mut kept = 0;
            let held = record.held(|wait| {
                for permit in wait.stack.permits.iter().filter(|permit| permit.pool == pool) {
                    (kept, of) = (kept + 1, permit.of);
                }
                kept > 0
            });
            // Each of them is one that does not go on.
            let held = held.into_iter().flat_map(|held| std::iter::repeat_n(held, kept));
            steps.extend(held.map(Step::Waits));
        }
        Self::several(of, steps)
    }

    fn first_of(search: &Search<'_>, several: &dyn Several) -> Self {
        let mut steps = Vec::new();
        several.show(&mut |id, pool, queued| {
            let step = match search.waits_in(id) {
                Some(held) => Step::Waits(held),
                None if queued.is_queued() => Step::Permit(pool),
                None => {
                    steps.clear();
                    return false;
                }
            };
            steps.push(step);
            true
        });
        Self::several(steps.len(), steps)
    }

    fn obligation(search: &Search<'_>, obligation: &Obligation) -> Self {
        match &obligation.by {
            Obligor::Future => Self::Nothing,
            Obligor::Thread(record) => Self::one(record.held(|_| true)),
            Obligor::Runtime { id, workers } => {
                let worker = |index| {
                    let is_it = |wait: &Wait| wait.stack.worker == Some(Worker { runtime: *id, index });
                    search.records().iter().find_map(|record| record.held(is_it)).map(Step::Waits)
                };
                Self::several(*workers, (0..*workers).filter_map(worker).collect())
            }
        }
    }
}

impl Search<'_> {
    fn records(&self) -> &[Arc<Record>] {
        self.records.get_or_init(|| self.graph.records())
    }

    fn waits_in(&self, task: TaskId) -> Option<Held> {
        let has = |wait: &Wait| wait.stack.tasks.iter().any(|(id, _)| *id == task);
        self.graph.waits_in(task)?.held(has)
    }

    fn counted_by(&self, tracker: usize) -> Vec<Step> {
        let counts = |wait: &Wait| wait.stack.trackers.contains(&tracker);
        self.records().iter().filter_map(|record| record.held(counts)).map(Step::Waits).collect()
    }
}
