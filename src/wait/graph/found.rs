//! [`Found`]: a circle of waits, and the one of them to be told.

use super::record::{ClosesCircle, Ends, Record, Target};
use crate::error::circle::{Circle, Link};
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;

/// A circle through a thread's wait, with the waits in order, that thread's first.
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
    /// The wait blocks a runtime's worker.
    on_worker: bool,
    /// The awaited task, if the wait is for one.
    task: Option<(TaskId, Namespace)>,
}

impl Found {
    /// The circle of these threads' waits. `None` when a wait has ended, or is not the one that the search has seen.
    pub(super) fn of(records: &[&Arc<Record>], is_seen: impl Fn(&Arc<Record>, u64) -> bool) -> Option<Self> {
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
            if at > 0 && !is_seen(record, one.number) {
                return None;
            }
            one.task = task_of(&on, next);
            links.push(Link { waiter, awaits: label.words(&on, one.task.as_ref()) });
            waits.push(one);
        }
        Some(Self { circle: Circle::new(links), waits })
    }

    /// Returns the index of the wait to be told; 0 is the searching thread's. The module's head has the order.
    pub(super) fn to_be_told(&self) -> Option<usize> {
        let asks = |one: &One| one.ends == Ends::Asks;
        let holds_up_a_runtime = |one: &One| one.ends == Ends::WhenTold && one.on_worker;
        let can_be = |one: &One| one.ends == Ends::WhenTold;
        let first = |which: &dyn Fn(&One) -> bool| self.waits.iter().position(which);
        first(&asks).or_else(|| first(&holds_up_a_runtime)).or_else(|| first(&can_be))
    }

    /// The circle as that wait is told it.
    pub(super) fn why(&self, at: usize) -> ClosesCircle {
        ClosesCircle { circle: self.circle.from(at), task: self.waits[at].task.clone() }
    }

    pub(super) fn tell(&self, at: usize) {
        let One { record, key, .. } = &self.waits[at];
        record.tell(*key, self.why(at));
    }
}

/// The awaited task and its pool, as the thread that holds up the wait knows them.
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
