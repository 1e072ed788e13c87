//! [`Holds`]: the waits that hold up one target.

use std::cell::OnceCell;

use smallvec::SmallVec;

use super::record::{Graph, IsQueued, Obligation, Obligor, Record, Several, Target, Wait, Worker};
use crate::names::id::TaskId;
use crate::sync::os::{Arc, Ordering};

/// The records, as one search reads them.
pub(super) struct View<'a> {
    graph: &'a Graph,
    records: OnceCell<Vec<Arc<Record>>>,
}

/// One alternative.
pub(super) enum Step {
    Waits(Held),
    Permit(usize),
}

/// A thread's wait that holds up another.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) record: Arc<Record>,
    pub(super) number: u64,
    pub(super) on: Target,
}

/// The waits that hold up a target.
pub(super) enum Holds {
    Nothing,
    One(Held),
    /// This many of the alternatives together.
    Several(usize, Vec<Step>),
}

impl Record {
    /// The thread's wait, if it was not refused and `holds` is true of it.
    fn held(self: &Arc<Self>, holds: &mut dyn FnMut(&Wait) -> bool) -> Option<Held> {
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

    pub(super) fn of(view: &View<'_>, target: &Target) -> Self {
        match target {
            Target::Task(task) => match view.waits_in(task.id) {
                Some(held) => Self::One(held),
                None if task.is_queued() => Self::permit(view, task.pool),
                None => Self::Nothing,
            },
            Target::FirstOf(several) => Self::first_of(view, &**several),
            Target::Thread(thread) => {
                let record = view.records().iter().find(|record| record.thread == *thread);
                Self::one(record.and_then(|record| record.held(&mut |_| true)))
            }
            Target::TaskTracker(tracker) => Self::several(1, view.counted_by(*tracker)),
            Target::TrackerIn { tracker, pool } => {
                let mut steps = view.counted_by(*tracker);
                // The remaining tasks have started, and then hold permits, or are queued.
                steps.push(Step::Permit(*pool));
                Self::several(1, steps)
            }
            Target::Permit(pool) => Self::permit(view, *pool),
            Target::Obligation(obligation) if obligation.paid.load(Ordering::SeqCst) => Self::Nothing,
            Target::Obligation(obligation) => Self::obligation(view, obligation),
        }
    }

    /// A permit becomes free when one of the threads that keep all permits goes on.
    pub(super) fn permit(view: &View<'_>, pool: usize) -> Self {
        let (mut steps, mut of) = (Vec::new(), 0);
        for record in view.records() {
            let mut kept = 0;
            let held = record.held(&mut |wait| {
                for permit in wait.stack.permits.iter().filter(|permit| permit.pool == pool) {
                    (kept, of) = (kept + 1, permit.of);
                }
                kept > 0
            });
            // Each kept permit counts as one alternative that does not go on.
            let held = held.into_iter().flat_map(|held| std::iter::repeat_n(held, kept));
            steps.extend(held.map(Step::Waits));
        }
        Self::several(of, steps)
    }

    fn first_of(view: &View<'_>, several: &dyn Several) -> Self {
        let mut steps = Vec::new();
        // The queued tasks of a pool wait for the same permits, so they are one alternative.
        let mut pools: SmallVec<[usize; 4]> = SmallVec::new();
        several.show(&mut |id, pool, queued| {
            if let Some(held) = view.waits_in(id) {
                steps.push(Step::Waits(held));
                return true;
            }
            let is_queued = queued.is_queued();
            if is_queued && pools.contains(&pool) {
                return true;
            }
            // The task runs, or may get a permit: the search of a long queue ends at its first task.
            if !is_queued || matches!(Self::permit(view, pool), Self::Nothing) {
                steps.clear();
                return false;
            }
            pools.push(pool);
            steps.push(Step::Permit(pool));
            true
        });
        Self::several(steps.len(), steps)
    }

    fn obligation(view: &View<'_>, obligation: &Obligation) -> Self {
        match &obligation.by {
            Obligor::Future => Self::Nothing,
            Obligor::Thread(record) => Self::one(record.held(&mut |_| true)),
            Obligor::Runtime { id, workers } => {
                let worker = |index| {
                    let mut is_it = |wait: &Wait| wait.stack.worker == Some(Worker { runtime: *id, index });
                    view.records().iter().find_map(|record| record.held(&mut is_it)).map(Step::Waits)
                };
                Self::several(*workers, (0..*workers).filter_map(worker).collect())
            }
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self { graph, records: OnceCell::new() }
    }

    fn records(&self) -> &[Arc<Record>] {
        self.records.get_or_init(|| self.graph.records())
    }

    fn waits_in(&self, task: TaskId) -> Option<Held> {
        let mut has = |wait: &Wait| wait.stack.tasks.iter().any(|(id, _)| *id == task);
        self.graph.waits_in(task)?.held(&mut has)
    }

    fn counted_by(&self, tracker: usize) -> Vec<Step> {
        let mut counts = |wait: &Wait| wait.stack.trackers.contains(&tracker);
        self.records().iter().filter_map(|record| record.held(&mut counts)).map(Step::Waits).collect()
    }
}
